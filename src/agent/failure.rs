//! Why a run failed, in one list for all agents, and what each reason calls for. Which reason it
//! was is looked up in `table.rs`. How long to wait, how often to try and what to tell people is
//! decided above.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::text;

/// Why a run failed. A cancelled run is no failure and has no class: the one who cancelled it
/// passed [`super::Stopped::Cancelled`] in and looks at that first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureClass {
    /// The model's API does not accept the key, or there is none.
    Authentication,
    /// The account cannot pay: no credit, no plan.
    Billing,
    /// Too many requests in too short a time.
    RateLimit,
    /// A subscription's limit for some hours or days is used up.
    UsageLimit,
    /// The model's API is overloaded, broken or out of reach.
    Overloaded,
    /// The session or the prompt is too long for the model.
    ContextOverflow,
    /// The agent used all its turns.
    TurnLimit,
    /// The agent used all its money.
    BudgetLimit,
    /// The model declined the task.
    Refused,
    /// There is no such model, or not for this key.
    ModelUnknown,
    /// The model's API does not take the request itself: something in the session that it holds is
    /// not valid.
    RequestRefused,
    /// The session to resume is gone, or the CLI went on in another one.
    SessionLost,
    /// A signal ended the run, and neither hob nor the agent had a reason for it.
    Interrupted,
    /// The container ran into its memory limit.
    OutOfMemory,
    /// The run took longer than it may.
    TimedOut,
    /// The agent said nothing for longer than it may.
    Stalled,
    /// The agent ended in a way that nothing above explains.
    Crashed,
    /// The agent was done, but what it made must not be pushed.
    HandOverRefused,
    /// The agent left work uncommitted, even after it was asked to commit it.
    LeftUncommitted,
    /// GitHub rejected the push.
    PushRefused,
    /// The story branch has commits on the git host that the agent's do not descend from.
    BranchMoved,
    /// The history of the base branch was rewritten under the work.
    BaseRewritten,
    /// hob could not start the agent: a key, an image, Docker or the git host was not there.
    NotReady,
    /// The container vanished while the agent worked.
    ContainerLost,
    /// The repository's set-up command failed, before the agent began.
    SetUpFailed,
    /// The repository's template for the prompt cannot be used.
    TemplateUnusable,
    /// The story took up more disk than it may.
    DiskFull,
    /// The disk of hob's server is nearly full.
    ServerDiskFull,
}

/// What a failure calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Try again at once, one time; if that fails too, ask a person. The caller counts.
    RetryNow,
    /// Try again after a wait that grows, or at [`Failure::resets_at`], some times; then ask a
    /// person.
    RetryLater,
    /// Keep the work, tell a person what to change, and go on when they say so.
    AskPerson,
    /// Keep the work and end the task: the same would come out again.
    GiveUp,
}

/// A failed run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The class of the failure.
    pub class: FailureClass,
    /// The agent's own message, as long as it is: secrets are taken out before it is shortened to a
    /// [`detail`](super::detail). Empty when it left none.
    pub detail: String,
    /// When a limit ends, in seconds since 1970, where the agent said so.
    pub resets_at: Option<i64>,
    /// In how many seconds a limit ends, where the agent said that instead.
    pub resets_in: Option<u64>,
}

impl Failure {
    /// A failure with its message and without a time.
    pub fn new(class: FailureClass, message: &str) -> Self {
        Self { class, detail: text::whole(message), resets_at: None, resets_in: None }
    }
}

/// A text that names no class of failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a failure class")]
pub struct UnknownClass(String);

impl FailureClass {
    /// Every class.
    pub const ALL: [Self; 28] = [
        Self::Authentication,
        Self::Billing,
        Self::RateLimit,
        Self::UsageLimit,
        Self::Overloaded,
        Self::ContextOverflow,
        Self::TurnLimit,
        Self::BudgetLimit,
        Self::Refused,
        Self::ModelUnknown,
        Self::RequestRefused,
        Self::SessionLost,
        Self::Interrupted,
        Self::OutOfMemory,
        Self::TimedOut,
        Self::Stalled,
        Self::Crashed,
        Self::HandOverRefused,
        Self::LeftUncommitted,
        Self::PushRefused,
        Self::BranchMoved,
        Self::BaseRewritten,
        Self::NotReady,
        Self::ContainerLost,
        Self::SetUpFailed,
        Self::TemplateUnusable,
        Self::DiskFull,
        Self::ServerDiskFull,
    ];

