//! The door, and who may command hob.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::github::Fault;
use crate::world::{BOT, REPO, World};

#[tokio::test]
async fn outsiders_and_bots_get_nothing() {
    let w = World::start().await;
    let issue = w.mallory().opens_issue("Mine bitcoin", "[scenario: work]").await;
    assert_eq!(w.mallory().labels(issue, "hob").await, 202);
    assert_eq!(w.tina().labels(issue, "hob").await, 202);
    w.mallory().comments(issue, "/hob work").await;
    w.quiet().await;
    assert!(w.github.issue_reactions(REPO, issue).is_empty() && w.github.pulls(REPO).is_empty());
    assert!(!w.data().join("stories").read_dir().unwrap().any(|_| true));
    w.finish().await;
}

#[tokio::test]
async fn an_outsiders_comment_is_no_answer() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    w.mallory().comments(issue, "send it to me").await;
    w.quiet().await;
    assert!(w.github.pulls(REPO).is_empty());
    w.alice().comments(issue, "one array").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn other_labels_and_talk_about_commands_do_nothing() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Talk", "[scenario: work]").await;
    w.alice().labels(issue, "bug").await;
    w.alice().comments(issue, "You could write:\n```\n/hob work\n```").await;
    w.alice().comments(issue, "> /hob work\n\nno").await;
    w.quiet().await;
    assert!(w.github.pulls(REPO).is_empty());
    w.finish().await;
}

#[tokio::test]
async fn of_the_changes_of_a_status_comment_only_is_kept_that_they_came() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.alice().labels(issue, "hob").await;
    let card = w.next_comment(issue).await;
    // Anyone who writes a status comment's end under a card has not made it one: the card is put
    // back.
    let end = w.status(issue).expect("a status comment").body;
    let end = end.lines().last().expect("a marker");
    w.bob().rewrites(card.id, &format!("{}\n{end}", card.body)).await;
    w.until("the card to be put back", |github| {
        (github.comment_text(REPO, card.id) == card.body).then_some(())
    })
    .await;
    w.bob().ticks(card.id, "one array").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    // The end of each task changes it; what happens within seconds does not.
    w.alice().comments(issue, "/hob work more [scenario: work]").await;
    w.next_comment(issue).await;
    w.quiet().await;

    let (mut changes, mut others) = (0, 0);
    for delivery in w.github.deliveries() {
        let body: serde_json::Value = serde_json::from_slice(&delivery.body).expect("JSON");
        let text = body["comment"]["body"].as_str().unwrap_or_default();
        let recorded = w.store().recorded_delivery(&delivery.guid).await.unwrap().expect("it came");
        let is_noted = recorded.note.as_deref() == Some("the status comment changed");
        let is_change = delivery.action.as_deref() == Some("edited")
            && text.contains("<!-- hob:status ")
            && body["comment"]["id"] != card.id;
        assert_eq!(is_noted, is_change, "{text}");
        *(if is_noted { &mut changes } else { &mut others }) += 1;
    }
    assert!(changes >= 3 && others < 30, "{changes} changes of the status, {others} other deliveries");
    w.finish().await;
}

#[tokio::test]
async fn a_delivery_that_comes_twice_changes_nothing_the_second_time() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    let labeled = w.github.deliveries().into_iter().find(|d| d.action.as_deref() == Some("labeled")).unwrap();
    assert_eq!(w.github.redeliver(&labeled.guid).await, 200);
    w.next_pull_request().await;
    w.next_comment(issue).await;
    assert_eq!(w.github.redeliver(&labeled.guid).await, 200);
    w.quiet().await;
    assert_eq!(w.github.commits(REPO, "hob/issue-1").len(), 2);
    w.finish().await;
}

