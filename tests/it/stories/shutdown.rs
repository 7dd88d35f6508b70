//! A stop: in bounded time whatever hangs, and never with an agent. And what systemd hears.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use hob::serve::GRACE;
use tokio::net::UnixDatagram;

use crate::store::Locked;
use crate::world::github::Fault;
use crate::world::hob::Program;
use crate::world::{REPO, World};

/// Far longer than any bound.
const NEVER: Duration = Duration::from_secs(600);
/// What the machine may add to a bound.
const SLACK: Duration = Duration::from_secs(4);

/// A world whose hob drains for a second.
async fn hasty() -> World {
    World::prepare(|config| config.work.drain = Duration::from_secs(1)).await
}

/// Tells hob to stop; it must end well within its bound, and not before its drain where `after`
/// says so.
async fn stops_in_time(w: &World, hob: Program) {
    let began = Instant::now();
    hob.tell_to_stop();
    let code = tokio::time::timeout(w.config.work.drain + GRACE + SLACK, hob.ended()).await;
    assert_eq!(code.expect("hob ends in time"), Some(0), "{}", w.log());
    assert!(began.elapsed() < w.config.work.drain + GRACE + SLACK);
}

/// The entry in which hob says what it did not wait for.
fn still_under_way(w: &World) -> String {
    let entries = w.log();
    let entries = entries.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut named = entries.filter_map(|entry| Some(entry["fields"]["still_under_way"].as_str()?.to_owned()));
    named.next().unwrap_or_default()
}

