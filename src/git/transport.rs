//! Git over HTTP for libgit2: a smart subtransport on reqwest and rustls, since libgit2's own would
//! bring OpenSSL, follow redirects to other hosts and ask for credentials again and again. Fetching
//! and pushing themselves are in `mirror.rs` and `push.rs`.
//!
//! libgit2 gives a subtransport an address and nothing else, so the token comes from a thread-local
//! that [`with_session`] sets around one operation. That is sound because libgit2 talks to a remote
//! only on the thread that called it (its extra threads only compute deltas). The token goes into
//! one header, marked sensitive, for one scheme, host and port, and is in no URL, configuration,
//! reflog or error text. A redirect is followed there only.

use std::cell::RefCell;
use std::io::{self, Read, Seek, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use base64::Engine;
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};
use git2::{ErrorClass, ErrorCode};
use reqwest::blocking::{Body, Client, RequestBuilder, Response};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{StatusCode, Url};
use secrecy::ExposeSecret;
use tempfile::{SpooledData, SpooledTempFile};

use super::{Remote, RemoteError};

/// How long a connection may take to open.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a host may be silent: from the first byte of a request to the head of the answer, and
/// between two pieces of the answer. A large push is uploaded and checked by the host's hooks
/// within it.
const SILENCE_LIMIT: Duration = Duration::from_secs(300);
/// A request's body up to this many bytes stays in memory; a larger one goes to a file without a
/// name.
const SPOOL_BYTES: usize = 1 << 20;
/// A request of git's that asks for nothing: a flush packet.
const NOTHING_TO_SAY: &str = "0000";
/// How often a host may send us on, for one operation.
const MAX_REDIRECTS: usize = 5;
/// What follows a repository's address in the first request of an operation.
const LISTING: &str = "/info/refs";
/// How many bytes of a refusing answer are read, for its text.
const REFUSAL_BYTES: u64 = 4096;
/// How many characters of a host's text are kept in an error.
const TEXT_CHARS: usize = 2000;

/// Makes `http` and `https` addresses use this module in the whole process.
///
/// # Safety
/// As for [`git2::transport::register`]: nothing else may create a transport at the same time.
#[allow(unsafe_code)] // only passes on what git2 demands; see the one caller
pub(super) unsafe fn register() -> Result<(), git2::Error> {
    for scheme in ["http", "https"] {
        // SAFETY: promised by the caller.
        unsafe {
            // `true`: each request stands for itself, as HTTP wants it.
            git2::transport::register(scheme, |remote| Transport::smart(remote, true, Http))?;
        }
    }
    Ok(())
}

/// What the callbacks need to know about the operation in progress on this thread.
struct Session {
    /// The address that libgit2 was given.
    url: String,
    /// Where the host has sent us from there. Scheme, host and port are those of `url`, and only
    /// they get the token.
    moved_to: Option<String>,
    authorization: Option<HeaderValue>,
    /// Texts that must not come back in an error, should a host echo them.
    secrets: Vec<String>,
    spool: PathBuf,
    /// What went wrong in a callback. libgit2 would keep only its text.
    failure: Option<RemoteError>,
}

thread_local! {
    static SESSION: RefCell<Option<Session>> = const { RefCell::new(None) };
}

/// Clears the session when the operation ends, also by a panic. Not `Send`: it belongs to its
/// thread.
struct Guard(PhantomData<*const ()>);

impl Drop for Guard {
    fn drop(&mut self) {
        SESSION.with_borrow_mut(|session| *session = None);
    }
}

