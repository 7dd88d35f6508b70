//! One request to GitHub: sent through octocrab, bounded in time, its answer turned into an
//! [`Answer`] or a [`GitHubError`]. Reads are repeated after a passing failure; writes never are,
//! by no layer: octocrab's own retry, which repeats POSTs too, is a cargo feature that hob leaves
//! off.
//!
//! Only paths are given to octocrab, never whole addresses: it sends no credentials to an address
//! that names another host than api.github.com, which every GitHub Enterprise Server is. For the
//! same reason paging counts pages and follows no link.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{ACCEPT, DATE, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use octocrab::Octocrab;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use super::error::{GitHubError, clip, complaint, describe, failure, named_wait};
use crate::fail_point::{Timing, reach};

/// GitHub's front answers a handshake in well under a second; ten allow for a lost packet or two.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// GitHub itself gives up on a request after ten seconds; thirty of silence mean that nothing will
/// come.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);
/// For a whole request, so that an answer which drips cannot hold a worker.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);
/// Pauses before a read is repeated: two tries cover a connection that was closed under us and a
/// short hiccup. Longer trouble belongs to the caller, who can wait without holding anything.
const READ_PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];
/// The longest wait GitHub may ask for that is worth sitting out here.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// What to do to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Patch,
    Delete,
}

/// Speaks for one identity. Clones and [`Client::with_token`] share connections.
#[derive(Clone)]
pub(super) struct Client {
    octocrab: Octocrab,
    address: Arc<Address>,
    /// Rung when GitHub does not accept the credentials of a request.
    refused: Arc<Notify>,
}

/// Where the API is.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    /// Scheme, host and port.
    origin: String,
    /// Empty on github.com, `/api/v3` on a GitHub Enterprise Server. No slash at its end.
    base_path: String,
}

impl Client {
    /// Signs each request as the App, with a token of nine minutes that octocrab dates one minute
    /// back.
    pub(super) fn for_app(api_url: &str, app_id: u64, pem: &SecretString) -> Result<Client, GitHubError> {
        Self::build(api_url, Some((app_id, pem)))
    }

    /// Sends no credentials until it is given a token.
    pub(super) fn anonymous(api_url: &str) -> Result<Client, GitHubError> {
        Self::build(api_url, None)
    }

    /// The same connections, speaking for the owner of `token`. (Not octocrab's `personal_token`,
    /// which needs a client for each token and panics on one with a line break.)
    pub(super) fn with_token(&self, token: &SecretString) -> Result<Client, GitHubError> {
        let octocrab = self.octocrab.user_access_token(token.clone()).map_err(not_sent)?;
        Ok(Client { octocrab, address: self.address.clone(), refused: self.refused.clone() })
    }

    /// The same address, asked by nobody in particular.
    pub(super) fn without_credentials(&self) -> Result<Client, GitHubError> {
        let Address { origin, base_path } = &*self.address;
        Self::anonymous(&format!("{origin}{base_path}"))
    }

