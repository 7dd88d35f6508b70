//! What may be wrong with commits that are whole, in words: objections of the hand-over's policy.

use crate::story::{LEAVE_IT_OUT, PUSH_ANYWAY, PendingApproval, Question};
use serde::{Deserialize, Serialize};

/// More objections than this are counted, not listed.
const MAX_LISTED: usize = 10;
/// Characters of a path that are shown.
const MAX_PATH: usize = 200;

/// Why commits are not pushed. Paths are the agent's text, with known secrets taken out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyViolation {
    /// A path that only a person lets through.
    Protected {
        /// The path.
        path: String,
    },
    /// Another repository's commit was added or moved.
    Submodule {
        /// The path in the repository.
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
    /// A file that belongs in Git LFS holds its content, and not a pointer to it.
    ContentForPointer {
        /// The path.
        path: String,
    },
    /// A pointer of Git LFS to content that is not on its server.
    NewPointer {
        /// The path.
        path: String,
    },
    /// A file that the repository keeps encrypted is not.
    NotEncrypted {
        /// The path.
        path: String,
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

/// The objections, and how many more there are, as a list for the detail of a failure.
pub fn policy_violations(objections: &[PolicyViolation], more: usize) -> String {
    let lines = objections.iter().map(|objection| format!("- {}", describe(objection)));
    let mut lines: Vec<String> = lines.take(MAX_LISTED).collect();
    let more = more + objections.len().saturating_sub(MAX_LISTED);
    if more > 0 {
        lines.push(format!("- and {more} more"));
    }
    let lines = lines.join("\n");
    let mut text = format!("They contain what hob does not push:\n\n{lines}");
    if objections.iter().any(PolicyViolation::is_secret) {
        text.push_str("\n\nTaking a secret out in one more commit is not enough: the commits have to be recreated without it.");
    }
    text
}

impl PolicyViolation {
    /// Whether it is about a known secret.
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::SecretInFile { .. } | Self::SecretInCommit { .. } | Self::SecretInName)
    }
}

fn describe(objection: &PolicyViolation) -> String {
    match objection {
        PolicyViolation::Protected { path } => {
            let path = code(path);
            format!("{path} is protected")
        }
        PolicyViolation::Submodule { path } => {
            let path = code(path);
            format!("{path} is a submodule that was added or moved")
        }
        PolicyViolation::LeavingLink { path } => {
            let path = code(path);
            format!("{path} is a symbolic link that may lead out of the repository")
        }
        PolicyViolation::LargeFile { name, limit } => {
            let (name, limit) = (code(name), limit.div_ceil(1024));
            format!("{name} is larger than {limit} KiB")
        }
        PolicyViolation::ContentForPointer { path } => {
            let path = code(path);
            format!("{path} belongs in Git LFS, and contains content instead of a pointer")
        }
        PolicyViolation::NewPointer { path } => {
            let path = code(path);
            format!("{path} is a Git LFS pointer to new content, which hob cannot upload")
        }
        PolicyViolation::NotEncrypted { path } => {
            let path = code(path);
            format!("{path} is kept encrypted in this repository, and is not encrypted here")
        }
        PolicyViolation::TooManyFiles { limit } => {
            format!("more than {limit} files are changed")
        }
        PolicyViolation::SecretInFile { name } => {
            let name = code(name);
            format!("{name} contains a secret that hob knows")
        }
        PolicyViolation::SecretInCommit { commit } => {
            let commit = code(commit);
            format!("the message or author of commit {commit} contains a secret that hob knows")
        }
        PolicyViolation::SecretInName => {
            "the name of a file or folder contains a secret that hob knows".to_owned()
        }
    }
}

/// The question whether a hand-over with protected paths may be pushed.
pub fn may_this_be_pushed(held_back: &PendingApproval) -> Question {
    let listed = held_back.paths.iter().take(MAX_LISTED).map(|path| code(path));
    let mut paths = listed.collect::<Vec<_>>().join(", ");
    let more = held_back.more + held_back.paths.len().saturating_sub(MAX_LISTED);
    if more > 0 {
        paths.push_str(&format!(" and {more} more"));
    }
    let context = "Such files can run with the repository's own credentials, or decide who has to review. Nothing has been pushed. \
         Any other answer goes to the agent, which then continues.";
    Question {
        text: format!("The commits change protected paths: {paths}. May they be pushed as they are?"),
        options: vec![PUSH_ANYWAY.to_owned(), LEAVE_IT_OUT.to_owned()],
        context: Some(context.to_owned()),
        ..Question::default()
    }
}

fn code(path: &str) -> String {
    super::code(path, MAX_PATH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::card::card;
    use crate::message::card::tests::card_of;

    #[test]
    fn every_objection_is_said_in_words() {
        let path = || "a`b\n".to_owned();
        let all = [
            PolicyViolation::Protected { path: path() },
            PolicyViolation::Submodule { path: path() },
            PolicyViolation::LeavingLink { path: path() },
            PolicyViolation::LargeFile { name: path(), limit: 10 << 20 },
            PolicyViolation::TooManyFiles { limit: 500 },
            PolicyViolation::SecretInFile { name: path() },
            PolicyViolation::SecretInCommit { commit: "0123abcd".to_owned() },
            PolicyViolation::SecretInName,
        ];
        insta::assert_snapshot!("every_objection_is_said_in_words", policy_violations(&all, 0));
        let many = vec![PolicyViolation::TooManyFiles { limit: 1 }; 12];
        assert!(policy_violations(&many, 0).ends_with("- and 2 more"));
        assert!(policy_violations(&many, 30).ends_with("- and 32 more"));
    }

    #[test]
    fn the_question_names_the_paths() {
        let tip = "a".repeat(40).parse().unwrap();
        let mut held_back =
            PendingApproval { tip, paths: vec![".github/workflows/x.yml".to_owned()], more: 0 };
        insta::assert_snapshot!(
            "the_question_names_the_paths",
            card(&card_of(may_this_be_pushed(&held_back)))
        );
        held_back.more = 3;
        let asked = may_this_be_pushed(&held_back).text;
        assert!(asked.contains("`.github/workflows/x.yml` and 3 more. May"), "{asked}");
    }
}
