//! The exchange: the folder through which hob and the agent hand each other files. hob writes the
//! prompt into a fresh folder before each run and reads question and summary after it. What the
//! agent left is hostile until proved otherwise: nothing is opened that is not a regular file
//! inside the folder, no link is followed, nothing is read past its cap.

mod replies;

use std::fs::{File, Permissions};
use std::io::{ErrorKind, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::Context as _;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use serde::Deserialize;

use crate::agent;
use crate::config::Age;
use crate::paths;
use crate::story::Question;
use crate::story::review::Reply;

/// The prompt, for the agent to read.
pub const PROMPT: &str = "prompt.md";
/// The agent's question, if it has one.
pub const QUESTION: &str = "question.json";
/// The agent's summary, if it is done.
pub const SUMMARY: &str = "summary.md";
/// The title of the pull request, if the agent has one for it.
pub const TITLE: &str = "title.txt";
/// The agent's answers in the threads of a review.
pub const REPLIES: &str = "replies.json";
/// Images of the issue, for the agent to look at.
pub const IMAGES: &str = "images";
/// Where the agent leaves files that are worth keeping.
pub const DROPS: &str = "drops";

/// More than anybody would read; a larger file is cut off there.
const MAX_BYTES: u64 = 1024 * 1024;
/// More of a title is not read; how much of it is shown is not decided here.
const MAX_TITLE: usize = 1_000;
/// More options to one question are left out: GitHub has to take the card, and people to read it.
const MAX_OPTIONS: usize = 20;
/// More questions in one card are left out.
const MAX_PARTS: usize = 10;

/// What the agent handed over in files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExchangeFiles {
    /// Its question.
    pub question: Option<Question>,
    /// Its summary: from `summary.md`, or from a question file that asks nothing.
    pub summary: Option<String>,
    /// What it wants the pull request to be called.
    pub title: Option<String>,
    /// Its answers in the threads of a review.
    pub replies: Vec<Reply>,
    /// What was wrong with a file, in words for the log.
    pub complaints: Vec<String>,
}

/// Makes the folder again, with the prompt in it, owned by the agent's user where `owner` is given.
/// What an earlier run left is gone.
pub fn prepare(folder: &Path, prompt: &str, owner: Option<(u32, u32)>) -> anyhow::Result<()> {
    paths::remove_tree(folder)?;
    let drops = folder.join(DROPS);
    let file = folder.join(PROMPT);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&drops).context("creating the exchange")?;
    std::fs::write(&file, prompt).context("writing the prompt")?;
    if let Some((uid, gid)) = owner {
        for path in [folder, &drops, &file] {
            std::os::unix::fs::lchown(path, Some(uid), Some(gid))
                .context("giving the exchange to the agent")?;
        }
    }
    Ok(())
}

/// A file for the agent: its name, and what is in it.
pub type Named = (String, Vec<u8>);

/// Adds images to an exchange that has just been made, owned as it is.
pub fn add_images(folder: &Path, images: &[Named], owner: Option<(u32, u32)>) -> anyhow::Result<()> {
    if images.is_empty() {
        return Ok(());
    }
    let inner = folder.join(IMAGES);
    std::fs::DirBuilder::new().mode(0o700).create(&inner).context("creating the folder for images")?;
    let mut all = vec![inner.clone()];
    for (name, bytes) in images {
        let file = inner.join(name);
        std::fs::write(&file, bytes).context("writing an image")?;
        all.push(file);
    }
    if let Some((uid, gid)) = owner {
        for path in &all {
            std::os::unix::fs::lchown(path, Some(uid), Some(gid)).context("giving an image to the agent")?;
        }
    }
    Ok(())
}

/// Reads what the agent left. Never fails on what is in the folder: a file that cannot be used is a
/// complaint, and the rest counts.
pub fn read(folder: &Path) -> anyhow::Result<ExchangeFiles> {
    let directory = open_folder(folder).with_context(|| format!("opening {}", folder.display()))?;
    let mut handed = ExchangeFiles::default();
    match read_file(&directory, SUMMARY) {
        Ok(text) => handed.summary = text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()),
        Err(complaint) => handed.complaints.push(complaint),
    }
    match read_file(&directory, QUESTION) {
        Ok(None) => {}
        Ok(Some(text)) => match parse_question(&text) {
            QuestionFile::Question(question) => handed.question = Some(question),
            QuestionFile::Report(report) => handed.summary = handed.summary.take().or(report),
        },
        Err(complaint) => handed.complaints.push(complaint),
    }
    match read_file(&directory, TITLE) {
        Ok(text) => handed.title = text.as_deref().and_then(title),
        Err(complaint) => handed.complaints.push(complaint),
    }
    match read_file(&directory, REPLIES) {
        Ok(None) => {}
        Ok(Some(text)) => match replies::parse(&text) {
            Ok(replies) => handed.replies = replies,
            Err(why) => handed.complaints.push(format!("{REPLIES} was ignored: {why}")),
        },
        Err(complaint) => handed.complaints.push(complaint),
    }
    Ok(handed)
}