    fn build(api_url: &str, app: Option<(u64, &SecretString)>) -> Result<Client, GitHubError> {
        let address = Address::parse(api_url)?;
        // octocrab starts a task for its connections, which panics where there is no runtime.
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(GitHubError::Unexpected("the GitHub client needs a tokio runtime".to_owned()));
        }
        let mut builder = Octocrab::builder()
            .base_uri(address.origin.as_str())
            .map_err(not_sent)?
            // octocrab says `octocrab` in a line of its own before this one, and cannot be told not
            // to.
            .add_header(USER_AGENT, concat!("hob/", env!("CARGO_PKG_VERSION")).to_owned())
            .set_connect_timeout(Some(CONNECT_LIMIT))
            .set_read_timeout(Some(SILENCE_LIMIT))
            .set_write_timeout(Some(SILENCE_LIMIT));
        if let Some((id, pem)) = app {
            builder = builder.app_from_rsa_pem(id.into(), pem.expose_secret()).map_err(|_| {
                GitHubError::Setting(
                    "the App's private key is not an RSA key in PEM format; use the file that GitHub creates on the \
                    App's page, under Private keys"
                        .to_owned(),
                )
            })?;
        }
        let octocrab = builder.build().map_err(not_sent)?;
        Ok(Client { octocrab, address: Arc::new(address), refused: Arc::default() })
    }

    /// Reads `path`, which begins with `/`. Repeated twice after a failure that may pass.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, GitHubError> {
        self.get_as(path, None).await
    }

    /// Reads `path` in a form of GitHub's (`application/vnd.github.full+json`), where one is named.
    pub(super) async fn get_as(&self, path: &str, form: Option<&'static str>) -> Result<Answer, GitHubError> {
        let mut pauses = READ_PAUSES.into_iter();
        loop {
            let address = format!("{}{path}", self.address.base_path);
            let asked = Asked { form, ..Asked::plain(address) };
            let answer = self.exchange_at(Verb::Get, asked, &place(Verb::Get, path), None::<&()>).await;
            let named = answer.as_ref().ok().and_then(|answer| named_wait(&answer.headers));
            let error = match answer.and_then(Answer::success) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let may_pass = match error {
                GitHubError::Unavailable(_) => true,
                GitHubError::RateLimited { .. } => named.is_some(),
                _ => false,
            };
            let Some(pause) = pauses.next().filter(|_| may_pass) else { return Err(error) };
            let pause = named.unwrap_or(pause);
            if pause > MAX_PAUSE {
                return Err(error);
            }
            tracing::debug!(%error, ?pause, path, "retrying a read from GitHub");
            tokio::time::sleep(pause).await;
        }
    }

    /// Where GitHub sends anyone who asks for `path`, for what lies elsewhere. Asked past octocrab,
    /// which would go there at once and read all of it.
    pub(super) async fn redirect_of(&self, path: &str, token: &SecretString) -> Result<String, GitHubError> {
        let unavailable = |error: reqwest::Error| GitHubError::Unavailable(describe(&error));
        let client = reqwest::Client::builder()
            .user_agent(concat!("hob/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .timeout(REQUEST_LIMIT)
            .build()
            .map_err(unavailable)?;
        let Address { origin, base_path } = &*self.address;
        let place = place(Verb::Get, path);
        reach("github", &place, Timing::Before);
        let request = client.get(format!("{origin}{base_path}{path}")).bearer_auth(token.expose_secret());
        let answer = request.send().await;
        reach("github", &place, Timing::After);
        let answer = answer.map_err(unavailable)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        if let Some(location) = headers.get("location").filter(|_| status.is_redirection()) {
            let location = location.to_str().ok().and_then(|location| answer.url().join(location).ok());
            return location
                .map(String::from)
                .ok_or_else(|| GitHubError::Unexpected("GitHub redirects to an invalid address".to_owned()));
        }
        let body = answer.text().await.unwrap_or_default();
        Err(failure(status.as_u16(), &headers, &body))
    }

    /// Writes `body` to `path`, which begins with `/`. Once: after `Unavailable` only a read can
    /// tell whether it took effect.
    pub(super) async fn send(
        &self,
        verb: Verb,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Answer, GitHubError> {
        let answer = self.exchange(verb, path, Some(body)).await?;
        // A renamed repository. Nothing was done at its old name, and octocrab follows for reads
        // only.
        match answer.moved_to().and_then(|location| self.address.path_of(location)) {
            Some(path) => self.exchange(verb, path, Some(body)).await?.success(),
            None => answer.success(),
        }
    }

    /// Posts to a path that takes no body, once.
    pub(super) async fn post_nothing(&self, path: &str) -> Result<(), GitHubError> {
        self.exchange(Verb::Post, path, None::<&()>).await?.success().map(drop)
    }

    /// Asks GitHub's GraphQL API, once. It is beside the REST API: `/graphql`, and `/api/graphql`
    /// where that is `/api/v3`.
    pub(super) async fn graphql(&self, question: &impl Serialize) -> Result<Answer, GitHubError> {
        let beside = self.address.base_path.strip_suffix("/v3").unwrap_or(&self.address.base_path);
        let answer = self
            .exchange_at(
                Verb::Post,
                Asked::plain(format!("{beside}/graphql")),
                "post-graphql",
                Some(question),
            )
            .await?;
        answer.success()?.without_complaints()
    }

    async fn exchange(
        &self,
        verb: Verb,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Answer, GitHubError> {
        // The base path is put on here: octocrab would leave it off a path that happens to begin
        // with it.
        let asked = Asked::plain(format!("{}{path}", self.address.base_path));
        self.exchange_at(verb, asked, &place(verb, path), body).await
    }

    async fn exchange_at(
        &self,
        verb: Verb,
        Asked { uri, form }: Asked,
        place: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Answer, GitHubError> {
        reach("github", place, Timing::Before);
        let whole = async {
            let response = match verb {
                Verb::Get => self.octocrab._get_with_headers(uri, form.map(accepting)).await,
                Verb::Post => self.octocrab._post(uri, body).await,
                Verb::Patch => self.octocrab._patch(uri, body).await,
                Verb::Delete => self.octocrab._delete(uri, None::<&()>).await,
            }
            .map_err(not_sent)?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let body = self.octocrab.body_to_string(response).await.map_err(not_sent)?;
            Ok(Answer { status, headers, body })
        };
        let answer = tokio::time::timeout(REQUEST_LIMIT, whole).await.map_err(|_| {
            GitHubError::Unavailable(format!("no complete response within {} s", REQUEST_LIMIT.as_secs()))
        })?;
        reach("github", place, Timing::After);
        if answer.as_ref().is_ok_and(|answer| answer.status == 401) {
            self.refused.notify_one();
        }
        answer
    }

    /// Returns when GitHub has not accepted the credentials of a request.
    pub(super) async fn was_refused(&self) {
        self.refused.notified().await;
    }
}

/// What is asked for.
struct Asked {
    uri: String,
    /// In which of GitHub's forms; absent: in the usual one.
    form: Option<&'static str>,
}

impl Asked {
    fn plain(uri: String) -> Asked {
        Asked { uri, form: None }
    }
}

fn accepting(form: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(form))])
}

/// A request's name for a test that ends hob there: its method and the kinds of its path's parts,
/// without names and numbers.
fn place(verb: Verb, path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let mut parts = path.split('/').skip(1).peekable();
    let mut name = format!("{verb:?}").to_lowercase();
    if parts.next_if_eq(&"repos").is_some() {
        let _owner_and_name = (parts.next(), parts.next());
    }
    for part in parts.filter(|part| part.chars().all(|c| c.is_ascii_lowercase() || c == '_')) {
        name.push('-');
        name.push_str(part);
    }
    name
}

/// What GitHub sent back.
pub(super) struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn success(self) -> Result<Answer, GitHubError> {
        if (200..300).contains(&self.status) {
            Ok(self)
        } else {
            Err(failure(self.status, &self.headers, &self.body))
        }
    }

    /// Where to say the same again, if that is the answer.
    fn moved_to(&self) -> Option<&str> {
        let location = self.headers.get("location")?.to_str().ok()?;
        matches!(self.status, 307 | 308).then_some(location)
    }

    /// The body as `T`, which names only the fields that hob uses.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, GitHubError> {
        let mut deserializer = serde_json::Deserializer::from_str(&self.body);
        serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| GitHubError::Unexpected(clip(&error.to_string())))
    }

    /// An answer of GraphQL's, which says no with the status 200 and in words of its own.
    fn without_complaints(self) -> Result<Answer, GitHubError> {
        match complaint(&self.json()?, &self.headers) {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }

    /// A header of the answer.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// GitHub's clock when it answered.
    pub(super) fn date(&self) -> Option<Timestamp> {
        let date = self.headers.get(DATE)?.to_str().ok()?;
        jiff::fmt::rfc2822::parse(date).ok().map(|date| date.timestamp())
    }

    /// Where the next page of a list begins that has cursors in place of page numbers.
    pub(super) fn next_cursor(&self) -> Option<String> {
        let links = self.headers.get_all("link").iter().filter_map(|link| link.to_str().ok());
        let next = links.flat_map(|link| link.split(',')).find(|link| link.contains("rel=\"next\""))?;
        let url = next.trim().strip_prefix('<')?.split('>').next()?;
        let url = reqwest::Url::parse(url).ok()?;
        url.query_pairs().find(|(name, _)| name == "cursor").map(|(_, cursor)| cursor.into_owned())
    }

    /// Whether a list goes on after this page. Asked of the `Link` header, since GitHub leaves out
    /// what it hides only after cutting the pages, so that a page in the middle may be short.
    pub(super) fn has_next_page(&self) -> bool {
        let links = self.headers.get_all("link");
        links.iter().filter_map(|link| link.to_str().ok()).any(|link| link.contains("rel=\"next\""))
    }
}

