//! Taking connections: as many as hob has files for. Who gets a place where there are more is in
//! `places.rs`.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::places::{BodyRoom, ConnectionSlot, ConnectionSlots, Limits};

/// Connections that the system takes before hob does: a burst of them waits for no second try. The
/// system's own limit, `net.core.somaxconn`, may be lower.
pub const BACKLOG: u32 = 4096;

/// The pause after a connection could not be taken: mostly, hob is out of files for the moment.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// What is read of a connection before it is worked with: the longest head, and the largest piece
/// of a body.
const BUFFER: usize = 64 << 10;

/// Who sends a request: its connection's place.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    address: IpAddr,
    place: Arc<ConnectionSlot>,
}

impl Peer {
    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    /// Room for the request's body.
    pub(super) fn begin_body(&self) -> BodyRoom {
        self.place.begin_body()
    }
}

/// Listens at an address.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Or hob could not start again while connections of the last one are being forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `stop` is set; then no connection is taken any more, and requests under way get
/// their answer.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
    let places = ConnectionSlots::new(limits);
    let connections = TaskTracker::new();
    loop {
        let taken = tokio::select! {
            () = stop.cancelled() => break,
            taken = take(&listener, &places) => taken,
        };
        match taken {
            Ok((stream, peer)) => {
                connections.spawn(answer(stream, router.clone(), peer, stop.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn take(listener: &TcpListener, places: &Arc<ConnectionSlots>) -> io::Result<(TcpStream, Peer)> {
    let (stream, address) = listener.accept().await?;
    let place = places.take(address.ip()).await;
    Ok((stream, Peer { address: address.ip(), place: Arc::new(place) }))
}

/// Answers the requests of one connection.
async fn answer(stream: TcpStream, router: Router, peer: Peer, stop: CancellationToken) {
    let place = Arc::clone(&peer.place);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(place.limits().head_within).max_buf_size(BUFFER);
    let service = TowerToHyperService::new(router.layer(Extension(peer)));
    let connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // A client that spoke no HTTP, hung up or said nothing needs no answer. Who was told to leave
    // in the middle of a body has its answer by then.
    tokio::select! {
        biased;
        _ = connection.as_mut() => {}
        () = place.told_to_leave() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                biased;
                _ = connection => {}
                () = place.told_to_leave() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    use super::*;

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_secs(600);
    /// What has not come by then does not come.
    const HANGS: Duration = Duration::from_secs(60);
    const SOON: Duration = Duration::from_millis(300);
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: hob\r\nConnection: close\r\n\r\n";

    struct Door {
        address: SocketAddr,
        stop: CancellationToken,
        /// `/slow` has been asked for, and may answer.
        asked: Arc<Notify>,
        go_on: Arc<Notify>,
        ended: JoinHandle<()>,
    }

    async fn door(connections: usize, head_within: Duration) -> Door {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, go_on, stop) =
            (Arc::new(Notify::new()), Arc::new(Notify::new()), CancellationToken::new());
        let (says, waits) = (Arc::clone(&asked), Arc::clone(&go_on));
        let slow = async move || {
            says.notify_one();
            waits.notified().await;
            "slow"
        };
        let router = Router::new().route("/", get(async || "here")).route("/slow", get(slow));
        let limits = Limits { connections, head_within, ..Limits::for_bodies_up_to(1) };
        let ended = tokio::spawn(serve(listener, router, limits, stop.clone()));
        Door { address, stop, asked, go_on, ended }
    }

    impl Door {
        /// A connection that has said this.
        async fn says(&self, words: &[u8]) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(words).await.unwrap();
            stream
        }
    }

    /// All that comes until the other side closes.
    async fn rest(mut stream: TcpStream) -> String {
        let mut told = Vec::new();
        let closed = tokio::time::timeout(HANGS, stream.read_to_end(&mut told)).await;
        closed.expect("it is not closed").unwrap();
        String::from_utf8(told).unwrap()
    }

    #[tokio::test]
    async fn a_connection_that_says_nothing_more_is_closed() {
        let door = door(8, SOON).await;
        let kept = door.says(b"GET / HTTP/1.1\r\nHost: hob\r\n\r\n").await;
        for (words, told) in [(b"".as_slice(), ""), (b"GET / HT", ""), (b"GET / HTTP/1.1\r\nHost: ", "")] {
            assert_eq!(rest(door.says(words).await).await, told);
        }
        let told = rest(kept).await;
        assert!(told.starts_with("HTTP/1.1 200 OK\r\n") && told.ends_with("here"), "{told}");
    }

    #[tokio::test]
    async fn silent_connections_keep_nobody_out_for_long() {
        let roomy = door(64, LONG).await;
        let mut silent = Vec::new();
        for _ in 0..63 {
            silent.push(roomy.says(b"").await);
        }
        assert!(rest(roomy.says(REQUEST).await).await.ends_with("here"));
        // Where there is no room, what is silent makes it, at once.
        let narrow = door(2, LONG).await;
        for _ in 0..4 {
            silent.push(narrow.says(b"").await);
        }
        assert!(rest(narrow.says(REQUEST).await).await.ends_with("here"));
    }

    #[tokio::test]
    async fn at_the_end_requests_under_way_are_answered_and_nobody_else_is_waited_for() {
        let door = door(8, LONG).await;
        let (silent, slow) =
            (door.says(b"").await, door.says(b"GET /slow HTTP/1.1\r\nHost: hob\r\n\r\n").await);
        door.asked.notified().await;
        door.stop.cancel();
        assert_eq!(rest(silent).await, "");
        assert!(!door.ended.is_finished());
        door.go_on.notify_one();
        let told = rest(slow).await;
        assert!(told.starts_with("HTTP/1.1 200 OK\r\n") && told.ends_with("slow"), "{told}");
        door.ended.await.unwrap();
        assert!(TcpStream::connect(door.address).await.is_err());
    }

    #[tokio::test]
    async fn a_burst_of_connections_waits_for_no_second_try() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let system: u32 =
            std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
        // Nobody takes one. Of more than the system keeps, the second try comes after a second.
        let burst = 300.min(system);
        let began = std::time::Instant::now();
        let connecting = (0..burst).map(|_| TcpStream::connect(address));
        let connected = futures_util::future::join_all(connecting).await;
        assert!(connected.iter().all(Result::is_ok));
        assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
    }
}