/// The first line that says something, without the signs of a heading.
fn title(text: &str) -> Option<String> {
    let lines = text.lines().map(|line| line.trim().trim_start_matches('#').trim());
    let line = lines.into_iter().find(|line| !line.is_empty())?;
    Some(line.to_owned())
}

/// A title that is no longer than any place has room for. Secrets are taken out before.
pub fn short_title(title: &str) -> String {
    title.chars().take(MAX_TITLE).collect()
}

/// A file that the agent left for people, now kept with the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedFile {
    /// Its name; it is nowhere below a folder.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Copies what the agent left in the drops folder, at most so many files and bytes together.
/// Folders, links and what is beyond the limits are left out, and complained of.
pub fn collect_drops(
    folder: &Path,
    keep_in: &Path,
    most: usize,
    mut room: u64,
) -> anyhow::Result<(Vec<DroppedFile>, Vec<String>)> {
    let mut complaints = Vec::new();
    let exchange = open_folder(folder).with_context(|| format!("opening {}", folder.display()))?;
    let drops = match open_beneath(&exchange, DROPS, OFlag::O_DIRECTORY) {
        Ok(drops) => drops,
        Err(nix::errno::Errno::ENOENT) => return Ok((Vec::new(), complaints)),
        Err(e) => return Ok((Vec::new(), vec![format!("{DROPS} could not be opened: {e}")])),
    };
    let mut names = list(&drops)?;
    names.sort();
    let mut kept = Vec::new();
    for name in names {
        if kept.len() == most {
            complaints.push(format!("only {most} of the dropped files were kept"));
            break;
        }
        match keep_drop(&drops, &name, keep_in, room)? {
            Ok(drop) => {
                room -= drop.bytes;
                kept.push(drop);
            }
            Err(complaint) => complaints.push(complaint),
        }
    }
    Ok((kept, complaints))
}

fn list(folder: &File) -> anyhow::Result<Vec<String>> {
    let again = folder.try_clone().context("listing the drops")?;
    let mut open = nix::dir::Dir::from_fd(again.into()).context("listing the drops")?;
    let names = open.iter().filter_map(|entry| Some(entry.ok()?.file_name().to_str().ok()?.to_owned()));
    Ok(names.filter(|name| name != "." && name != "..").take(10_000).collect())
}

/// The kept file, or why it cannot be kept; an error where hob's own disk is full, which may pass.
fn keep_drop(
    drops: &File,
    name: &str,
    keep_in: &Path,
    room: u64,
) -> anyhow::Result<Result<DroppedFile, String>> {
    let file = match usable_drop(drops, name, room) {
        Ok(file) => file,
        Err(complaint) => return Ok(Err(complaint)),
    };
    let copy = || -> std::io::Result<u64> {
        std::fs::create_dir_all(keep_in)?;
        let mut to = paths::create_private(&keep_in.join(name))?;
        std::io::copy(&mut file.take(room), &mut to)
    };
    match copy() {
        Ok(bytes) => Ok(Ok(DroppedFile { name: name.to_owned(), bytes })),
        Err(e) if e.kind() == ErrorKind::StorageFull => Err(e).context("keeping a dropped file"),
        Err(e) => Ok(Err(format!("{name} could not be kept: {e}"))),
    }
}

fn usable_drop(drops: &File, name: &str, room: u64) -> Result<File, String> {
    // The name becomes a file of hob's and a line for people.
    let is_plain =
        name.len() <= 100 && !name.starts_with('.') && !name.chars().any(|c| c.is_control() || c == '/');
    if !is_plain {
        return Err("a dropped file with an invalid name was ignored".to_owned());
    }
    let opened =
        open_beneath(drops, name, OFlag::empty()).map_err(|e| format!("{name} could not be opened: {e}"))?;
    let metadata = opened.metadata().map_err(|e| format!("{name}: {e}"))?;
    if !metadata.is_file() {
        return Err(format!("{name} is not a regular file"));
    }
    if metadata.len() > room {
        return Err(format!("{name} is too large to keep"));
    }
    Ok(opened)
}

