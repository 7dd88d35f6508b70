//! What keeps a task from going on, in a sentence or two for people on GitHub: the detail of a
//! failure. What follows from it is decided where it is met. Paths of the host and Docker's own
//! words are for the log.

use super::{MAX_BRANCH, code};
use crate::config::ByteSize;

/// What keeps a task from going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// Words that are made already: hob's, or those of the agent, of git or of the git host. May be
    /// none.
    Said(String),
    /// The container engine is away.
    DockerAway,
    /// It does not run the container.
    DockerRefused,
    /// It has no such image.
    NoImage(String),
    /// The image has no such program, or one that does not run in it.
    NoProgram {
        /// The image.
        image: String,
        /// The agent's program.
        program: String,
    },
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
    /// The repository has no commit; this is its default branch.
    EmptyRepository(String),
    /// The base that was chosen is the story branch itself.
    BaseIsStoryBranch(String),
    /// Other branches keep the story branch from being made.
    BranchInTheWay {
        /// The story branch.
        branch: String,
        /// The others.
        others: Vec<String>,
    },
    /// The story branch that is there and its base have no commit in common.
    Unrelated {
        /// The story branch.
        branch: String,
        /// Its base.
        base: String,
    },
    /// The repository is archived or disabled.
    RepositoryReadOnly,
    /// The account of hob's token may not push there.
    MayNotPush,
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
    /// Checked out, the branch would take more disk than this.
    CheckoutTooLarge(ByteSize),
    /// git cannot check the branch out.
    NotCheckedOut,
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
    /// Whether who asked can put it right, or somebody of the repository can, as opposed to hob's
    /// operator.
    pub fn is_for_requester(&self) -> bool {
        matches!(
            self,
            Self::ImageNotAllowed(_)
                | Self::ImageNotAllowedAnyMore
                | Self::NoCommand
                | Self::NoBaseToStart(_)
                | Self::EmptyRepository(_)
                | Self::BaseIsStoryBranch(_)
                | Self::BranchInTheWay { .. }
                | Self::Unrelated { .. }
                | Self::RepositoryReadOnly
                | Self::MayNotPush
                | Self::NoBaseAnyMore(_)
                | Self::NoCommitAnyMore
                | Self::NoFence
        )
    }

    /// For people.
    pub fn describe(&self) -> String {
        let words = match self {
            Self::Said(words) => return words.clone(),
            Self::NoImage(image) => {
                return format!("Docker has no image `{image}`.");
            }
            Self::NoProgram { image, program } => {
                return format!(
                    "The image `{image}` has no program `{program}` that runs in it. hob's operator can install it in the image. \
                     `--image` and `--agent` choose another image or agent."
                );
            }
            Self::ImageNotAllowed(image) => {
                return format!("The image `{image}` is not allowed.");
            }
            Self::KeyUnusable(name) => {
                return format!("The key {name} contains a NUL byte.");
            }
            Self::NoBaseToStart(branch) => {
                return format!(
                    "The repository has no branch {} to start from. Create it, or choose another with `/hob work --base …`.",
                    code(branch, MAX_BRANCH)
                );
            }
            Self::EmptyRepository(branch) => {
                return format!(
                    "The repository is empty. Push a first commit to {}.",
                    code(branch, MAX_BRANCH)
                );
            }
            Self::BaseIsStoryBranch(branch) => {
                let branch = code(branch, MAX_BRANCH);
                return format!(
                    "{branch} is the branch that I push to, so it cannot be the base of the pull request too. Choose another with \
                     `/hob work --base …`."
                );
            }
            Self::BranchInTheWay { branch, others } => {
                let names: Vec<String> = others.iter().map(|name| code(name, MAX_BRANCH)).collect();
                let (names, them) = (names.join(", "), if others.len() == 1 { "it" } else { "them" });
                let branch = code(branch, MAX_BRANCH);
                return format!(
                    "I push to the branch {branch}, and git cannot make it while the repository has {names}. Rename or delete {them}."
                );
            }
            Self::Unrelated { branch, base } => {
                let (branch, base) = (code(branch, MAX_BRANCH), code(base, MAX_BRANCH));
                return format!(
                    "The branch {branch} already exists and has no commit in common with {base}, so GitHub accepts no pull request between them. Rename or delete {branch}."
                );
            }
            Self::NoBaseAnyMore(branch) => {
                return format!("The repository has no branch {} any more.", code(branch, MAX_BRANCH));
            }
            Self::HandOverUnreadable(reason) => {
                return format!("The commits from the workspace cannot be read: {reason}.");
            }
            Self::CommitsTooLarge(limit) => {
                return format!("The commits are larger than {limit}.");
            }
            Self::CheckoutTooLarge(limit) => {
                return format!(
                    "Checked out, the branch takes more disk space than the {limit} that `container.disk` allows a story."
                );
            }
            Self::CommitsNotSound(reason) => {
                return format!("The commits were not accepted: {reason}.");
            }
            Self::RepositoryReadOnly => {
                "The repository is archived or disabled, so nothing can be pushed to it. An administrator of it can unarchive it."
            }
            Self::MayNotPush => {
                "The account that hob works with may not push to this repository. An administrator of the repository has to grant it write access."
            }
            Self::DockerAway => "Docker does not answer on hob's server.",
            Self::DockerRefused => "Docker refused to run the agent's container; hob's log has its reason.",
            Self::ImageNotAllowedAnyMore => "The image that the agent worked in is no longer allowed.",
            Self::NoCommand => "The agent `command` was chosen, but hob's settings name no program for it.",
            Self::DiskFull => "The server's disk is nearly full.",
            Self::NoCommitAnyMore => "The commit is no longer in the repository.",
            Self::HostRefused => "GitHub denied access to this repository; hob's log has the reason.",
            Self::TokenRefused => "GitHub rejected hob's token for this repository.",
            Self::NoRepository => "GitHub has no such repository, or hob has no access to it.",
            Self::NoFence => {
                "The repository's `checks_network` is a list, and the container engine on hob's server cannot keep checks to \
                 one: that takes Docker. hob's operator can switch to it; or remove the list from `.github/hob.toml`."
            }
            Self::NoProxy => {
                "The proxy that keeps the checks to their list could not start in the image; hob's log has its reason."
            }
            Self::TemplateUnusable => {
                "The template for the prompt in hob's settings cannot be used; hob's log has what is wrong with it."
            }
            Self::OutOfReach => {
                "A service that hob needs was unreachable for too long; hob's log has the details."
            }
            Self::NotCheckedOut => "git could not check the branch out; hob's log has its reason.",
            Self::WorkspaceUnreadable => "git could not read the repository that the agent left.",
            Self::NotRefreshed => {
                "The kept workspace could not be brought up to date: its git repository is damaged."
            }
            Self::ElsewhereCheckedOut => {
                "The uncommitted changes are not based on the branch's newest commit."
            }
            Self::NotCommitted => "git could not commit the uncommitted changes; they may be too large.",
            Self::Stashed => "The agent left changes in `git stash`.",
            Self::CommitsTooSlow => "Reading the commits took too long.",
            Self::CommitsTooMuch => "Reading the commits took more memory, disk space or time than allowed.",
            Self::OtherCommits => "The bundle contains another commit than the one that the workspace named.",
            Self::MovedBack => "The branch was reset to before the commit that the work started from.",
        };
        words.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_task_from_going_on() {
        let name = |text: &str| text.to_owned();
        let all = [
            Detail::Said(name("GH006: protected branch")),
            Detail::DockerAway,
            Detail::DockerRefused,
            Detail::NoImage(name("hob-claude:latest")),
            Detail::NoProgram { image: name("hob-claude:latest"), program: name("codex") },
            Detail::ImageNotAllowed(name("postgres:17")),
            Detail::ImageNotAllowedAnyMore,
            Detail::NoCommand,
            Detail::DiskFull,
            Detail::KeyUnusable(name("ANTHROPIC_API_KEY")),
            Detail::NoBaseToStart(name("release")),
            Detail::EmptyRepository(name("main")),
            Detail::BaseIsStoryBranch(name("hob/issue-1")),
            Detail::BranchInTheWay { branch: name("hob/issue-1"), others: vec![name("hob")] },
            Detail::Unrelated { branch: name("hob/issue-1"), base: name("main") },
            Detail::RepositoryReadOnly,
            Detail::MayNotPush,
            Detail::NoBaseAnyMore(name("release")),
            Detail::NoCommitAnyMore,
            Detail::HostRefused,
            Detail::TokenRefused,
            Detail::NoRepository,
            Detail::NoFence,
            Detail::NoProxy,
            Detail::TemplateUnusable,
            Detail::OutOfReach,
            Detail::CheckoutTooLarge(ByteSize(20 << 30)),
            Detail::NotCheckedOut,
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
        insta::assert_snapshot!("what_keeps_a_task_from_going_on", {
            all.iter().map(|detail| detail.describe()).collect::<Vec<_>>().join("\n")
        });
    }
}