impl Address {
    fn parse(api_url: &str) -> Result<Address, GitHubError> {
        let wrong =
            |why: &str| GitHubError::Setting(format!("`github.api_url`, the URL of GitHub's API, {why}"));
        let url = reqwest::Url::parse(api_url).map_err(|_| wrong("is not a URL; use https://HOST"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("starts neither with https:// nor with http://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("contains a user name or password; set the credentials in their own settings"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("contains a `?` or a `#`"));
        }
        let base_path = url.path().trim_end_matches('/').to_owned();
        Ok(Address { origin: url.origin().ascii_serialization(), base_path })
    }

    /// The part of `location` behind this address; none if it leads elsewhere, where hob's
    /// credentials have no business.
    fn path_of<'a>(&self, location: &'a str) -> Option<&'a str> {
        let path = location.strip_prefix(&self.origin).unwrap_or(location);
        path.strip_prefix(&self.base_path).filter(|path| path.starts_with('/') && !path.starts_with("//"))
    }
}

/// octocrab's own failures. What broke under way, at whichever end, may have taken effect; what was
/// never fit to be sent has not.
fn not_sent(error: octocrab::Error) -> GitHubError {
    match error {
        octocrab::Error::Service { .. } | octocrab::Error::Hyper { .. } => {
            GitHubError::Unavailable(describe(&error))
        }
        other => GitHubError::Unexpected(describe(&other)),
    }
}