    /// The name under which the store keeps it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::Billing => "billing",
            Self::RateLimit => "rate-limit",
            Self::UsageLimit => "usage-limit",
            Self::Overloaded => "overloaded",
            Self::ContextOverflow => "context-overflow",
            Self::TurnLimit => "turn-limit",
            Self::BudgetLimit => "budget-limit",
            Self::Refused => "refused",
            Self::ModelUnknown => "model-unknown",
            Self::RequestRefused => "request-refused",
            Self::SessionLost => "session-lost",
            Self::Interrupted => "interrupted",
            Self::OutOfMemory => "out-of-memory",
            Self::TimedOut => "timed-out",
            Self::Stalled => "stalled",
            Self::Crashed => "crashed",
            Self::HandOverRefused => "hand-over-refused",
            Self::LeftUncommitted => "left-uncommitted",
            Self::PushRefused => "push-refused",
            Self::BranchMoved => "branch-moved",
            Self::BaseRewritten => "base-rewritten",
            Self::NotReady => "not-ready",
            Self::ContainerLost => "container-lost",
            Self::SetUpFailed => "set-up-failed",
            Self::TemplateUnusable => "template-unusable",
            Self::DiskFull => "disk-full",
            Self::ServerDiskFull => "server-disk-full",
        }
    }

    /// What the class calls for.
    pub fn policy(self) -> Policy {
        match self {
            // Keys are renewed behind hob's back: read them again and try once.
            Self::Authentication => Policy::RetryNow,
            // In a fresh session, whose prompt tells the whole story; the work is in the workspace.
            Self::SessionLost | Self::ContextOverflow | Self::RequestRefused => Policy::RetryNow,
            // Nothing was wrong with the task: someone or the machine ended the process.
            Self::Interrupted => Policy::RetryNow,
            // These pass by themselves.
            Self::RateLimit | Self::UsageLimit | Self::Overloaded => Policy::RetryLater,
            // What went wrong is not known, so nothing says that it passes: a person has a look.
            Self::Stalled | Self::Crashed | Self::ContainerLost => Policy::AskPerson,
            // Someone has to change something outside the run.
            Self::LeftUncommitted
            | Self::PushRefused
            | Self::BranchMoved
            | Self::BaseRewritten
            | Self::NotReady
            | Self::SetUpFailed
            | Self::TemplateUnusable
            | Self::DiskFull
            | Self::ServerDiskFull => Policy::AskPerson,
            // Only a person can pay, or choose another model.
            Self::Billing | Self::ModelUnknown => Policy::AskPerson,
            // A second run with the same limit would end the same way, at the same price; a person
            // can raise the limit, or look at the work so far and say how to go on.
            Self::TurnLimit | Self::BudgetLimit | Self::TimedOut | Self::OutOfMemory => Policy::AskPerson,
            // The wording has to change.
            Self::Refused => Policy::AskPerson,
            // The commits are made, and the same commits would be refused again.
            Self::HandOverRefused => Policy::GiveUp,
        }
    }

    /// Whether the next run may resume the session of the failed one. A session that is lost, full
    /// or holds what the model or its API declined would fail the same way.
    pub fn keeps_session(self) -> bool {
        !matches!(self, Self::SessionLost | Self::ContextOverflow | Self::Refused | Self::RequestRefused)
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for FailureClass {
    type Err = UnknownClass;

    fn from_str(text: &str) -> Result<Self, UnknownClass> {
        let known = Self::ALL.into_iter().find(|class| class.as_str() == text);
        known.ok_or_else(|| UnknownClass(text::short_line(text)))
    }
}

/// The HTTP status of an error that is named in a text: `status 401`, `"code":401`,
/// `API Error: 529`, `HTTP 429`.
pub fn status_in(text: &str) -> Option<u16> {
    let text = text.to_lowercase();
    ["status", "code", "error:", "http", "returned"].iter().find_map(|word| {
        text.match_indices(word).find_map(|(at, _)| {
            let rest = text[at + word.len()..].trim_start_matches([' ', ':', '"', '\\', '=', '(', '[']);
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            rest.get(..digits)?.parse().ok().filter(|status| (400..600).contains(status))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_survives_the_store() {
        for class in FailureClass::ALL {
            assert_eq!(class.to_string().parse(), Ok(class));
            assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
        }
        assert_eq!("Crashed".parse::<FailureClass>(), Err(UnknownClass("Crashed".to_owned())));
    }

    #[test]
    fn what_passes_by_itself_is_tried_again_and_what_costs_is_asked() {
        use FailureClass::*;
        for class in [RateLimit, UsageLimit, Overloaded] {
            assert_eq!((class.policy(), class.keeps_session()), (Policy::RetryLater, true), "{class}");
        }
        for class in [Billing, ModelUnknown, TurnLimit, BudgetLimit, OutOfMemory, TimedOut, Refused] {
            assert_eq!(class.policy(), Policy::AskPerson, "{class}");
        }
        assert_eq!((SessionLost.policy(), SessionLost.keeps_session()), (Policy::RetryNow, false));
    }
}