/// Runs one operation of libgit2's against `remote`, with its token in place. Large requests are
/// spooled in the folder `spool`.
pub(super) fn with_session<T>(
    remote: &Remote,
    spool: &Path,
    operation: impl FnOnce() -> Result<T, git2::Error>,
) -> Result<T, RemoteError> {
    let is_path = check_address(&remote.url).map_err(RemoteError::Other)?;
    // Asked beforehand, because libgit2 takes a path where nothing is for an unknown protocol.
    if is_path && !Path::new(&remote.url).exists() {
        return Err(RemoteError::NotFound);
    }
    let mut session = Session {
        url: remote.url.clone(),
        moved_to: None,
        authorization: None,
        secrets: Vec::new(),
        spool: spool.to_owned(),
        failure: None,
    };
    if let (Some(token), false) = (&remote.token, is_path) {
        let token = token.expose_secret();
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("x-access-token:{token}"));
        let mut header = HeaderValue::from_str(&format!("Basic {basic}")).map_err(|_| {
            RemoteError::Other(anyhow!("the token contains characters that a header cannot contain"))
        })?;
        header.set_sensitive(true);
        session.authorization = Some(header);
        session.secrets = vec![token.to_owned(), basic];
    }
    SESSION.with_borrow_mut(|current| *current = Some(session));
    let guard = Guard(PhantomData);
    let result = operation();
    let failure = SESSION.with_borrow_mut(|session| session.as_mut().and_then(|s| s.failure.take()));
    let result = result.map_err(|error| failure.unwrap_or_else(|| remote_error(&error, is_path)));
    drop(guard);
    result
}

/// A text that came from a host, fit for an error or a log: no control characters, not endless, and
/// without the token of the operation in progress.
pub(super) fn clean(text: &str) -> String {
    let mut text = text.to_owned();
    SESSION.with_borrow(|session| {
        for secret in session.iter().flat_map(|s| &s.secrets).filter(|secret| !secret.is_empty()) {
            text = text.replace(secret, "***");
        }
    });
    text.chars()
        .filter(|c| !c.is_control() || *c == '\n')
        .take(TEXT_CHARS)
        .collect::<String>()
        .trim()
        .to_owned()
}

/// Whether the address is a local path (`true`) or an HTTP one. Anything else is an error, and so
/// is an address with credentials in it: it would be written to a workspace's configuration.
pub(super) fn check_address(address: &str) -> anyhow::Result<bool> {
    if address.starts_with('/') {
        return Ok(true);
    }
    // The address itself is not shown: it may hold what should not be there.
    let url =
        Url::parse(address).map_err(|_| anyhow!("the repository's address is neither a URL nor a path"))?;
    if !matches!(url.scheme(), "http" | "https") {
        bail!("only http and https addresses and absolute paths are supported, not `{}`", url.scheme());
    }
    if !url.username().is_empty() || url.password().is_some() {
        bail!("the repository's address contains credentials");
    }
    if url.query().is_some() || url.fragment().is_some() {
        bail!("the repository's address contains a query or a fragment");
    }
    Ok(false)
}

fn remote_error(error: &git2::Error, is_path: bool) -> RemoteError {
    let text = clean(error.message());
    match (error.code(), error.class()) {
        (ErrorCode::NotFound, ErrorClass::Os | ErrorClass::Repository) if is_path => RemoteError::NotFound,
        // An answer that ends early, or one that is no git protocol: worth another try.
        (ErrorCode::Eof, _) | (_, ErrorClass::Net | ErrorClass::Http) => RemoteError::Unreachable(text),
        _ => RemoteError::Other(anyhow!(text)),
    }
}

/// Keeps `error` for [`with_session`] and gives libgit2 something to stop at.
fn fail(error: RemoteError) -> git2::Error {
    let text = clean(&error.to_string());
    SESSION.with_borrow_mut(|session| {
        if let Some(session) = session {
            session.failure.get_or_insert(error);
        }
    });
    git2::Error::new(ErrorCode::GenericError, ErrorClass::Net, text)
}

struct Http;

