//! Failure on command: which request fails how, and the sockets that can be cut under an answer.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// How a request fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// This status and these headers are answered; nothing is done.
    Status(u16, Vec<(String, String)>),
    /// 403, because hob has not the right to it; nothing is done.
    Forbidden,
    /// The connection is reset without an answer; nothing is done.
    Reset,
    /// What was asked for is done, then the connection is reset without an answer.
    AnswerLost,
    /// The request is handled after this time.
    Delay(Duration),
    /// 502 is answered at once, and what was asked for is done after this time, once.
    EffectDelayed(Duration),
    /// A list, or anything else that is read, is as it was when the same was asked last; an empty
    /// list where it never was.
    StaleList,
}

struct Rule {
    method: String,
    path_contains: String,
    fault: Fault,
    left: usize,
}

/// The faults that are still to come, in the order in which they were asked for.
#[derive(Default)]
pub(super) struct Faults {
    rules: Vec<Rule>,
}

impl Faults {
    pub(super) fn add(&mut self, method: &str, path_contains: &str, fault: Fault, times: usize) {
        self.rules.push(Rule {
            method: method.to_owned(),
            path_contains: path_contains.to_owned(),
            fault,
            left: times,
        });
    }

    /// The fault for this request, if one is due, which then counts as used.
    pub(super) fn take(&mut self, method: &str, path_and_query: &str) -> Option<Fault> {
        let rule = self.rules.iter_mut().find(|rule| {
            rule.left > 0 && rule.method == method && path_and_query.contains(&rule.path_contains)
        })?;
        rule.left -= 1;
        Some(rule.fault.clone())
    }

    /// No further request meets one.
    pub(super) fn end(&mut self) {
        self.rules.clear();
    }

    /// The faults that no request has met, in words.
    pub(super) fn unused(&self) -> Vec<String> {
        let unused = self.rules.iter().filter(|rule| rule.left > 0);
        unused
            .map(|rule| format!("{} {}: {:?} × {}", rule.method, rule.path_contains, rule.fault, rule.left))
            .collect()
    }
}

/// Serves until the runtime ends.
pub(super) async fn serve(listener: TcpListener, router: Router) {
    let service = router.into_make_service_with_connect_info::<Scissors>();
    axum::serve(Door(listener), service).await.expect("serve the played GitHub");
}

/// Cuts the connection that a request came over: whatever is answered after that is not sent.
#[derive(Clone)]
pub(super) struct Scissors(Arc<AtomicBool>);

impl Scissors {
    pub(super) fn cut(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Connected<IncomingStream<'_, Door>> for Scissors {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self(Arc::clone(&stream.io().cut))
    }
}

struct Door(TcpListener);

impl Listener for Door {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        (Line { stream, cut: Arc::default() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A connection that can be cut.
struct Line {
    stream: TcpStream,
    cut: Arc<AtomicBool>,
}

impl Line {
    fn check(&self) -> io::Result<()> {
        if self.cut.load(Ordering::SeqCst) {
            // Without lingering, closing sends a reset instead of an orderly end.
            self.stream.set_zero_linger()?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