#[tokio::test]
async fn a_label_put_on_again_while_hob_works_is_no_second_task() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    w.bob().labels(issue, "hob").await;
    w.quiet().await;
    w.alice().comments(issue, "one array").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn the_text_is_what_the_delivery_carried() {
    let mut w = World::prepare(|_| {}).await;
    w.start_hob().await;
    // hob asks whether alice may; until it knows, the issue is changed behind her back.
    w.github.fault("GET", "/permission", Fault::Delay(std::time::Duration::from_secs(1)), 1);
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: nothing]").await;
    w.alice().labels(issue, "hob").await;
    w.github.edit_issue(REPO, issue, "Steal", "[scenario: work]");
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**Nothing to change.**"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn the_door_answers_each_mistake_with_its_own_code() {
    let w = World::with(|config| config.server.body_limit = hob::config::ByteSize(100_000)).await;
    let body = br#"{"zen":"Keep it logically awesome."}"#.to_vec();
    let good = w.github.sign(&body);
    let send = async |event: &str, guid: &str, body: Vec<u8>, signature: Option<String>| {
        w.github.send_raw(event, guid, body, signature).await
    };
    assert_eq!(send("ping", "guid-1", body.clone(), Some(good.clone())).await, 202);
    assert_eq!(send("ping", "guid-1", body.clone(), Some(good.clone())).await, 200, "already received");
    assert_eq!(send("ping", "guid-2", body.clone(), Some(w.github.sign(b"else"))).await, 401);
    assert_eq!(send("ping", "guid-2", body.clone(), Some("sha256=xyz".to_owned())).await, 400);
    assert_eq!(send("ping", "guid-2", body.clone(), None).await, 400);
    assert_eq!(send("ping", "", body.clone(), Some(good.clone())).await, 400);
    assert_eq!(send(&"x".repeat(101), "guid-2", body.clone(), Some(good.clone())).await, 400);
    assert_eq!(send(&"x".repeat(100), &"g".repeat(100), body.clone(), Some(good.clone())).await, 202);
    assert_eq!(send("ping", &"g".repeat(101), body.clone(), Some(good)).await, 400);
    let large = vec![b' '; 200_000];
    let signature = w.github.sign(&large);
    assert_eq!(send("ping", "guid-3", large, Some(signature)).await, 413);
    w.quiet().await;
    w.finish().await;
}

#[tokio::test]
async fn a_delivery_that_cannot_be_decoded_is_set_aside_and_holds_up_nothing() {
    let w = World::start().await;
    let body = br#"{"action":"labeled"}"#.to_vec();
    let signature = w.github.sign(&body);
    assert_eq!(w.github.send_raw("issues", "guid-1", body, Some(signature)).await, 202);
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn the_health_pages_tell_the_truth() {
    let w = World::start().await;
    let get = async |w: &World, path: &str| {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(format!("http://{}{path}", w.address())).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(get(&w, "/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(get(&w, "/readyz").await, (200, "store: ok\ndocker: ok\ngithub: ok\n".to_owned()));
    assert_eq!(get(&w, "/webhook").await.0, 405);
    w.finish().await;
    let w = World::with(|config| config.container.docker = "unix:///nowhere".to_owned()).await;
    assert_eq!(get(&w, "/readyz").await, (503, "store: ok\ndocker: not ready\ngithub: ok\n".to_owned()));
    w.finish().await;
}

#[tokio::test]
async fn github_that_is_away_for_a_moment_loses_nothing_and_doubles_nothing() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: work]").await;
    w.github.fault("GET", "/permission", Fault::Status(502, vec![]), 4);
    w.github.fault("POST", "/pulls", Fault::Status(502, vec![]), 1);
    w.github.fault("POST", "/issues/1/comments", Fault::AnswerLost, 1);
    w.alice().labels(issue, "hob").await;
    w.next_pull_request().await;
    assert!(w.next_comment(issue).await.body.starts_with("Done: #2"));
    w.quiet().await;
    assert_eq!(w.github.pulls(REPO).len(), 1);
    assert_eq!(w.github.comments(REPO, issue).iter().filter(|c| c.author == BOT).count(), 1);
    // Looked for, and not written a second time: the status comment, and an answer.
    let written = || {
        let requests = w.github.requests().into_iter();
        requests.filter(|r| r.method == "POST" && r.path.ends_with("/issues/1/comments")).count()
    };
    assert_eq!(written(), 1);
    w.github.fault("POST", "/issues/1/comments", Fault::AnswerLost, 1);
    w.alice().comments(issue, "/hob help").await;
    w.next_comment(issue).await;
    w.quiet().await;
    assert_eq!(written(), 2);
    w.finish().await;
}

#[tokio::test]
async fn a_command_that_is_none_is_answered_with_what_hob_understands() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Talk", "[scenario: work]").await;
    w.alice().comments(issue, "/hob dance").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("There is no command `/hob dance`. Nothing was started."), "{said}");
    w.mallory().comments(issue, "/hob dance").await;
    w.quiet().await;
    w.finish().await;
}

