//! Newtypes for the things hob names, so that an issue number is never passed where a pull
//! request's is wanted. Parsing happens here, once; everything above trusts the types.
//! Nothing here knows what the things mean: see `story.rs` for that.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The label by which a container is known as this hob's; its value is the data folder's id.
pub const LABEL_INSTANCE: &str = "hob.instance";
/// The label that names the run a container was made for.
pub const LABEL_RUN: &str = "hob.run";
/// The label that names the story a container works for.
pub const LABEL_STORY: &str = "hob.story";

/// A text that is not what its type says, with the reason in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {wanted}")]
pub struct Malformed {
    text: String,
    wanted: &'static str,
}

impl Malformed {
    fn new(text: &str, wanted: &'static str) -> Self {
        Self { text: text.chars().take(120).collect(), wanted }
    }
}

/// GitHub takes no longer name of a branch; a file system of git's takes hardly a longer one.
const MAX_BRANCH: usize = 255;

/// Whether a branch can have this name: git's own rule (`git check-ref-format --branch`), wherever
/// a name comes from. Such a name is no option of a program, since it does not begin with a hyphen.
/// It may hold what Markdown, HTML, an address or a shell takes for its own: it is quoted where it
/// is shown.
pub fn is_branch_name(name: &str) -> bool {
    let is_taken =
        |c: char| c <= ' ' || c == '\u{7f}' || matches!(c, '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    (1..=MAX_BRANCH).contains(&name.len())
        && !matches!(name, "HEAD" | "@")
        && !name.starts_with('-')
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && !name.contains(is_taken)
        && name.split('/').all(is_part)
}

/// A repository on the git host, `owner/name`. Compared without regard to case, as GitHub does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Repo {
    owner: String,
    name: String,
}

impl Repo {
    /// The user or organisation that owns the repository.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The repository's name without its owner.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The form in which the store and the disk know it: lower case, so that `Acme/Tool` and
    /// `acme/tool` are one repository.
    pub fn key(&self) -> String {
        format!("{}/{}", self.owner, self.name).to_ascii_lowercase()
    }
}

impl FromStr for Repo {
    type Err = Malformed;

    /// Accepts what GitHub accepts in names: letters, digits, `-`, `_` and `.`. A part that is only
    /// dots is refused, since the name becomes a path on disk.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = || Malformed::new(text, "a repository in the form `owner/name`");
        let part_is_fine = |part: &str| {
            !part.is_empty()
                && part.len() <= 100
                && part.chars().any(|c| c != '.')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        let (owner, name) = text.split_once('/').ok_or_else(malformed)?;
        if !part_is_fine(owner) || !part_is_fine(name) {
            return Err(malformed());
        }
        Ok(Self { owner: owner.to_owned(), name: name.to_owned() })
    }
}

impl TryFrom<String> for Repo {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<Repo> for String {
    fn from(repo: Repo) -> String {
        repo.to_string()
    }
}

impl fmt::Display for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl PartialEq for Repo {
    fn eq(&self, other: &Self) -> bool {
        self.owner.eq_ignore_ascii_case(&other.owner) && self.name.eq_ignore_ascii_case(&other.name)
    }
}

impl Eq for Repo {}

impl std::hash::Hash for Repo {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// The object id of a commit: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha(String);

impl Sha {
    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..7]
    }
}

impl FromStr for Sha {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let is_hex = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if is_hex && matches!(text.len(), 40 | 64) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Malformed::new(text, "a commit id"))
        }
    }
}

impl TryFrom<String> for Sha {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<Sha> for String {
    fn from(sha: Sha) -> String {
        sha.0
    }
}

impl fmt::Display for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The agent CLIs that hob can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AgentKind {
    /// Claude Code, `claude`.
    Claude,
    /// OpenAI's Codex, `codex`.
    Codex,
    /// Google's Gemini CLI, `gemini`.
    Gemini,
    /// OpenCode, `opencode`.
    OpenCode,
    /// Any program that follows the exchange contract (`docs/agents.md`).
    Command,
}

impl AgentKind {
    /// Every kind, in the order in which they are listed for people.
    pub const ALL: [AgentKind; 5] = [Self::Claude, Self::Codex, Self::Gemini, Self::OpenCode, Self::Command];

    /// The name used in the configuration, in commands and in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::OpenCode => "opencode",
            Self::Command => "command",
        }
    }
}

impl FromStr for AgentKind {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| Malformed::new(text, "an agent (claude, codex, gemini, opencode or command)"))
    }
}

