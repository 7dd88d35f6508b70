//! The proxy itself: takes a request, asks the list, finds the address, and lets bytes through.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri, client, server};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream, UdpSocket, lookup_host};
use tokio::sync::Semaphore;

use super::address::is_public;
use super::report::{Reporter, say};
use super::{Order, ProxyMessage};
use crate::config::Host;
use crate::story::checks::{RefusalReason, Refused};

/// The command of hob's program that is the proxy. For hob alone.
pub const COMMAND: &str = "proxy-checks";

/// Connections at once; more wait. A package manager opens some dozen.
const MAX_CONNECTIONS: usize = 256;
/// The longest that a server may take to answer the door.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest that a request's head may take to come.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest name that DNS knows. A longer one leads nowhere, and would be told and kept.
const MAX_NAME: usize = 253;
/// Any free port of the proxy's own.
const ANY_PORT: u16 = 0;

/// What goes with one connection and not with the message.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
];

type Answer = Response<Either<Incoming, Full<Bytes>>>;

/// What all connections share.
struct Proxy<F> {
    hosts: Vec<Host>,
    find: F,
    reporter: Reporter,
}

/// Is the proxy until it is told to end.
pub fn run(order: &str) -> anyhow::Result<()> {
    let order: Order = serde_json::from_str(order).context("parsing the list of allowed servers")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((own_address(order.inside).await?, ANY_PORT)).await?;
        let mut ended = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        say(&ProxyMessage::Listens(listener.local_addr()?));
        tokio::select! {
            () = serve(listener, order.hosts, find) => {}
            _ = ended.recv() => {}
        }
        Ok(())
    })
}

/// The own address on the network that has this one. Nothing is sent.
async fn own_address(inside: IpAddr) -> anyhow::Result<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").await?;
    socket.connect((inside, 9)).await.context("reaching the inside network")?;
    Ok(socket.local_addr()?.ip())
}

/// The addresses of a name, as the system finds them.
async fn find(name: String, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    let bare = name.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(lookup_host((bare, port)).await?.collect())
}

async fn serve<F, R>(listener: TcpListener, hosts: Vec<Host>, find: F)
where
    F: Fn(String, u16) -> R + Send + Sync + 'static,
    R: Future<Output = std::io::Result<Vec<SocketAddr>>> + Send + 'static,
{
    let proxy = Arc::new(Proxy { hosts, find, reporter: Reporter::default() });
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of files, for the moment.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (proxy, place) = (Arc::clone(&proxy), Arc::new(place));
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let (proxy, place) = (Arc::clone(&proxy), Arc::clone(&place));
                async move {
                    Ok::<_, std::convert::Infallible>(match request.method() {
                        &Method::CONNECT => proxy.tunnel(request, place).await,
                        _ => proxy.forward(request).await,
                    })
                }
            });
            let mut http = server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
            // A client that spoke no HTTP, or hung up, needs no answer.
            let _ = http.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
        });
    }
}