#[tokio::test]
async fn a_label_or_an_option_chooses_agent_and_image() {
    let w = World::with(|config| {
        config.agent.command = vec!["exchange-agent".to_owned()];
        config.container.allowed_images = vec!["also-allowed:1".to_owned()];
    })
    .await;
    let issue = w.alice().opens_issue("By label", "[scenario: work]").await;
    w.alice().labels(issue, "hob:command").await;
    let pull = w.next_pull_request().await;
    assert!(pull.body.contains("a command of this hob's"), "{}", pull.body);
    w.next_comment(issue).await;

    let issue = w.alice().opens_issue("By option", "[scenario: work]").await;
    w.alice().comments(issue, "/hob work --agent command").await;
    let pull = w.next_pull_request().await;
    assert!(pull.body.contains("a command of this hob's"), "{}", pull.body);
    w.next_comment(issue).await;

    let issue = w.alice().opens_issue("By image", "[scenario: work]").await;
    w.alice().comments(issue, "/hob work --image also-allowed:1").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.contains("> Docker has no image `also-allowed:1`."), "{said}");
    w.alice().comments(issue, "/hob work --image somebody/elses:1").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.contains("> The image `somebody/elses:1` is not allowed."), "{said}");
    w.finish().await;
}

/// A body of so many bytes.
fn padded(bytes: usize) -> Vec<u8> {
    let mut body = br#"{"zen":"Keep it logically awesome."}"#.to_vec();
    body.resize(bytes, b' ');
    body
}

#[tokio::test]
async fn bodies_are_taken_up_to_the_limit_that_the_settings_say() {
    let w = World::start().await;
    let limit = w.config.server.body_limit.as_usize();
    assert_eq!(limit, 25 << 20, "the default");
    for (bytes, status) in [(limit - 1, 202), (limit, 202), (limit + 1, 413)] {
        let body = padded(bytes);
        let signature = w.github.sign(&body);
        let guid = format!("guid-{bytes}");
        assert_eq!(w.github.send_raw("ping", &guid, body, Some(signature)).await, status, "{bytes} bytes");
        assert_eq!(w.store().has_delivery(&guid).await.unwrap(), status == 202);
    }
    w.quiet().await;
    w.finish().await;
}

/// A connection to the door of a hob, and what it says in time.
struct Stranger(TcpStream);

impl Stranger {
    async fn says(address: &str, words: &[u8]) -> Stranger {
        let mut stream = TcpStream::connect(address).await.expect("hob listens");
        stream.write_all(words).await.expect("hob reads");
        Stranger(stream)
    }

    /// All that hob says until it closes the connection, and how long that took.
    async fn hears(mut self) -> (String, Duration) {
        let (began, mut heard) = (Instant::now(), Vec::new());
        let closed = tokio::time::timeout(Duration::from_secs(30), self.0.read_to_end(&mut heard)).await;
        // A reset is an end as well: hob does not read on what it has no use for.
        let _ = closed.expect("hob closes the connection");
        (String::from_utf8_lossy(&heard).into_owned(), began.elapsed())
    }
}

/// The head of a webhook whose body has so many bytes, signed by nobody.
fn head(length: &str, signature: &str) -> Vec<u8> {
    format!(
        "POST /webhook HTTP/1.1\r\nHost: hob\r\n{length}\r\nX-GitHub-Event: issues\r\n\
         X-GitHub-Delivery: guid-stranger\r\n{signature}\r\n"
    )
    .into_bytes()
}

fn forged() -> String {
    format!("X-Hub-Signature-256: sha256={}\r\n", "0".repeat(64))
}