impl SmartSubtransport for Http {
    fn action(&self, url: &str, action: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let (service, is_list) = match action {
            Service::UploadPackLs => ("git-upload-pack", true),
            Service::UploadPack => ("git-upload-pack", false),
            Service::ReceivePackLs => ("git-receive-pack", true),
            Service::ReceivePack => ("git-receive-pack", false),
        };
        let exchange = Exchange::new(url, service, is_list).map_err(fail)?;
        Ok(Box::new(exchange))
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// One request and its answer. libgit2 writes the whole body first and then reads.
struct Exchange {
    url: String,
    service: &'static str,
    body: Option<SpooledTempFile>,
    answer: Option<Response>,
}

impl Exchange {
    fn new(url: &str, service: &'static str, is_list: bool) -> Result<Self, RemoteError> {
        let (base, spool) = SESSION.with_borrow(|session| match session {
            // Should libgit2 ever be made to go elsewhere, it goes without us and our token.
            Some(session) if session.url == url => {
                let base = session.moved_to.as_deref().unwrap_or(url).trim_end_matches('/');
                Ok((base.to_owned(), session.spool.clone()))
            }
            _ => Err(RemoteError::Other(anyhow!("libgit2 requested an address outside the remote"))),
        })?;
        if is_list {
            let url = format!("{base}{LISTING}?service={service}");
            let mut exchange = Self { url, service, body: None, answer: None };
            exchange.send()?;
            return Ok(exchange);
        }
        let body = tempfile::spooled_tempfile_in(SPOOL_BYTES, spool);
        Ok(Self { url: format!("{base}/{service}"), service, body: Some(body), answer: None })
    }

    fn send(&mut self) -> Result<(), RemoteError> {
        let client = client().map_err(RemoteError::Other)?;
        let Some(body) = self.body.take() else { return self.list(client) };
        let answer = self.ask(self.post(client).body(self.body_to_send(client, body)?))?;
        self.take(answer, "result")
    }

    /// Asks for the host's references, where the host sends us: a repository that was renamed is
    /// answered for under its new name. As git does, only here: what follows goes to the new
    /// address at once.
    fn list(&mut self, client: &Client) -> Result<(), RemoteError> {
        for _ in 0..MAX_REDIRECTS {
            let answer = authorized(client.get(&self.url)).send().map_err(|error| unreachable(&error))?;
            let Some(moved_to) = sent_to(&answer, &self.url) else {
                let answer = accepted(answer, &self.url)?;
                return self.take(answer, "advertisement");
            };
            self.url = format!("{moved_to}{LISTING}?service={}", self.service);
            SESSION.with_borrow_mut(|session| {
                if let Some(session) = session {
                    session.moved_to = Some(moved_to);
                }
            });
        }
        Err(RemoteError::Other(anyhow!("the git host redirects too often")))
    }

    fn take(&mut self, answer: Response, kind: &str) -> Result<(), RemoteError> {
        let found = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        if found != format!("application/x-{}-{kind}", self.service) {
            // A login page, a proxy's notice, or a host that only serves files.
            let found = clean(found);
            return Err(RemoteError::Other(anyhow!(
                "the host does not support git over HTTP: it sent `{found}`"
            )));
        }
        self.answer = Some(answer);
        Ok(())
    }

    fn post(&self, client: &Client) -> RequestBuilder {
        client
            .post(&self.url)
            .header(CONTENT_TYPE, format!("application/x-{}-request", self.service))
            .header(ACCEPT, format!("application/x-{}-result", self.service))
    }

    fn body_to_send(&self, client: &Client, body: SpooledTempFile) -> Result<Body, RemoteError> {
        let mut file = match body.into_inner() {
            SpooledData::InMemory(bytes) => return Ok(Body::from(bytes.into_inner())),
            SpooledData::OnDisk(file) => file,
        };
        // A host that refuses answers before it has read a large body, and reqwest then sees a
        // broken connection instead of the answer. So the question is put first with an empty
        // request, as git does.
        self.ask(self.post(client).body(NOTHING_TO_SAY))?;
        let length = file.stream_position().context("measuring a request").map_err(RemoteError::Other)?;
        file.rewind().context("rewinding a request").map_err(RemoteError::Other)?;
        Ok(Body::sized(file, length))
    }

    fn ask(&self, request: RequestBuilder) -> Result<Response, RemoteError> {
        let answer = authorized(request).send().map_err(|error| unreachable(&error))?;
        accepted(answer, &self.url)
    }
}

impl Read for Exchange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.answer.is_none() {
            self.send().map_err(|error| io::Error::other(fail(error)))?;
        }
        let Some(answer) = &mut self.answer else { return Ok(0) };
        answer.read(buffer).map_err(|error| {
            let text = format!("the response was cut off: {}", clean(&error.to_string()));
            io::Error::other(fail(RemoteError::Unreachable(text)))
        })
    }
}