impl<F, R> Proxy<F>
where
    F: Fn(String, u16) -> R,
    R: Future<Output = std::io::Result<Vec<SocketAddr>>>,
{
    /// Opens a tunnel. `place` is kept for as long as it stands.
    async fn tunnel<P: Send + 'static>(&self, request: Request<Incoming>, place: P) -> Answer {
        let Some((name, port)) = place_of(request.uri(), None) else {
            return said(StatusCode::BAD_REQUEST, "invalid address");
        };
        let mut there = match self.open(&name, port).await {
            Ok(there) => there,
            Err(answer) => return *answer,
        };
        tokio::spawn(async move {
            let _place = place;
            if let Ok(upgraded) = hyper::upgrade::on(request).await {
                // However it ends, both sides are closed.
                let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(upgraded), &mut there).await;
            }
        });
        said(StatusCode::OK, "")
    }

    /// Hands a plain request on, and the answer back.
    async fn forward(&self, mut request: Request<Incoming>) -> Answer {
        let is_plain = request.uri().scheme_str() == Some("http");
        let Some((name, port)) = place_of(request.uri(), Some(80)).filter(|_| is_plain) else {
            return said(StatusCode::BAD_REQUEST, "this proxy supports HTTP and tunnels only");
        };
        let there = match self.open(&name, port).await {
            Ok(there) => there,
            Err(answer) => return *answer,
        };
        if let Err(answer) = as_sent(&mut request) {
            return *answer;
        }
        let opened = client::conn::http1::handshake(TokioIo::new(there)).await;
        let Ok((mut sender, connection)) = opened else {
            return said(StatusCode::BAD_GATEWAY, "the server closed the connection");
        };
        tokio::spawn(connection);
        match sender.send_request(request).await {
            Ok(mut answer) => {
                strip(answer.headers_mut());
                answer.map(Either::Left)
            }
            Err(error) => said(StatusCode::BAD_GATEWAY, &error.to_string()),
        }
    }

    /// A connection to a server that may be reached.
    async fn open(&self, name: &str, port: u16) -> Result<TcpStream, Box<Answer>> {
        let refuse = |why: RefusalReason| {
            let refused = Refused { host: format!("{name}:{port}"), why };
            let words = refused.describe();
            self.reporter.refused(refused);
            Box::new(said(StatusCode::FORBIDDEN, &words))
        };
        if !self.hosts.iter().any(|host| host.allows(name, port)) {
            return Err(refuse(RefusalReason::NotListed));
        }
        let unreachable =
            |error: String| Box::new(said(StatusCode::BAD_GATEWAY, &format!("{name}:{port}: {error}")));
        let found = tokio::time::timeout(CONNECT_TIMEOUT, (self.find)(name.to_owned(), port)).await;
        let found = found.map_err(|_| unreachable("its address did not resolve in time".to_owned()))?;
        let found = found.map_err(|error| unreachable(error.to_string()))?;
        let may = |at: &&SocketAddr| {
            is_public(at.ip()) || self.hosts.iter().any(|host| host.allows_address(at.ip(), port))
        };
        let open: Vec<SocketAddr> = found.iter().filter(may).copied().collect();
        if open.is_empty() && !found.is_empty() {
            return Err(refuse(RefusalReason::Private));
        }
        // The very addresses that were looked at: asked again, the name could lead elsewhere.
        match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&open[..])).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(unreachable(error.to_string())),
            Err(_) => Err(unreachable("no response in time".to_owned())),
        }
    }
}

/// The name and port that an address is about.
fn place_of(uri: &Uri, usual_port: Option<u16>) -> Option<(String, u16)> {
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    let name = authority.host().to_owned();
    let is_name = !name.is_empty() && name.len() <= MAX_NAME;
    Some((name, authority.port_u16().or(usual_port)?)).filter(|_| is_name)
}

/// The request as the server itself gets it: for the place that was asked about, whatever else its
/// headers say.
fn as_sent(request: &mut Request<Incoming>) -> Result<(), Box<Answer>> {
    let wrong = |_| Box::new(said(StatusCode::BAD_REQUEST, "invalid address"));
    let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    strip(request.headers_mut());
    request.headers_mut().insert(HOST, HeaderValue::from_str(&authority).map_err(|_| wrong(()))?);
    *request.uri_mut() = path.parse().map_err(|_| wrong(()))?;
    Ok(())
}

/// Takes out what was for this connection only.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