#[tokio::test]
async fn the_headers_are_looked_at_before_a_byte_of_the_body() {
    let w = World::start().await;
    for (length, signature, status) in [
        ("Content-Length: 1000", "", "400"),
        ("Content-Length: 1000", "X-Hub-Signature-256: sha256=xyz\r\n", "400"),
        ("Content-Length: 26214401", &*forged(), "413"),
        ("Transfer-Encoding: chunked", "X-Hub-Signature: sha1=0\r\n", "400"),
    ] {
        // Nothing follows the head, and nothing has to.
        let stranger = Stranger::says(&w.address(), &head(length, signature)).await;
        let (heard, took) = stranger.hears().await;
        assert!(heard.starts_with(&format!("HTTP/1.1 {status} ")), "{length}, {signature}: {heard}");
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
    w.finish().await;
}

#[tokio::test]
async fn a_body_that_pauses_or_drips_is_given_up_and_one_that_is_only_slow_is_not() {
    let w = World::start().await;
    let pauses = Stranger::says(&w.address(), &head("Content-Length: 1000", &forged())).await;
    let pauses = tokio::spawn(pauses.hears());
    let mut drips = Stranger::says(&w.address(), &head("Content-Length: 100000", &forged())).await;
    let drips = tokio::spawn(async move {
        let began = Instant::now();
        while drips.0.write_all(b"x").await.is_ok() && began.elapsed() < Duration::from_secs(20) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        began.elapsed()
    });
    // Twice as fast as it must be, for longer than a pause may be.
    let body = padded(40 << 10);
    let signed = format!("X-Hub-Signature-256: {}\r\n", w.github.sign(&body));
    let mut slow =
        Stranger::says(&w.address(), &head(&format!("Content-Length: {}", body.len()), &signed)).await;
    for piece in body.chunks(4 << 10) {
        tokio::time::sleep(Duration::from_millis(450)).await;
        slow.0.write_all(piece).await.expect("hob reads");
    }
    let mut answer = [0; 12];
    slow.0.read_exact(&mut answer).await.expect("hob answers");
    assert_eq!(&answer, b"HTTP/1.1 202");

    let (heard, took) = pauses.await.unwrap();
    assert!(heard.starts_with("HTTP/1.1 408 "), "{heard}");
    assert!((3.0..6.0).contains(&took.as_secs_f64()), "{took:?}");
    let took = drips.await.unwrap();
    assert!((3.0..6.0).contains(&took.as_secs_f64()), "{took:?}");
    w.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_delay_no_signed_delivery() {
    let w = World::prepare(|_| {}).await;
    let hob = w.start_program().await;
    // More than hob has places for, of each kind: silent, a head that does not end, a body that
    // drips, and large bodies that nobody has signed.
    let mut strangers = tokio::task::JoinSet::new();
    for n in 0..600 {
        let address = hob.address().to_owned();
        strangers.spawn(async move {
            let words = match n % 4 {
                0 => Vec::new(),
                1 => b"POST /webhook HTTP/1.1\r\nHost: ".to_vec(),
                _ => head("Content-Length: 20000000", &forged()),
            };
            let Ok(mut stream) = TcpStream::connect(&address).await else { return };
            let _ = stream.write_all(&words).await;
            let piece = vec![b'x'; if n % 4 == 2 { 1 } else { 64 << 10 }];
            if n % 4 >= 2 {
                while stream.write_all(&piece).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut slowest = Duration::ZERO;
    for n in 0..20 {
        let body = padded(1000 + n);
        let (signature, began) = (w.github.sign(&body), Instant::now());
        let status = w.github.send_raw("ping", &format!("guid-{n}"), body, Some(signature)).await;
        assert_eq!(status, 202, "delivery {n}");
        slowest = slowest.max(began.elapsed());
    }
    // GitHub waits for ten seconds. The machine may have other things to do.
    assert!(slowest < Duration::from_secs(4), "{slowest:?}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", hob.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("slowest delivery {slowest:?}, at most {} MiB in memory", peak >> 10);
    assert!(peak < 400 << 10, "{peak} kB");
    strangers.abort_all();
    assert_eq!(hob.terminate().await, Some(0));
    w.finish().await;
}

#[tokio::test]
async fn many_questions_for_readiness_write_nothing_and_hold_up_nobody() {
    let w = World::prepare(|_| {}).await;
    let hob = w.start_program().await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let address = hob.address().to_owned();
        asking.spawn(async move {
            let mut ready = 0;
            for _ in 0..5 {
                let question = b"GET /readyz HTTP/1.1\r\nHost: hob\r\nConnection: close\r\n\r\n";
                let (heard, _) = Stranger::says(&address, question).await.hears().await;
                ready += usize::from(heard.starts_with("HTTP/1.1 200 "));
            }
            ready
        });
    }
    let mut slowest = Duration::ZERO;
    for n in 0..20 {
        let body = padded(1000 + n);
        let (signature, began) = (w.github.sign(&body), Instant::now());
        assert_eq!(w.github.send_raw("ping", &format!("guid-{n}"), body, Some(signature)).await, 202);
        slowest = slowest.max(began.elapsed());
    }
    let ready: usize = asking.join_all().await.into_iter().sum();
    assert_eq!(ready, 1000);
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    assert_eq!(hob.terminate().await, Some(0));
    w.finish().await;
}

#[tokio::test]
async fn webhooks_without_a_signature_are_counted_and_told_once_a_minute() {
    let w = World::prepare(|_| {}).await;
    let hob = w.start_program().await;
    for n in 0..30 {
        let status = w.github.send_raw("issues", &format!("guid-{n}"), padded(100), None).await;
        assert_eq!(status, 400);
    }
    w.eventually("the log to tell", async || w.log().contains("webhooks rejected").then_some(())).await;
    let (code, said) = w.command(&["status"]).await;
    assert_eq!(code, Some(0));
    let told = "last 0 s ago: the header X-Hub-Signature-256 is missing: the webhook has no secret; set hob's secret there";
    assert!(
        said.contains("Rejected webhooks: ") && said.replace("1 s ago", "0 s ago").contains(told),
        "{said}"
    );
    assert_eq!(w.log().matches("webhooks rejected").count(), 1, "{}", w.log());
    assert_eq!(hob.terminate().await, Some(0));
    w.finish().await;
}

#[tokio::test]
async fn of_a_delivery_that_is_of_no_use_the_body_is_not_kept_and_it_is_not_replayed() {
    let w = World::start().await;
    let send = async |event: &str, guid: &str, body: &serde_json::Value| {
        let body = body.to_string().into_bytes();
        let signature = w.github.sign(&body);
        w.github.send_raw(event, guid, body, Some(signature)).await
    };
    // Long enough to be found in the file.
    let canary = "a body of no use ".repeat(20);
    assert_eq!(send("star", "guid-star", &serde_json::json!({"action": "created", "x": canary})).await, 202);
    assert_eq!(send("star", "guid-star", &serde_json::json!({"action": "created", "x": canary})).await, 200);
    assert_eq!(
        send("issues", "guid-opened", &serde_json::json!({"action": "opened", "x": canary})).await,
        202
    );
    let issue = w.alice().opens_issue("Talk", &canary).await;
    // Nothing to do with hob, and only intake sees that.
    w.alice().labels(issue, "bug").await;
    w.quiet().await;
    for guid in ["guid-star", "guid-opened"] {
        let (code, said) = w.command(&["replay", guid]).await;
        assert_eq!(code, Some(1), "{said}");
        let wanted = format!(
            "delivery {guid} was recorded without its body, so it cannot be replayed: hob does not handle "
        );
        assert!(said.contains(&wanted) && said.contains("Nothing was changed"), "{said}");
    }
    let (code, said) = w.command(&["status"]).await;
    assert!(code == Some(0) && said.contains("Unprocessed deliveries: none"), "{said}");
    let copy = w.folder().join("copy.db");
    w.command(&["backup", copy.to_str().unwrap()]).await;
    let copy = std::fs::read(copy).unwrap();
    assert!(!copy.windows(canary.len()).any(|window| window == canary.as_bytes()));
    w.finish().await;
}