impl Write for Exchange {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.body {
            Some(body) => body.write(bytes),
            None => Err(io::Error::other("the request was already sent")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn authorized(request: RequestBuilder) -> RequestBuilder {
    match SESSION.with_borrow(|session| session.as_ref().and_then(|s| s.authorization.clone())) {
        Some(header) => request.header(AUTHORIZATION, header),
        None => request,
    }
}

/// The client of the whole process, for its open connections. It is made on first use, inside a
/// blocking call, because reqwest's blocking client must not be made in an async task. A proxy
/// named in the environment is used: that is the operator's wish.
fn client() -> anyhow::Result<&'static Client> {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    if let Some(client) = CLIENT.get() {
        return Ok(client);
    }
    let client = Client::builder()
        // Some hosts answer with git only to what calls itself git.
        .user_agent(concat!("git/2 (hob ", env!("CARGO_PKG_VERSION"), ")"))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_LIMIT)
        .timeout(SILENCE_LIMIT)
        .referer(false)
        .build()
        .context("creating the HTTP client for git")?;
    Ok(CLIENT.get_or_init(|| client))
}

fn unreachable(error: &reqwest::Error) -> RemoteError {
    // The cause says what happened ("connection refused"); the outer text is only an address.
    let mut text = String::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    if text.is_empty() {
        text = if error.is_timeout() { "no response in time".to_owned() } else { error.to_string() };
    }
    RemoteError::Unreachable(clean(&text))
}

/// Turns everything but a 200 into an error that says what the caller can do about it.
fn accepted(answer: Response, asked: &str) -> Result<Response, RemoteError> {
    let status = answer.status();
    match status {
        StatusCode::OK => Ok(answer),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(RemoteError::Unauthorized(refusal(answer))),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(RemoteError::NotFound),
        _ if status.is_redirection() => Err(RemoteError::Redirected(new_address(&answer, asked))),
        _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Err(RemoteError::Unreachable(refusal(answer)))
        }
        _ => Err(RemoteError::Other(anyhow!("the git host responded with {}", refusal(answer)))),
    }
}

/// The repository's new address, where the host sends us to one of its own: of the same scheme,
/// host and port, and for the same request. None where it does not, or elsewhere.
fn sent_to(answer: &Response, asked: &str) -> Option<String> {
    if !answer.status().is_redirection() {
        return None;
    }
    let asked = Url::parse(asked).ok()?;
    let location = answer.headers().get(LOCATION)?.to_str().ok()?;
    let mut url = asked.join(location).ok()?;
    let is_ours = url.origin() == asked.origin() && url.username().is_empty() && url.password().is_none();
    if !is_ours || !url.path().ends_with(LISTING) || url.query() != asked.query() {
        return None;
    }
    url.set_query(None);
    url.set_fragment(None);
    url.as_str().strip_suffix(LISTING).map(str::to_owned)
}

fn refusal(answer: Response) -> String {
    let status = answer.status();
    let mut bytes = Vec::new();
    // The text is a courtesy; a host that sends none has still refused.
    let _ = answer.take(REFUSAL_BYTES).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let is_page = text.trim_start().starts_with('<');
    if is_page { status.to_string() } else { clean(&format!("{status} {text}")) }
}

/// The repository's new address, without query, credentials or the protocol's own suffix.
fn new_address(answer: &Response, asked: &str) -> String {
    let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("");
    let Some(mut url) = Url::parse(asked).ok().and_then(|asked| asked.join(location).ok()) else {
        return "an invalid address".to_owned();
    };
    url.set_query(None);
    url.set_fragment(None);
    // These fail only for addresses that cannot hold credentials in the first place.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    clean(url.as_str().trim_end_matches("/info/refs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_and_plain_http_addresses_are_used() {
        assert!(check_address("/srv/repo.git").unwrap());
        assert!(!check_address("https://host/owner/repo.git").unwrap());
        for address in [
            "",
            "repo.git",
            "git@host:owner/repo",
            "ssh://host/r",
            "ext::sh -c id",
            "file:///srv/r",
            "git://h/r",
            "https://user@host/r",
            "https://x-access-token:secret@host/r",
            "https://host/r?token=1",
        ] {
            let error = check_address(address).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
