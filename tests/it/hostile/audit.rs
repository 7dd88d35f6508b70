//! What hob's own process tree did, as strace saw it: which programs it started, and which files it
//! opened where an agent had been.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::Duration;

/// strace's arguments up to the program it watches. `-D` leaves hob the child of the test, `-y`
/// writes the paths of file descriptors.
pub fn wrapper(file: &Path) -> Vec<String> {
    let file = file.to_str().expect("a path in UTF-8").to_owned();
    let calls = "trace=execve,execveat,open,openat,openat2";
    ["strace", "-D", "-f", "-y", "--seccomp-bpf", "-s", "4096", "-e", calls, "-e", "signal=none", "-o", &file]
        .map(str::to_owned)
        .to_vec()
}

/// What was found.
#[derive(Debug, Default)]
pub struct Audit {
    /// Programs that were started and are not hob itself.
    pub foreign: Vec<String>,
    /// How often hob started itself: once as the program, and for what it does in a child.
    pub own: usize,
    /// Files opened below a workspace after the story's agent had been started.
    pub opened_in_workspace: Vec<String>,
    /// Calls that name a canary, or were led to one.
    pub canaries: Vec<String>,
    /// How many calls were looked at.
    pub calls: usize,
}

/// Reads what strace wrote, once it has written the end of process `pid`.
pub async fn read(file: &Path, pid: u32, own: &Path, canaries: &[&Path]) -> Audit {
    let end = format!("{pid} +++ exited with");
    let waiting = async {
        loop {
            let text = tokio::fs::read_to_string(file).await.unwrap_or_default();
            if text.lines().any(|line| squeezed(line).starts_with(&end)) {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let text = tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("strace's last line");
    judge(&text, own, canaries)
}

fn judge(text: &str, own: &Path, canaries: &[&Path]) -> Audit {
    let mut audit = Audit::default();
    // Stories whose agent has been started: from then on the workspace is the agent's.
    let mut begun: HashSet<String> = HashSet::new();
    for line in text.lines() {
        let line = squeezed(line);
        let Some((_, call)) = line.split_once(' ') else { continue };
        if call.starts_with("exec") {
            audit.calls += 1;
            let program = quoted(call).unwrap_or_default();
            if Path::new(&program) == own || program == "/proc/self/exe" {
                audit.own += 1;
            } else {
                audit.foreign.push(call.to_owned());
            }
        }
        if !call.starts_with("open") {
            continue;
        }
        audit.calls += 1;
        if canaries.iter().any(|canary| call.contains(canary.to_str().expect("a path in UTF-8"))) {
            audit.canaries.push(call.to_owned());
        }
        let is_folder = call.contains("O_DIRECTORY");
        for path in [Some(full_path(call)), led_to(call)].into_iter().flatten() {
            let Some((story, inside)) = in_story(&path) else { continue };
            if inside == "exchange/prompt.md" && call.contains("O_WRONLY") {
                begun.insert(story.to_owned());
            }
            if inside.starts_with("workspace")
                && begun.contains(story)
                && !is_folder
                && !is_read_beneath(call, inside)
            {
                audit.opened_in_workspace.push(call.to_owned());
            }
        }
    }
    audit
}

/// Whether a call cannot leave the workspace by any link, and is not for what belongs to git.
fn is_read_beneath(call: &str, inside: &str) -> bool {
    let flags = ["RESOLVE_BENEATH", "RESOLVE_NO_SYMLINKS", "RESOLVE_NO_MAGICLINKS", "O_NOFOLLOW"];
    let is_of_git = Path::new(inside).starts_with("workspace/.git");
    flags.iter().all(|flag| call.contains(flag)) && !call.contains("O_WRONLY") && !is_of_git
}

/// Without the blanks by which strace aligns process ids.
fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first text in quotation marks.
fn quoted(call: &str) -> Option<String> {
    let (_, rest) = call.split_once('"')?;
    Some(rest.split_once('"')?.0.to_owned())
}

/// The path that is opened: absolute, or below the folder that strace names for the file
/// descriptor.
fn full_path(call: &str) -> String {
    let name = quoted(call).unwrap_or_default();
    let folder = call.split_once('"').map_or("", |(before, _)| before);
    match folder.split_once('<').and_then(|(_, rest)| rest.split_once('>')) {
        Some((folder, _)) if !name.starts_with('/') => format!("{folder}/{name}"),
        _ => name,
    }
}

/// The path of the file that was opened, all links followed.
fn led_to(call: &str) -> Option<String> {
    let (_, opened) = call.rsplit_once(" = ")?;
    Some(opened.split_once('<')?.1.strip_suffix('>')?.to_owned())
}

/// The story's id in a path of its folder, and the rest of the path.
fn in_story(path: &str) -> Option<(&str, &str)> {
    path.split_once("/data/stories/")?.1.split_once('/')
}

/// How many programs of each name, for people who look at a failure.
pub fn names(calls: &[String]) -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    for call in calls {
        *names.entry(quoted(call).unwrap_or_default()).or_default() += 1;
    }
    names
}

#[test]
fn the_audit_sees_foreign_programs_and_files_of_the_agents() {
    let text = "\
        10 execve(\"/b/hob\", [\"hob\"], 0x1 /* 2 vars */) = 0\n\
        10 openat(AT_FDCWD</>, \"/t/data/stories/s1/workspace/.git/config\", O_RDONLY) = 3</t/x>\n\
        10 openat(AT_FDCWD</>, \"/t/data/stories/s1/exchange/prompt.md\", O_WRONLY|O_CREAT) = 3</t/x>\n\
        11 openat(4</t/data/stories/s1>, \"workspace\", O_RDONLY|O_DIRECTORY) = 5</t/x>\n\
        11 openat(5</t/data/stories/s1/workspace>, \"file\", O_RDONLY) = 5</secret/x>\n\
        11 openat2(5</t/data/stories/s1/workspace>, \"a\", {flags=O_RDONLY|O_NOFOLLOW, resolve=RESOLVE_NO_MAGICLINKS|RESOLVE_NO_SYMLINKS|RESOLVE_BENEATH}, 24) = 5</t/data/stories/s1/workspace/a>\n\
        11 openat2(5</t/data/stories/s1/workspace>, \".git/a\", {flags=O_RDONLY|O_NOFOLLOW, resolve=RESOLVE_NO_MAGICLINKS|RESOLVE_NO_SYMLINKS|RESOLVE_BENEATH}, 24) = 5</t/a>\n\
        12 execve(\"/bin/sh\", [\"sh\"], 0x1) = 0\n\
        12 +++ exited with 0 +++\n";
    let audit = judge(text, Path::new("/b/hob"), &[Path::new("/secret")]);
    assert_eq!((audit.own, audit.calls), (1, 8));
    assert_eq!(names(&audit.foreign), BTreeMap::from([("/bin/sh".to_owned(), 1)]));
    assert_eq!((audit.opened_in_workspace.len(), audit.canaries.len()), (2, 1));
}
