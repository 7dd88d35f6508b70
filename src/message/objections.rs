//! What may be wrong with commits that are whole, in words: objections of the hand-over's policy.

use serde::{Deserialize, Serialize};

use crate::story::{HeldBack, LEAVE_IT_OUT, PUSH_ANYWAY, Question};

/// More objections than this are counted, not listed.
const MOST_LISTED: usize = 10;
/// Characters of a path that are shown.
const MOST_PATH: usize = 200;

/// Why commits are not pushed. Paths are the agent's text, with known secrets taken out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objection {
    /// A path that only a person lets through.
    Protected {
        /// The path.
        path: String,
    },
    /// Another repository's commit was added or moved.
    Submodule {
        /// Where.
        path: String,
    },
    /// A symbolic link leads, or may lead, out of the repository.
    LeavingLink {
        /// The link.
        path: String,
    },
    /// A file is too large.
    LargeFile {
        /// Its name, without its folder.
        name: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// Too many paths differ.
    TooManyFiles {
        /// The limit.
        limit: usize,
    },
    /// A secret that hob knows is in a file.
    SecretInFile {
        /// Its name, without its folder.
        name: String,
    },
    /// A secret is in a commit: its message, its author.
    SecretInCommit {
        /// The beginning of its id.
        commit: String,
    },
    /// A secret is in the name of a file or folder.
    SecretInName,
}

/// The objections as a list, for the detail of a failure.
pub fn objections(objections: &[Objection]) -> String {
    let lines = objections.iter().map(|objection| format!("- {}", words(objection)));
    let mut lines: Vec<String> = lines.take(MOST_LISTED).collect();
    if objections.len() > MOST_LISTED {
        lines.push(format!("- and {} more", objections.len() - MOST_LISTED));
    }
    let mut text = format!("They hold what hob does not push:\n\n{}", lines.join("\n"));
    if objections.iter().any(Objection::is_secret) {
        text.push_str(
            "\n\nTaking a secret out in one more commit is not enough: the commits have to be made anew without it.",
        );
    }
    text
}

impl Objection {
    /// Whether it is about a known secret.
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::SecretInFile { .. } | Self::SecretInCommit { .. } | Self::SecretInName)
    }
}

fn words(objection: &Objection) -> String {
    match objection {
        Objection::Protected { path } => format!("{} is protected", code(path)),
        Objection::Submodule { path } => format!("{} is a submodule that was added or moved", code(path)),
        Objection::LeavingLink { path } => {
            format!("{} is a symbolic link that may lead out of the repository", code(path))
        }
        Objection::LargeFile { name, limit } => {
            format!("{} is larger than {} KiB", code(name), limit.div_ceil(1024))
        }
        Objection::TooManyFiles { limit } => format!("more than {limit} files are changed"),
        Objection::SecretInFile { name } => format!("{} holds a secret that hob knows", code(name)),
        Objection::SecretInCommit { commit } => {
            format!("the message or author of commit {} holds a secret that hob knows", code(commit))
        }
        Objection::SecretInName => "the name of a file or folder holds a secret that hob knows".to_owned(),
    }
}

/// The question whether a hand-over with protected paths may be pushed.
pub fn may_this_be_pushed(held_back: &HeldBack) -> Question {
    let listed = held_back.paths.iter().take(MOST_LISTED).map(|path| code(path));
    let mut paths = listed.collect::<Vec<_>>().join(", ");
    if held_back.paths.len() > MOST_LISTED {
        paths.push_str(&format!(" and {} more", held_back.paths.len() - MOST_LISTED));
    }
    Question {
        text: format!("The commits change protected paths: {paths}. May they be pushed as they are?"),
        options: vec![PUSH_ANYWAY.to_owned(), LEAVE_IT_OUT.to_owned()],
        context: Some(
            "Such files can run with the repository's own keys, or say who has to review. Nothing has been pushed. \
             Any other answer goes to the agent, which then goes on."
                .to_owned(),
        ),
        ..Question::default()
    }
}

fn code(path: &str) -> String {
    super::code(path, MOST_PATH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_objection_is_said_in_words() {
        let path = || "a`b\n".to_owned();
        let all = [
            Objection::Protected { path: path() },
            Objection::Submodule { path: path() },
            Objection::LeavingLink { path: path() },
            Objection::LargeFile { name: path(), limit: 10 << 20 },
            Objection::TooManyFiles { limit: 500 },
            Objection::SecretInFile { name: path() },
            Objection::SecretInCommit { commit: "0123abcd".to_owned() },
            Objection::SecretInName,
        ];
        insta::assert_snapshot!(objections(&all));
        let many = vec![Objection::TooManyFiles { limit: 1 }; 12];
        assert!(objections(&many).ends_with("- and 2 more"));
    }

    #[test]
    fn the_question_names_the_paths() {
        let tip = "a".repeat(40).parse().unwrap();
        let question =
            may_this_be_pushed(&HeldBack { tip, paths: vec![".github/workflows/x.yml".to_owned()] });
        insta::assert_snapshot!(super::super::card::tests::shown(question));
    }
}