/// One part of a path or query, such as a login, with everything escaped that could mean something
/// there.
pub(super) fn escape(part: &str) -> String {
    let mut escaped = String::with_capacity(part.len());
    for byte in part.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_split_into_origin_and_path() {
        for (url, origin, base_path) in [
            ("https://api.github.com", "https://api.github.com", ""),
            ("https://api.github.com/", "https://api.github.com", ""),
            ("https://ghe.example/api/v3/", "https://ghe.example", "/api/v3"),
            ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080", "/x"),
        ] {
            let address = Address { origin: origin.into(), base_path: base_path.into() };
            assert_eq!(Address::parse(url).unwrap(), address, "{url}");
        }
    }

    #[test]
    fn a_new_place_is_accepted_on_the_same_host_only() {
        let address = Address::parse("https://ghe.example/api/v3").unwrap();
        let path = Some("/repositories/1");
        assert_eq!(address.path_of("https://ghe.example/api/v3/repositories/1"), path);
        assert_eq!(address.path_of("/api/v3/repositories/1"), path);
        for elsewhere in [
            "https://evil.example/api/v3/repositories/1",
            "https://ghe.example.evil/api/v3/repositories/1",
            "//evil.example/api/v3/repositories/1",
            "/login",
            "repositories/1",
            "",
        ] {
            assert_eq!(address.path_of(elsewhere), None, "{elsewhere}");
        }
        let github = Address::parse("https://api.github.com").unwrap();
        assert_eq!(github.path_of("https://api.github.com/repositories/1"), path);
        for elsewhere in
            ["https://api.github.com.evil/x", "//evil.example/x", "https://api.github.com@evil/x"]
        {
            assert_eq!(github.path_of(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn an_address_with_a_password_is_refused_and_not_repeated() {
        let error = Address::parse("https://me:hunter2@ghe.example").unwrap_err().to_string();
        assert!(error.contains("password") && !error.contains("hunter2"), "{error}");
        for url in ["", "ghe.example", "ssh://ghe.example", "https://ghe.example/?a=b", "https://"] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn githubs_clock_and_the_next_page_are_read_from_the_headers() {
        let link = "<https://api.github.com/app/hook/deliveries?per_page=100&cursor=v1_2%3D>; rel=\"next\"";
        let headers = [("date", "Tue, 24 Nov 2026 08:00:00 GMT"), ("link", link)];
        let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let answer = |headers| Answer { status: 200, headers, body: String::new() };
        let told = answer(headers.into_iter().collect());
        assert_eq!(told.date(), Some("2026-11-24T08:00:00Z".parse().unwrap()));
        assert_eq!(told.next_cursor().as_deref(), Some("v1_2="));
        let silent = answer(HeaderMap::new());
        assert_eq!((silent.date(), silent.next_cursor()), (None, None));
    }

    #[test]
    fn no_part_of_a_path_reaches_beyond_itself() {
        assert_eq!(escape("dependabot[bot]"), "dependabot%5Bbot%5D");
        assert_eq!(escape("../a b?c&d#e"), "%2E%2E%2Fa%20b%3Fc%26d%23e");
        assert_eq!(escape("é"), "%C3%A9");
    }

    #[test]
    fn outside_a_runtime_there_is_an_error_and_no_panic() {
        assert!(matches!(Client::anonymous("https://api.github.com"), Err(GitHubError::Unexpected(_))));
    }
}