impl fmt::Display for AgentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// The number of an issue within its repository.
    IssueNumber
);
number_id!(
    /// The number of a pull request within its repository. GitHub counts issues and pull requests
    /// together, so the two never collide.
    PullNumber
);
number_id!(
    /// The id of a comment on an issue or pull request, unique on the host.
    CommentId
);
number_id!(
    /// The id of a review of a pull request, unique on the host.
    ReviewId
);
number_id!(
    /// The id of a comment on a line of a pull request's changes. GitHub counts them apart from
    /// other comments.
    ReviewCommentId
);
number_id!(
    /// The id of a check run, unique on the host.
    CheckRunId
);
number_id!(
    /// One installation of the GitHub App on an account.
    InstallationId
);
number_id!(
    /// A repository, unique on the host. It stays the same when the repository is renamed or
    /// transferred.
    RepositoryId
);

impl RepositoryId {
    /// The folder of the repository's mirror, below the folder of all mirrors. No owner is called
    /// `_`.
    pub fn mirror(self) -> String {
        format!("_/{self}.git")
    }
}

/// A repository as hob knows it. The id says which one it is; name and installation are what hob
/// heard last, and may have changed since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryRef {
    /// GitHub's id. Absent where hob has not learned it yet.
    pub id: Option<RepositoryId>,
    /// Its name.
    pub repo: Repo,
    /// The App's installation on it, where hob is an App.
    pub installation: Option<InstallationId>,
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id. Version 7, so ids sort by the time they were made.
            #[allow(clippy::new_without_default)] // an id has no default value
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                Uuid::parse_str(text).map(Self).map_err(|_| Malformed::new(text, "a hob id (a UUID)"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

impl TaskId {
    /// When it was made.
    pub fn made_at(self) -> Option<jiff::Timestamp> {
        let (seconds, _) = self.0.get_timestamp()?.to_unix();
        jiff::Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
    }
}

uuid_id!(
    /// One issue under work.
    StoryId
);
uuid_id!(
    /// One piece of work on a story.
    TaskId
);
uuid_id!(
    /// One attempt at a task, in one container.
    RunId
);
uuid_id!(
    /// One question the agent asked.
    QuestionId
);
uuid_id!(
    /// One message to an agent at work.
    MessageId
);
uuid_id!(
    /// One intended effect on GitHub. Also the hidden marker in a comment of hob's.
    EffectId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_owner_and_name_and_ignores_case() {
        let repo: Repo = "Acme/tool.rs".parse().unwrap();
        assert_eq!((repo.owner(), repo.name()), ("Acme", "tool.rs"));
        assert_eq!(repo, "acme/Tool.RS".parse().unwrap());
        assert_eq!(repo.key(), "acme/tool.rs");
    }

    #[test]
    fn a_repository_that_would_leave_its_folder_is_refused() {
        for text in ["", "acme", "acme/", "/tool", "../tool", "acme/..", "acme/a/b", "acme/a b", "acme/\0"] {
            assert!(text.parse::<Repo>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_commit_id_is_40_or_64_hex_digits() {
        assert!("a".repeat(40).parse::<Sha>().is_ok());
        assert!("0".repeat(64).parse::<Sha>().is_ok());
        for text in ["", "abc", &"A".repeat(40), &"g".repeat(40), &"a".repeat(41)] {
            assert!(text.parse::<Sha>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_branch_has_the_names_that_git_takes() {
        for name in [
            "main",
            "release(2.x)",
            "users/@alice/next",
            "wip/a&b",
            "feature/#12-\u{fc}ber",
            "a/-b",
            "a./b",
            "a`b",
            "a|b<c>\"d'",
            "$x;y!{}%20+=,",
            "HEAD/x",
            "@/x",
            "x@",
            "\u{1f600}",
            &"a".repeat(255),
        ] {
            assert!(is_branch_name(name), "{name:?}");
        }
        for name in [
            "",
            "-x",
            "HEAD",
            "@",
            "a..b",
            "/a",
            "a/",
            "a//b",
            "a.lock",
            "a.lock/b",
            ".a",
            "a/.b",
            "a.",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[",
            "a\\b",
            "a b",
            "a\tb",
            "a\nb",
            "a\u{7f}",
            "a@{1}",
            "@{u}",
            &"a".repeat(256),
        ] {
            assert!(!is_branch_name(name), "{name:?}");
        }
    }
}
