//! The demo: hob's story, played for real and told as it happens. A GitHub of our own stands in for
//! the real one; git, Docker, the store and the program `hob` are what they are on a server. It
//! runs in the world of the tests (`tests/it/world.rs`); `deploy/demo.sh` prepares the machine for
//! it.

#[path = "it/world.rs"]
mod world;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use hob::config::ByteSize;
use hob::ids::AgentKind;
use secrecy::SecretString;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use world::github::{Comment, GitHub, Pull, Verdict, on};
use world::{REPO, World};

/// A model thinks longer than a script.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// What alice writes. The scripted agent acts on the words in brackets; a model reads the rest.
const TITLE: &str = "Describe the JSON output";
const BODY: &str = "Scripts want to read what `run.sh` prints. Describe the format in `json-output.md`.\n\n\
    There are two shapes it could have: one object per line, or one array. Ask which one we want before you \
    write anything.\n\n[scenario: ask]";
const ANSWER: &str = "One object per line, please: people pipe it into `jq`.";
/// The option of the scripted agent's that bob ticks.
const OPTION: &str = "one object per line";
/// What alice asks for next, changes her mind about, and wants after all.
const SECOND_TITLE: &str = "Note what run.sh is for";
const SECOND_BODY: &str = "A line in `NOTES.md` will do.\n\n[scenario: todo]";
/// What bob says of the first pull request, and on its first line.
const REVIEW: &str = "Nearly there. [scenario: review]";
const REMARK: &str = "Say who reads this.";
/// What the repository's CI wants of every branch.
const WANTED_FILE: &str = "NOTES.md";

struct Arguments {
    image: String,
    is_real_agent: bool,
    keep: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut parsed = Arguments { image: world::image(), is_real_agent: false, keep: false };
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        let mut value = || given.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--image" => parsed.image = value()?,
            "--agent" => parsed.is_real_agent = value()? == "claude",
            "--keep" => parsed.keep = true,
            _ => return Err(format!("unknown argument {argument}; see deploy/demo.sh --help")),
        }
    }
    Ok(parsed)
}