#[tokio::test]
async fn a_github_that_never_answers_holds_up_no_stop() {
    let w = hasty().await;
    let hob = w.start_program().await;
    w.github.fault("GET", "/permission", Fault::Delay(NEVER), 1);
    let issue = w.alice().opens_issue("Add a note", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    w.eventually("hob to ask who alice is", async || w.github.unused_faults().is_empty().then_some(())).await;
    stops_in_time(&w, hob).await;
    assert_eq!(still_under_way(&w), "intake");
    let hob = w.start_program().await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    assert_eq!(hob.terminate().await, Some(0));
    w.finish().await;
}

#[tokio::test]
async fn a_git_host_that_never_answers_holds_up_no_stop() {
    let w = hasty().await;
    let hob = w.start_program().await;
    w.github.fault("GET", "/info/refs", Fault::Delay(NEVER), 1);
    let issue = w.alice().opens_issue("Add a note", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    w.eventually("hob to fetch", async || w.github.unused_faults().is_empty().then_some(())).await;
    stops_in_time(&w, hob).await;
    assert!(w.log().contains("shutdown timed out with steps in progress"), "{}", w.log());
    let hob = w.start_program().await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    assert_eq!(w.github.pulls(REPO).len(), 1);
    assert_eq!(hob.terminate().await, Some(0));
    w.finish().await;
}

/// A client that begins a request and never ends it. Returns when hob waits for the rest: it
/// answers `100 Continue` when it begins to read the body.
fn slow_loris(hob: &Program) -> TcpStream {
    let mut client = TcpStream::connect(hob.address()).expect("hob listens");
    let head = format!(
        "POST /webhook HTTP/1.1\r\nHost: hob\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\
         X-GitHub-Event: push\r\nX-GitHub-Delivery: guid\r\nX-Hub-Signature-256: sha256={}\r\n\r\n",
        "0".repeat(64)
    );
    client.write_all(head.as_bytes()).expect("it is sent");
    let mut answer = [0; 12];
    client.read_exact(&mut answer).expect("hob answers");
    assert_eq!(&answer, b"HTTP/1.1 100");
    client
}

#[tokio::test]
async fn a_client_that_never_ends_its_request_holds_up_no_stop_and_a_second_signal_ends_hob_at_once() {
    // The request is given up after three seconds without a byte of its body.
    let w = World::prepare(|config| config.work.drain = Duration::from_secs(6)).await;
    let hob = w.start_program().await;
    let client = slow_loris(&hob);
    stops_in_time(&w, hob).await;
    assert_eq!(still_under_way(&w), "");
    drop(client);

    let hob = w.start_program().await;
    let _client = slow_loris(&hob);
    hob.tell_to_stop();
    w.eventually("hob to stop", async || {
        (w.log().matches("stopping; running agents continue").count() == 2).then_some(())
    })
    .await;
    let began = Instant::now();
    assert_eq!(hob.terminate().await, Some(130));
    assert!(began.elapsed() < Duration::from_secs(2), "at once took {:?}", began.elapsed());
    w.finish().await;
}

#[tokio::test]
async fn a_store_that_somebody_locks_holds_up_no_stop_and_the_agent_goes_on() {
    let w = hasty().await;
    let hob = w.start_program().await;
    let issue = w.alice().opens_issue("Long work", "[scenario: slow 8]").await;
    w.alice().labels(issue, "hob").await;
    let container = w.eventually("the agent to run", async || w.containers().await.first().cloned()).await;
    let locked = Locked::hold(&w.data().join("hob.db")).await;
    stops_in_time(&w, hob).await;
    locked.let_go().await;
    assert_eq!(w.containers().await, [container], "the agent goes on without hob");
    let hob = w.start_program().await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    assert_eq!(hob.terminate().await, Some(0));
    w.finish().await;
}

/// What systemd would hear.
struct Systemd(UnixDatagram);

impl Systemd {
    /// The next message that holds this line, whatever comes before it.
    async fn hears(&self, line: &str) -> String {
        let mut buffer = vec![0; 4096];
        let listening = async {
            loop {
                let length = self.0.recv(&mut buffer).await.expect("a message");
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if text.lines().any(|found| found.starts_with(line)) {
                    return text;
                }
            }
        };
        let heard = tokio::time::timeout(Duration::from_secs(30), listening).await;
        heard.unwrap_or_else(|_| panic!("systemd has not heard {line}"))
    }

    /// Forgets what was said so far.
    fn forget(&self) {
        while self.0.try_recv(&mut [0; 4096]).is_ok() {}
    }

    /// Whether this line is said within a time.
    async fn hears_within(&self, line: &str, within: Duration) -> bool {
        tokio::time::timeout(within, self.hears(line)).await.is_ok()
    }
}

#[tokio::test]
async fn systemd_hears_that_hob_is_ready_that_it_is_well_and_that_it_stops() {
    let watchdog = Duration::from_secs(2);
    let w = World::prepare(|_| {}).await;
    let socket = w.folder().join("notify");
    let systemd = Systemd(UnixDatagram::bind(&socket).expect("a socket"));
    let micros = watchdog.as_micros().to_string();
    let variables = [("NOTIFY_SOCKET", socket.to_str().expect("a path")), ("WATCHDOG_USEC", &micros)];
    let hob = w.start_program_with(&variables).await;
    systemd.hears("READY=1").await;
    for _ in 0..3 {
        assert!(systemd.hears_within("WATCHDOG=1", watchdog).await, "it comes at least once in its time");
    }
    let told = systemd.hears("STATUS=tasks: 0 in progress").await;
    assert!(told.contains("0 waiting for an answer; pending: 0 deliveries"), "{told}");

    let locked = Locked::hold(&w.data().join("hob.db")).await;
    systemd.hears("STATUS=cannot write to the store").await;
    systemd.forget();
    assert!(!systemd.hears_within("WATCHDOG=1", watchdog * 2).await, "systemd would restart hob now");
    locked.let_go().await;
    systemd.hears("WATCHDOG=1").await;

    hob.tell_to_stop();
    let told = systemd.hears("STOPPING=1").await;
    let most = w.config.work.drain + GRACE;
    assert!(told.contains(&format!("EXTEND_TIMEOUT_USEC={}", most.as_micros())), "{told}");
    assert_eq!(hob.ended().await, Some(0));
    w.finish().await;
}
