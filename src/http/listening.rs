//! Taking connections: as many as hob has files for, and none that says nothing for long. Whoever reaches the address can
//! open one, so what is silent must not keep GitHub out.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The pause after a connection could not be taken: mostly, hob is out of files for the moment.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// What connections may take up.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; more wait for one to end.
    pub connections: usize,
    /// The longest that a request's head may take to come, the first as well as one after it.
    pub head_within: Duration,
}

impl Default for Limits {
    /// A process has 1,024 files where nobody says otherwise, and hob's work needs some. GitHub waits ten seconds for an
    /// answer, and sends its heads at once.
    fn default() -> Limits {
        Limits { connections: 512, head_within: Duration::from_secs(10) }
    }
}

/// Serves until `stop` is set; then no connection is taken any more, and requests under way get their answer.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let connections = TaskTracker::new();
    loop {
        let taken = tokio::select! {
            () = stop.cancelled() => break,
            taken = async {
                let place = Arc::clone(&room).acquire_owned().await;
                (place, listener.accept().await)
            } => taken,
        };
        match taken {
            (place, Ok((stream, _))) => {
                let (router, stop) = (router.clone(), stop.clone());
                connections.spawn(async move {
                    let _place = place;
                    answer(stream, router, limits.head_within, stop).await;
                });
            }
            (_, Err(error)) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Answers the requests of one connection.
async fn answer(stream: TcpStream, router: Router, head_within: Duration, stop: CancellationToken) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head_within);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    // Whoever spoke no HTTP, hung up or said nothing needs no answer.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
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
        let limits = Limits { connections, head_within };
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
        // Where there is no room, what is silent makes it.
        let narrow = door(2, SOON).await;
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
}