#[tokio::main]
async fn main() -> ExitCode {
    match arguments() {
        Ok(arguments) => play(&arguments).await,
        Err(error) => {
            eprintln!("demo: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

async fn play(arguments: &Arguments) {
    let started = Instant::now();
    let tell = |what: &str| println!("{:>6.1} s  {what}", started.elapsed().as_secs_f64());
    let w = World::prepare(|config| {
        config.container.image = arguments.image.clone();
        // Long enough to be seen in the status comment.
        config.pull_request.wait = Duration::from_secs(2);
        if arguments.is_real_agent {
            config.container.memory = ByteSize::mib(2048);
            config.agent.keys = real_keys();
        }
        assert_eq!(config.agent.kind, AgentKind::Claude);
    })
    .await;
    tell(&format!("A GitHub of our own serves {REPO} at {}.", w.github.git_url()));
    let program = w.start_program().await;
    tell(&format!("hob listens at {}; its data is in {}.", program.webhook(), w.data().display()));

    let issue = w.alice().opens_issue(TITLE, BODY).await;
    tell(&format!("alice opens issue #{issue}: {TITLE}"));
    let answer = w.alice().labels(issue, "hob").await;
    tell(&format!("alice labels it `hob`; hob answers the webhook with {answer}."));
    until(&w, "the status comment", |_| w.status(issue)).await;
    tell("hob answers with a status comment, which it keeps up to date.");
    if let Some(container) = running_container(&w).await {
        tell(&format!("The agent runs in the container {container}."));
    }
    let question = until(&w, "the question", |_| w.said(issue).first().cloned()).await;
    tell("The agent is unsure. hob asks on the issue, keeps workspace and session, and waits:");
    indented(&question.body);
    let containers = w.containers().await.len();
    tell(&format!("While hob waits, {containers} containers run."));

    if arguments.is_real_agent {
        w.bob().comments(issue, ANSWER).await;
        tell(&format!("bob replies: {ANSWER}"));
    } else {
        w.bob().ticks(question.id, OPTION).await;
        tell(&format!("bob ticks the box: {OPTION}"));
        let shows =
            |_: &GitHub| w.said(issue).into_iter().find(|c| c.id == question.id && c.body != question.body);
        let card = until(&w, "the card to show the answer", |github| {
            shows(github).filter(|card| card.body.starts_with("**Answered"))
        });
        let card = card.await;
        tell("hob edits the card, so that everybody sees who answered what:");
        indented(&card.body);
    }
    let pull = until(&w, "the pull request", |github| github.pulls(REPO).into_iter().next()).await;
    tell(&format!("hob opens pull request #{}: {}", pull.number, pull.title));
    until(&w, "the last word", |_| w.said(issue).get(1).cloned()).await;
    tell("The status comment, which is changed in place, has said:");
    indented(&first_lines(&w, issue));
    let mut pull = pull;
    if !arguments.is_real_agent {
        stop_and_retry(&w, &tell).await;
        pull = review_and_check(&w, issue, &pull, &tell).await;
    }
    let seconds = started.elapsed().as_secs_f64();

    show_issue(&w, issue);
    show_pull(&w, &pull);
    if arguments.keep {
        serve_by_hand(&w).await;
    }
    program.terminate().await;
    if !arguments.is_real_agent {
        check_that_it_resumed(&w, &pull);
    }
    assert_eq!(w.github.violations(), Vec::<String>::new(), "GitHub would not have understood this");
    assert!(w.containers().await.is_empty(), "containers were left over");
    let commits = w.github.commits(REPO, &pull.head).len() - w.github.commits(REPO, &pull.base).len();
    let rest = if arguments.is_real_agent { "" } else { " -> review -> failed check -> fixed" };
    println!(
        "ok: issue #{issue} -> question -> reply -> pull request #{} (branch {}, {commits} commits){rest} in {seconds:.0} s",
        pull.number, pull.head
    );
}

/// A second issue: the live status, a stop, a retry.
async fn stop_and_retry(w: &World, tell: &dyn Fn(&str)) {
    let issue = w.alice().opens_issue(SECOND_TITLE, SECOND_BODY).await;
    w.alice().labels(issue, "hob").await;
    tell(&format!(
        "alice opens and labels issue #{issue}: {SECOND_TITLE}. While the agent works, the status comment reads:"
    ));
    let at_work = |_: &GitHub| {
        w.status(issue)
            .filter(|status| status.body.starts_with("**At work**") && status.body.contains("- [x]"))
    };
    indented(&until(w, "the live status", at_work).await.body);
    w.alice().comments(issue, "/hob stop").await;
    tell("alice thinks again: /hob stop");
    let stopped = until(w, "the stop", |_| w.said(issue).first().cloned()).await;
    indented(&stopped.body);
    w.alice().comments(issue, "/hob retry").await;
    tell("and once more: /hob retry");
    until(w, "the agent to work again", at_work).await;
    tell(&format!("The labels of issue #{issue}: {}.", w.github.labels(REPO, issue).join(", ")));
    go_on(w);
    let ended = until(w, "the second pull request", |_| w.said(issue).get(1).cloned()).await;
    indented(&ended.body);
}

/// The first pull request is reviewed, and a check fails on what comes of that.
async fn review_and_check(w: &World, issue: u64, pull: &Pull, tell: &dyn Fn(&str)) -> Pull {
    let remarks = [on("json-output.md", 1, REMARK)];
    let thread = w.bob().reviews(pull.number, Verdict::ChangesRequested, REVIEW, &remarks).await[0];
    tell(&format!(
        "bob reviews pull request #{} and asks for changes. On the first line he says: {REMARK}",
        pull.number
    ));
    let answer = until(w, "the answer in bob's thread", |github| {
        let comments = github.thread_comments(REPO, pull.number).into_iter();
        comments.rev().find(|comment| comment.in_reply_to == Some(thread))
    });
    let answer = answer.await;
    tell(
        "The agent goes on in its session. hob pushes, asks for bob's review again, and answers him in his thread:",
    );
    indented(&answer.body);
    until(w, "the end of the review", |_| w.said(issue).get(2).cloned()).await;

    run_ci(w, &pull.head, tell).await;
    let fixed = until(w, "the check to be mended", |_| w.said(issue).get(3).cloned()).await;
    tell("hob has the agent mend it, with the end of the job's log:");
    indented(&fixed.body);
    run_ci(w, &pull.head, tell).await;
    w.bob().approves(pull.number).await;
    tell("bob approves. hob merges nothing; that is his to do.");
    w.github.pulls(REPO).into_iter().find(|now| now.number == pull.number).expect("the pull request")
}

/// The repository's CI looks at a branch: it fails without a certain file.
async fn run_ci(w: &World, branch: &str, tell: &dyn Fn(&str)) {
    let head = w.github.commits(REPO, branch)[0].sha.clone();
    if w.github.file_at(REPO, branch, WANTED_FILE).is_some() {
        w.ci().passes("notes", &head).await;
        tell(&format!("CI has looked at {}: the job `notes` passes.", &head[..7]));
    } else {
        let log =
            format!("looking for {WANTED_FILE}\n{WANTED_FILE}: no such file. Note every change there.\n");
        w.ci().fails("notes", &head, &log).await;
        tell(&format!(
            "CI has looked at {}: the job `notes` fails, since there is no {WANTED_FILE}.",
            &head[..7]
        ));
    }
}

/// The scripted agent of the second issue goes on when it finds this file.
fn go_on(w: &World) {
    for story in std::fs::read_dir(w.data().join("stories")).into_iter().flatten().flatten() {
        let exchange = story.path().join("exchange");
        if exchange.exists() {
            std::fs::write(exchange.join("go-on"), "").expect("the agent is told to go on");
        }
    }
}

/// What an issue's status comment has said, a line each.
fn first_lines(w: &World, issue: u64) -> String {
    let status = w.status(issue).expect("a status comment");
    let mut lines: Vec<String> =
        status.revisions.iter().filter_map(|(_, text)| text.lines().next().map(str::to_owned)).collect();
    lines.dedup();
    lines.join("\n")
}

async fn until<T>(w: &World, what: &str, look: impl Fn(&GitHub) -> Option<T>) -> T {
    w.github.until(what, PATIENCE, look).await
}

/// The agent's container, if it is not over already: the scripted agent takes half a second.
async fn running_container(w: &World) -> Option<String> {
    for _ in 0..40 {
        if let Some(name) = w.containers().await.into_iter().next() {
            return Some(name);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    None
}

/// The scripted agent writes what it found again of its first run.
fn check_that_it_resumed(w: &World, pull: &Pull) {
    let file = w.github.file_at(REPO, &pull.head, "json-output.md").expect("the agent's file");
    assert!(file.contains("session: resumed, workspace: kept"), "the session was not resumed: {file}");
}

fn real_keys() -> std::collections::BTreeMap<String, SecretString> {
    let keys = AgentKind::Claude.key_names().iter();
    keys.filter_map(|name| Some(((*name).to_owned(), SecretString::from(std::env::var(name).ok()?))))
        .collect()
}

fn show_issue(w: &World, issue: u64) {
    println!("\n──── issue #{issue}, as a developer reads it ────\n");
    println!("{TITLE}\n");
    indented(BODY);
    for comment in w.github.comments(REPO, issue) {
        show_comment(&comment);
    }
}

fn show_comment(comment: &Comment) {
    let reactions: String =
        comment.reactions.iter().map(|(who, what)| format!("  [{what} by {who}]")).collect();
    println!("\n{}:{reactions}\n", comment.author);
    indented(&comment.body);
}

fn show_pull(w: &World, pull: &Pull) {
    println!("\n──── pull request #{}: {} ({} <- {}) ────\n", pull.number, pull.title, pull.base, pull.head);
    indented(&pull.body);
    println!();
    indented(&w.github.diff(REPO, &pull.base, &pull.head));
}

/// As GitHub shows it: what is hidden there is left out here.
fn indented(text: &str) {
    for line in text.lines().filter(|line| !line.starts_with("<!-- hob:")) {
        println!("    {line}");
    }
}

const BY_HAND: &str = "
You are alice now. Lines that you can type:
  new TITLE            open an issue and label it
  say NUMBER TEXT      comment on an issue or pull request; `/hob work …` is a command
  show NUMBER          show the comments
  diff NUMBER          show the diff of a pull request
  quit                 stop
An issue's title may name what the scripted agent shall do: [scenario: ask], [scenario: work], [scenario: fail].";

async fn serve_by_hand(w: &World) {
    println!("{BY_HAND}");
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        let line = tokio::select! {
            line = lines.next_line() => line.ok().flatten(),
            _ = tokio::signal::ctrl_c() => None,
        };
        let Some(line) = line else { return };
        let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let (number, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let number = number.parse::<u64>().ok().filter(|n| w.github.issues(REPO).contains(n));
        match (word, number) {
            ("", _) => {}
            ("quit", _) => return,
            ("new", _) if !rest.is_empty() => {
                let issue = w.alice().opens_issue(rest, rest).await;
                w.alice().labels(issue, "hob").await;
                println!("issue #{issue} is open and labelled");
            }
            ("say", Some(number)) => {
                w.alice().comments(number, text).await;
            }
            ("show", Some(number)) => w.github.comments(REPO, number).iter().for_each(show_comment),
            ("diff", Some(number)) => {
                match w.github.pulls(REPO).into_iter().find(|pull| pull.number == number) {
                    Some(pull) => show_pull(w, &pull),
                    None => println!("#{number} is not a pull request"),
                }
            }
            _ => println!("not understood: {line}{BY_HAND}"),
        }
    }
}