fn said(status: StatusCode, words: &str) -> Answer {
    let body = if words.is_empty() { Bytes::new() } else { Bytes::from(format!("{words}\n")) };
    let mut answer = Response::new(Either::Right(Full::new(body)));
    *answer.status_mut() = status;
    answer
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A server that says what it was asked, after a line of its own. Its port.
    async fn server() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut asked = vec![0; 4096];
                    let length = stream.read(&mut asked).await.unwrap_or(0);
                    let body = String::from_utf8_lossy(&asked[..length]).into_owned();
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\nconnection: close, x-hop\r\nx-hop: 1\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        port
    }

    /// A proxy for whose names everything is this machine.
    async fn proxy(hosts: &[String]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
        let find = |_, port| async move { Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]) };
        tokio::spawn(serve(listener, hosts, find));
        address
    }

    /// All that a proxy answers to these bytes.
    async fn say_to(proxy: SocketAddr, first: &str, then: &str) -> String {
        let mut stream = TcpStream::connect(proxy).await.unwrap();
        stream.write_all(first.as_bytes()).await.unwrap();
        let mut told = Vec::new();
        if !then.is_empty() {
            while !told.ends_with(b"\r\n\r\n") {
                told.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(then.as_bytes()).await.unwrap();
        }
        stream.read_to_end(&mut told).await.unwrap();
        String::from_utf8_lossy(&told).into_owned()
    }

    #[tokio::test]
    async fn what_is_listed_is_reached_plainly_and_by_tunnel() {
        let port = server().await;
        let proxy = proxy(&[format!("good.example:{port}"), format!("127.0.0.1:{port}")]).await;
        let request = format!(
            "GET http://good.example:{port}/a?b=c HTTP/1.1\r\nHost: other.example\r\nProxy-Authorization: Basic x\r\n\
             Connection: close, x-own\r\nx-own: 1\r\nx-kept: 2\r\n\r\n"
        );
        let told = say_to(proxy, &request, "").await;
        assert!(told.starts_with("HTTP/1.1 200 OK\r\n") && !told.contains("x-hop"), "{told}");
        let (_, asked) = told.split_once("\r\n\r\n").unwrap();
        assert!(asked.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{asked}");
        assert!(
            asked.contains(&format!("host: good.example:{port}\r\n")) && asked.contains("x-kept: 2"),
            "{asked}"
        );
        for gone in ["other.example", "authorization", "x-own"] {
            assert!(!asked.contains(gone), "{gone} in {asked}");
        }
        let tunnel = format!("CONNECT GOOD.example:{port} HTTP/1.1\r\nHost: x\r\n\r\n");
        let told = say_to(proxy, &tunnel, "whatever").await;
        assert!(told.starts_with("HTTP/1.1 200 OK\r\n") && told.ends_with("\r\n\r\nwhatever"), "{told}");
    }

    #[tokio::test]
    async fn what_is_not_listed_or_leads_to_the_machine_is_refused() {
        let port = server().await;
        let proxy = proxy(&[format!("good.example:{port}")]).await;
        for place in
            [format!("bad.example:{port}"), format!("127.0.0.1:{port}"), format!("good.example:{}", port ^ 1)]
        {
            let plain =
                say_to(proxy, &format!("GET http://{place}/ HTTP/1.1\r\nConnection: close\r\n\r\n"), "")
                    .await;
            assert!(plain.starts_with("HTTP/1.1 403 ") && plain.contains(&place), "{plain}");
            let tunnel =
                say_to(proxy, &format!("CONNECT {place} HTTP/1.1\r\nConnection: close\r\n\r\n"), "").await;
            assert!(
                tunnel.starts_with("HTTP/1.1 403 ") && tunnel.contains("is not in `checks_network`"),
                "{tunnel}"
            );
        }
        // Listed, and its name leads to this machine, which is not.
        let place = format!("http://good.example:{port}/");
        let private = say_to(proxy, &format!("GET {place} HTTP/1.1\r\nConnection: close\r\n\r\n"), "").await;
        assert!(private.starts_with("HTTP/1.1 403 ") && private.contains("private address"), "{private}");
        // Not the way to ask a proxy.
        let endless = format!("CONNECT {}:443 HTTP/1.1", "a".repeat(65_500));
        for wrong in [
            endless.as_str(),
            "GET / HTTP/1.1\r\nHost: good.example",
            "GET https://good.example/ HTTP/1.1",
            "CONNECT good.example HTTP/1.1",
        ] {
            let told = say_to(proxy, &format!("{wrong}\r\nConnection: close\r\n\r\n"), "").await;
            assert!(told.starts_with("HTTP/1.1 400 ") && told.len() < 1000, "{wrong}: {told}");
        }
    }
}
