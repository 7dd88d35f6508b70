//! What keeps a task from going on, in a sentence or two for people on GitHub: the detail of a failure. What follows from it is decided
//! where it is met. Paths of the host and Docker's own words are for the log.

use crate::config::ByteSize;
use crate::language::{Language, say, word};

/// What keeps a task from going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// Words that are made already: hob's in the story's language, or those of the agent, of git or of the git host. May be none.
    Said(String),
    /// The container engine is away.
    DockerAway,
    /// It does not run the container.
    DockerRefused,
    /// It has no such image.
    NoImage(String),
    /// The settings do not allow this image.
    ImageNotAllowed(String),
    /// The same, once the agent has worked in it.
    ImageNotAllowedAnyMore,
    /// The agent `command` has no program.
    NoCommand,
    /// There is no room for a run.
    DiskFull,
    /// A key cannot be given to an agent.
    KeyUnusable(String),
    /// There is no such branch to start from.
    NoBaseToStart(String),
    /// The base is gone.
    NoBaseAnyMore(String),
    /// The commit to be checked is gone.
    NoCommitAnyMore,
    /// The git host says no, for a reason that the log has.
    HostRefused,
    /// It does not take the token.
    TokenRefused,
    /// It shows no such repository.
    NoRepository,
    /// Checks cannot be kept to a list of servers.
    NoFence,
    /// What keeps them to it does not start.
    NoProxy,
    /// The operator's template of the prompt has a fault.
    TemplateUnusable,
    /// Something was away for too long.
    OutOfReach,
    /// git cannot read what the agent left.
    WorkspaceUnreadable,
    /// What people have pushed could not be brought into a kept workspace.
    NotRefreshed,
    /// Work in progress is not on top of the story branch.
    ElsewhereCheckedOut,
    /// git could not commit work in progress.
    NotCommitted,
    /// Work in progress is in a stash.
    Stashed,
    /// What came out of the workspace has no form, for this reason.
    HandOverUnreadable(String),
    /// The commits are larger than this.
    CommitsTooLarge(ByteSize),
    /// Reading them took too long.
    CommitsTooSlow,
    /// Reading them took too much of something.
    CommitsTooMuch,
    /// They are not sound, for this reason.
    CommitsNotSound(String),
    /// They are others than the workspace has named.
    OtherCommits,
    /// Commits that were there before are gone.
    MovedBack,
}

impl From<String> for Detail {
    fn from(words: String) -> Self {
        Self::Said(words)
    }
}