/// The folder itself, which is not a link, since it lies in a folder of hob's; but it is the
/// agent's to close.
fn open_folder(folder: &Path) -> std::io::Result<File> {
    match File::open(folder) {
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {
            std::fs::set_permissions(folder, Permissions::from_mode(0o700))?;
            File::open(folder)
        }
        opened => opened,
    }
}

/// Opens something of the agent's without following a link and without waiting for anybody.
fn open_beneath(folder: &File, name: &str, flags: OFlag) -> nix::Result<File> {
    let how = OpenHow::new()
        // Non-blocking, or a FIFO would hold hob for ever.
        .flags(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY | flags)
        .resolve(
            ResolveFlag::RESOLVE_BENEATH
                | ResolveFlag::RESOLVE_NO_SYMLINKS
                | ResolveFlag::RESOLVE_NO_MAGICLINKS,
        );
    openat2(folder.as_fd(), name, how).map(File::from)
}

/// The text of one file of the agent's, or why it cannot be used.
fn read_file(directory: &File, name: &str) -> Result<Option<String>, String> {
    let file = match open_beneath(directory, name, OFlag::empty()) {
        Ok(file) => file,
        Err(nix::errno::Errno::ENOENT) => return Ok(None),
        Err(e) => return Err(format!("{name} could not be opened: {e}")),
    };
    let metadata = file.metadata().map_err(|e| format!("{name}: {e}"))?;
    if !metadata.is_file() {
        return Err(format!("{name} is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(|e| format!("{name}: {e}"))?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// What a question file turned out to be.
#[derive(Debug, PartialEq, Eq)]
enum QuestionFile {
    Question(Question),
    /// A completion report: agents sometimes write what they did where they should ask.
    Report(Option<String>),
}

#[derive(Deserialize)]
struct RawQuestion {
    #[serde(alias = "text")]
    question: Option<String>,
    #[serde(default)]
    options: Vec<serde_json::Value>,
    context: Option<String>,
    default: Option<serde_json::Value>,
    deadline: Option<String>,
    /// Several in one card.
    #[serde(default)]
    questions: Vec<serde_json::Value>,
    #[serde(alias = "report", alias = "message", alias = "result")]
    summary: Option<String>,
}

fn parse_question(text: &str) -> QuestionFile {
    let plain = |text: &str| {
        // Not JSON: an agent that forgot the form. A question mark makes the difference.
        if text.contains('?') {
            QuestionFile::Question(Question { text: text.trim().to_owned(), ..Question::default() })
        } else {
            QuestionFile::Report(Some(text.trim().to_owned()).filter(|t| !t.is_empty()))
        }
    };
    match agent::json_value(text.as_bytes()) {
        Some(serde_json::Value::String(text)) => plain(&text),
        // A list of questions is what is meant by an agent that forgot what to put around it.
        Some(serde_json::Value::Array(all)) => several(None, all).unwrap_or_else(|| plain(text)),
        Some(value) => match serde_json::from_value::<RawQuestion>(value) {
            Ok(raw) => from_raw(raw),
            Err(_) => plain(text),
        },
        None => plain(text),
    }
}

fn from_raw(mut raw: RawQuestion) -> QuestionFile {
    let all = std::mem::take(&mut raw.questions);
    let deadline = raw.deadline.clone();
    if let Some(card) = several(deadline, all) {
        return card;
    }
    let mut options: Vec<String> = raw.options.into_iter().map(words_of).collect();
    options.retain(|option| !option.trim().is_empty());
    options.truncate(MAX_OPTIONS);
    let text = raw.question.as_deref().map(str::trim).unwrap_or_default().to_owned();
    // The seed's rule, made precise: with no options and no question mark, nothing is being asked.
    if text.is_empty() || (options.is_empty() && !text.contains('?')) {
        let report = raw.summary.or((!text.is_empty()).then_some(text)).or(raw.context);
        return QuestionFile::Report(report);
    }
    let context = raw.context.filter(|context| !context.trim().is_empty());
    let mut question = Question { text, options, context, ..Question::default() };
    let default = raw.default.filter(|default| !default.is_null()).map(words_of);
    question.default = default.map(|words| question.pick(&words)).filter(|words| !words.is_empty());
    question.deadline = raw.deadline.and_then(|text| Age::try_from(text).ok()).map(|age| age.0.as_secs());
    QuestionFile::Question(question)
}

/// One card of those that ask something.
fn several(deadline: Option<String>, all: Vec<serde_json::Value>) -> Option<QuestionFile> {
    let asked = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => Some(Question { text, ..Question::default() }),
        value => match from_raw(RawQuestion { questions: Vec::new(), ..serde_json::from_value(value).ok()? })
        {
            QuestionFile::Question(question) => Some(question),
            QuestionFile::Report(_) => None,
        },
    };
    let mut parts = all.into_iter().filter_map(asked).take(MAX_PARTS);
    let mut first = parts.next()?;
    first.also = parts.collect();
    // The card has one deadline: its own, or the first that a part names.
    let named = deadline.and_then(|text| Age::try_from(text).ok()).map(|age| age.0.as_secs());
    let of_a_part = first.parts().find_map(|part| part.deadline);
    first.deadline = named.or(of_a_part);
    Some(QuestionFile::Question(first))
}

/// What an option says. Agents write {"label": "…", "description": "…"} too.
fn words_of(value: serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text,
        serde_json::Value::Object(fields) => {
            let texts: Vec<&str> = fields.values().filter_map(serde_json::Value::as_str).collect();
            texts.join(": ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;

    fn exchange() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        prepare(&folder.path().join("hob"), "do it", None).unwrap();
        folder
    }

    fn after_writing(name: &str, text: &str) -> ExchangeFiles {
        let folder = exchange();
        std::fs::write(folder.path().join("hob").join(name), text).unwrap();
        read(&folder.path().join("hob")).unwrap()
    }

    #[test]
    fn half_an_emoji_in_a_question_costs_no_more_than_itself() {
        let text = r#"{"question": "Which \ud83d one?", "options": ["A", "B"]}"#;
        let QuestionFile::Question(question) = parse_question(text) else { panic!("{text}") };
        assert_eq!((question.text.as_str(), question.options.len()), ("Which \u{fffd} one?", 2));
    }

    #[test]
    fn a_question_may_have_options_and_context() {
        let handed =
            after_writing(QUESTION, r#"{"question":"Which?","options":["a",{"label":"b"}],"context":"c"}"#);
        let question = handed.question.unwrap();
        assert_eq!((question.text.as_str(), question.context.as_deref()), ("Which?", Some("c")));
        assert_eq!(question.options, ["a", "b"]);
    }

    #[test]
    fn a_question_may_have_a_default_and_a_deadline() {
        let asked = |default: &str| {
            let text = format!(
                r#"{{"question":"Which?","options":["red","green"],"default":{default},"deadline":"1d"}}"#
            );
            after_writing(QUESTION, &text).question.unwrap()
        };
        for default in [r#""green""#, r#""B""#, "2", r#""2.""#] {
            let question = asked(default);
            assert_eq!(
                (question.default.as_deref(), question.deadline),
                (Some("green"), Some(86_400)),
                "{default}"
            );
        }
        assert_eq!(asked(r#""neither""#).default.as_deref(), Some("neither"));
        assert_eq!(asked("null").default, None);
        let odd = after_writing(QUESTION, r#"{"question":"Which?","default":"a","deadline":"soon"}"#);
        assert_eq!(odd.question.unwrap().deadline, None);
    }

    #[test]
    fn several_questions_make_one_card() {
        let text = r#"{"questions":[{"question":"Which?","options":["a","b"]},{"text":"How many?"},"And why?",
            {"summary":"nothing"}, 7],"deadline":"12h"}"#;
        let question = after_writing(QUESTION, text).question.unwrap();
        let texts: Vec<&str> = question.parts().map(|part| part.text.as_str()).collect();
        assert_eq!((texts, question.deadline), (vec!["Which?", "How many?", "And why?"], Some(43_200)));
        let list = after_writing(QUESTION, r#"[{"question":"Which?","deadline":"1h"}]"#).question.unwrap();
        assert_eq!((list.count(), list.deadline), (1, Some(3600)));
        assert_eq!(
            after_writing(QUESTION, r#"{"questions":[],"summary":"Done."}"#).summary.as_deref(),
            Some("Done.")
        );
    }

    #[test]
    fn a_question_file_that_asks_nothing_is_the_summary() {
        for text in
            [r#"{"summary":"All done."}"#, r#"{"question":"All done."}"#, "All done.", r#""All done.""#]
        {
            let handed = after_writing(QUESTION, text);
            assert_eq!((handed.question, handed.summary.as_deref()), (None, Some("All done.")), "{text}");
        }
    }

    #[test]
    fn a_question_out_of_form_is_still_a_question() {
        assert_eq!(after_writing(QUESTION, "Tabs or spaces?").question.unwrap().text, "Tabs or spaces?");
        assert_eq!(
            after_writing(QUESTION, r#"{"question":"Pick","options":["a","b"]}"#).question.unwrap().text,
            "Pick"
        );
        assert!(after_writing(QUESTION, r#"{"question": "Which? "#).question.is_some());
    }

    #[test]
    fn an_empty_exchange_hands_over_nothing() {
        let folder = exchange();
        assert_eq!(read(&folder.path().join("hob")).unwrap(), ExchangeFiles::default());
    }

    #[test]
    fn links_pipes_and_folders_are_not_opened() {
        let folder = exchange();
        let hob = folder.path().join("hob");
        std::fs::write(folder.path().join("secret"), "secret?").unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret"), hob.join(QUESTION)).unwrap();
        nix::unistd::mkfifo(&hob.join(SUMMARY), Mode::S_IRWXU).unwrap();
        let handed = read(&hob).unwrap();
        assert_eq!((handed.question, handed.summary), (None, None));
        assert_eq!(handed.complaints.len(), 2, "{:?}", handed.complaints);
    }

    #[test]
    fn a_huge_file_is_read_up_to_the_cap() {
        let folder = exchange();
        let hob = folder.path().join("hob");
        File::create(hob.join(SUMMARY)).unwrap().set_len(10 << 30).unwrap();
        let summary = read(&hob).unwrap().summary.unwrap();
        assert_eq!(summary.len() as u64, MAX_BYTES);
    }

    /// Means something only where the tests do not run as root.
    #[test]
    fn a_folder_that_the_agent_closed_is_read_and_made_anew() {
        let folder = exchange();
        let hob = folder.path().join("hob");
        std::fs::write(hob.join(SUMMARY), "Done.").unwrap();
        std::fs::set_permissions(hob.join(DROPS), Permissions::from_mode(0o0)).unwrap();
        std::fs::set_permissions(&hob, Permissions::from_mode(0o0)).unwrap();
        assert_eq!(read(&hob).unwrap().summary.as_deref(), Some("Done."));
        std::fs::set_permissions(&hob, Permissions::from_mode(0o500)).unwrap();
        prepare(&hob, "next", None).unwrap();
        assert_eq!(read(&hob).unwrap(), ExchangeFiles::default());
    }

    #[test]
    fn drops_are_kept_within_bounds_and_links_are_not_followed() {
        let folder = exchange();
        let (hob, keep) = (folder.path().join("hob"), folder.path().join("kept"));
        std::fs::write(folder.path().join("secret"), "secret").unwrap();
        std::fs::write(hob.join("drops/a.txt"), "aaaa").unwrap();
        std::fs::write(hob.join("drops/b.txt"), "bbbbbbbb").unwrap();
        std::fs::write(hob.join("drops/c.txt"), "cc").unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret"), hob.join("drops/link")).unwrap();
        nix::unistd::mkfifo(&hob.join("drops/pipe"), Mode::S_IRWXU).unwrap();
        let (kept, complaints) = collect_drops(&hob, &keep, 10, 7).unwrap();
        assert_eq!(kept.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["a.txt", "c.txt"]);
        assert_eq!(complaints.len(), 3, "{complaints:?}");
        assert_eq!(std::fs::read_dir(&keep).unwrap().count(), 2);
        let (kept, _) = collect_drops(&hob, &keep, 1, 7).unwrap();
        assert_eq!(kept.len(), 1);
        std::fs::remove_dir_all(hob.join("drops")).unwrap();
        std::os::unix::fs::symlink(folder.path(), hob.join("drops")).unwrap();
        assert_eq!(collect_drops(&hob, &keep, 10, 100).unwrap().0, []);
    }

    #[test]
    fn preparing_again_forgets_the_last_run_and_follows_no_link() {
        let folder = exchange();
        let hob = folder.path().join("hob");
        std::fs::write(folder.path().join("canary"), "alive").unwrap();
        std::fs::remove_file(hob.join(PROMPT)).unwrap();
        std::os::unix::fs::symlink(folder.path().join("canary"), hob.join(PROMPT)).unwrap();
        prepare(&hob, "next", None).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("canary")).unwrap(), "alive");
        assert_eq!(std::fs::read_to_string(hob.join(PROMPT)).unwrap(), "next");
    }
}