impl Detail {
    /// For people.
    pub fn words(&self, language: Language) -> String {
        let words = match self {
            Self::Said(words) => return words.clone(),
            Self::NoImage(image) => {
                return say!(language, "Docker has no image `{image}`.", "Docker hat kein Image `{image}`.");
            }
            Self::ImageNotAllowed(image) => {
                return say!(
                    language,
                    "The image `{image}` is not one that may be chosen.",
                    "Das Image `{image}` darf nicht gewählt werden."
                );
            }
            Self::KeyUnusable(name) => {
                return say!(
                    language,
                    "The key {name} holds a zero byte.",
                    "Der Schlüssel {name} enthält ein Null-Byte."
                );
            }
            Self::NoBaseToStart(branch) => {
                return say!(
                    language,
                    "The repository has no branch `{branch}` to start from.",
                    "Das Repository hat keinen Branch `{branch}`, von dem aus begonnen werden kann."
                );
            }
            Self::NoBaseAnyMore(branch) => {
                return say!(
                    language,
                    "The repository has no branch `{branch}` any more.",
                    "Das Repository hat keinen Branch `{branch}` mehr."
                );
            }
            Self::HandOverUnreadable(reason) => {
                return say!(
                    language,
                    "What came out of the workspace cannot be read: {reason}.",
                    "Was aus dem Workspace kam, ist nicht zu lesen: {reason}."
                );
            }
            Self::CommitsTooLarge(limit) => {
                return say!(
                    language,
                    "The commits are larger than {limit}.",
                    "Die Commits sind größer als {limit}."
                );
            }
            Self::CommitsNotSound(reason) => {
                return say!(
                    language,
                    "The commits were not accepted: {reason}.",
                    "Die Commits wurden nicht angenommen: {reason}."
                );
            }
            Self::DockerAway => word!(
                language,
                "Docker does not answer on hob's server.",
                "Docker antwortet auf dem Server von hob nicht."
            ),
            Self::DockerRefused => word!(
                language,
                "Docker refused to run the agent's container; hob's log has its reason.",
                "Docker hat den Container des Agenten nicht gestartet; den Grund nennt das Log von hob."
            ),
            Self::ImageNotAllowedAnyMore => word!(
                language,
                "The image that the agent worked in is not one that may be chosen any more.",
                "Das Image, in dem der Agent gearbeitet hat, darf nicht mehr gewählt werden."
            ),
            Self::NoCommand => word!(
                language,
                "The agent `command` was chosen, but hob's settings name no program for it.",
                "Gewählt ist der Agent `command`, aber die Einstellungen von hob nennen kein Programm dafür."
            ),
            Self::DiskFull => {
                word!(language, "The server's disk is nearly full.", "Die Platte des Servers ist fast voll.")
            }
            Self::NoCommitAnyMore => word!(
                language,
                "The commit is not in the repository any more.",
                "Den Commit gibt es im Repository nicht mehr."
            ),
            Self::HostRefused => word!(
                language,
                "The git host does not let hob at this repository; hob's log has its reason.",
                "Der Git-Server lässt hob nicht an dieses Repository; den Grund nennt das Log von hob."
            ),
            Self::TokenRefused => word!(
                language,
                "The git host does not accept hob's token for this repository.",
                "Der Git-Server nimmt das Token von hob für dieses Repository nicht an."
            ),
            Self::NoRepository => word!(
                language,
                "The git host has no such repository, or hob may not see it.",
                "Der Git-Server hat kein solches Repository, oder hob darf es nicht sehen."
            ),
            Self::NoFence => word!(
                language,
                "The repository's `checks_network` is a list, and the container engine on hob's server cannot keep checks to \
                 one: that takes Docker. Whoever runs hob can change to that; or take the list out of `.github/hob.toml`.",
                "`checks_network` ist in diesem Repository eine Liste, und die Container-Engine auf dem Server von hob kann Checks \
                 nicht auf eine Liste beschränken: Dazu braucht es Docker. Wer hob betreibt, kann dazu wechseln; oder nimm die \
                 Liste aus `.github/hob.toml`."
            ),
            Self::NoProxy => word!(
                language,
                "The proxy that keeps the checks to their list could not start in the image; hob's log has its reason.",
                "Der Proxy, der die Checks auf ihre Liste beschränkt, konnte im Image nicht starten; den Grund nennt das Log von hob."
            ),
            Self::TemplateUnusable => word!(
                language,
                "The template for the prompt in hob's settings cannot be used; hob's log has what is wrong with it.",
                "Die Vorlage für den Prompt in den Einstellungen von hob ist nicht zu gebrauchen; was daran falsch ist, steht im Log \
                 von hob."
            ),
            Self::OutOfReach => word!(
                language,
                "Something that hob needs was out of reach for too long; hob's log has the details.",
                "Etwas, das hob braucht, war zu lange nicht erreichbar; Näheres steht im Log von hob."
            ),
            Self::WorkspaceUnreadable => word!(
                language,
                "git could not read the repository that the agent left.",
                "git konnte das Repository nicht lesen, das der Agent hinterlassen hat."
            ),
            Self::NotRefreshed => word!(
                language,
                "The kept workspace could not be brought up to date: git in it does not work any more.",
                "Der aufbewahrte Workspace war nicht auf den neuesten Stand zu bringen: git funktioniert darin nicht mehr."
            ),
            Self::ElsewhereCheckedOut => word!(
                language,
                "What is not committed does not lie on the branch's newest commit.",
                "Was nicht committet ist, liegt nicht auf dem neuesten Commit des Branches."
            ),
            Self::NotCommitted => word!(
                language,
                "git could not commit what is not committed; it may be too large for that.",
                "git konnte nicht committen, was noch nicht committet ist; vielleicht ist es dafür zu groß."
            ),
            Self::Stashed => word!(
                language,
                "The agent has put changes away with `git stash`.",
                "Der Agent hat Änderungen mit `git stash` weggelegt."
            ),
            Self::CommitsTooSlow => word!(
                language,
                "Reading the commits took too long.",
                "Die Commits zu lesen dauerte zu lange."
            ),
            Self::CommitsTooMuch => word!(
                language,
                "Reading the commits took more memory, disk space or time than they may take.",
                "Die Commits zu lesen brauchte mehr Speicher, Plattenplatz oder Zeit, als erlaubt ist."
            ),
            Self::OtherCommits => word!(
                language,
                "The bundle holds another commit than the workspace named.",
                "Das Bundle enthält einen anderen Commit, als der Workspace genannt hat."
            ),
            Self::MovedBack => word!(
                language,
                "The branch was moved back behind the commit that the work started from.",
                "Der Branch wurde hinter den Commit zurückgesetzt, von dem die Arbeit ausging."
            ),
        };
        words.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::assert_said;

    #[test]
    fn what_keeps_a_task_from_going_on() {
        let name = |text: &str| text.to_owned();
        let all = [
            Detail::Said(name("GH006: protected branch")),
            Detail::DockerAway,
            Detail::DockerRefused,
            Detail::NoImage(name("hob-claude:latest")),
            Detail::ImageNotAllowed(name("postgres:17")),
            Detail::ImageNotAllowedAnyMore,
            Detail::NoCommand,
            Detail::DiskFull,
            Detail::KeyUnusable(name("ANTHROPIC_API_KEY")),
            Detail::NoBaseToStart(name("release")),
            Detail::NoBaseAnyMore(name("release")),
            Detail::NoCommitAnyMore,
            Detail::HostRefused,
            Detail::TokenRefused,
            Detail::NoRepository,
            Detail::NoFence,
            Detail::NoProxy,
            Detail::TemplateUnusable,
            Detail::OutOfReach,
            Detail::WorkspaceUnreadable,
            Detail::NotRefreshed,
            Detail::ElsewhereCheckedOut,
            Detail::NotCommitted,
            Detail::Stashed,
            Detail::HandOverUnreadable(name("it is empty")),
            Detail::CommitsTooLarge(ByteSize(512 << 20)),
            Detail::CommitsTooSlow,
            Detail::CommitsTooMuch,
            Detail::CommitsNotSound(name("the hand-over does not build on the commit it was given")),
            Detail::OtherCommits,
            Detail::MovedBack,
        ];
        assert_said!("what_keeps_a_task_from_going_on", |language| {
            all.iter().map(|detail| detail.words(language)).collect::<Vec<_>>().join("\n")
        });
    }
}
