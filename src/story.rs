//! The domain: stories, tasks, runs and questions, which moves a task may make, and what follows
//! from the end of a run or of a hand-over. Everything here is a pure function of its arguments, so
//! that it can be tested without a world; nothing here is carried out. The worker (`work.rs`) does.

pub mod base;
pub mod budget;
mod button;
pub mod card;
pub mod checks;
pub mod fix;
pub mod plan;
pub mod pull;
pub mod review;
pub mod step;
pub mod sub_issue;
pub mod talk;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use button::{Press, RETRY_BUTTON, STOP_BUTTON, button, pressed};
pub use card::{Card, Given, PartAnswer, Question, Rests};

use crate::agent::{FailureClass, Policy};
use crate::ids::{
    AgentKind, CommentId, InstallationId, IssueNumber, MessageId, PullNumber, QuestionId, Repo, RunId, Sha,
    StoryId, TaskId,
};
use crate::language::{Language, word};

/// One issue under work: one branch, one pull request, one workspace, one agent session after another.
#[derive(Debug, Clone)]
pub struct Story {
    /// Its id.
    pub id: StoryId,
    /// Where the issue is.
    pub repo: Repo,
    /// The issue.
    pub issue: IssueNumber,
    /// The issue's title when the story was last asked to work.
    pub title: String,
    /// The language that hob speaks with people about it.
    pub language: Language,
    /// The App's installation, where hob is an App.
    pub installation: Option<InstallationId>,
    /// The branch that the pull request goes to.
    pub base_branch: String,
    /// The story branch.
    pub branch: String,
    /// What the workspace was made from: the commit that the agent's work must descend from.
    pub base: Option<Sha>,
    /// What the story branch on the remote was when the workspace was made or last pushed. Absent: it
    /// was not there.
    pub remote_head: Option<Sha>,
    /// The agent's session, for the next run to resume.
    pub session: Option<Session>,
    /// The pull request, once there is one.
    pub pull: Option<PullNumber>,
    /// Where it stands.
    pub pull_state: pull::PullState,
    /// When it was closed, merged or opened again last, by GitHub's clock.
    pub pull_moved_at: Option<Timestamp>,
    /// Who did that, where it is known.
    pub pull_moved_by: Option<String>,
    /// Whether it is a draft because hob made it one, or ready because of hob. Absent: a person has decided, or there is none.
    pub pull_draft: Option<bool>,
    /// What hob has called it last. Absent: a person has named it, or there is none.
    pub pull_title: Option<String>,
    /// Whether it shows work that was cut short, and has never been done yet as far as hob has said.
    pub pull_unfinished: bool,
    /// The pull request before that one, where work began anew after it was closed or merged.
    pub past_pull: Option<(PullNumber, pull::PullState)>,
    /// Whether the issue is there no more.
    pub is_gone: bool,
    /// When the label was put on that was taken up last, by GitHub's clock.
    pub labeled_at: Option<Timestamp>,
    /// When somebody stopped the work last, by GitHub's clock.
    pub stopped_at: Option<Timestamp>,
    /// Whether nothing in the workspace is needed any more: it was pushed, under other commit ids, or there was
    /// nothing. Then nothing in it may be handed over, and it only waits to be removed.
    pub handed_over: bool,
}

/// A conversation that an agent CLI keeps in the story's home and can take up again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Whose it is: another CLI cannot resume it.
    pub agent: AgentKind,
    /// Its id, as the CLI gave it.
    pub id: String,
}

/// One piece of work on a story.
#[derive(Debug, Clone)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The story it belongs to.
    pub story: StoryId,
    /// What was asked for, frozen.
    pub ask: Ask,
    /// Whether it is to change anything yet.
    pub mode: plan::Mode,
    /// Where it stands.
    pub state: TaskState,
    /// Why the next run is made, or the current one was.
    pub turn: Turn,
    /// Retries for passing failures so far.
    pub retries: u32,
    /// Grows with each claim. A worker whose fence is old can change nothing any more.
    pub fence: i64,
}

/// What somebody asked for, in the words of the delivery that asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// Who asked.
    pub by: String,
    /// Their account's number, where it is known.
    #[serde(default)]
    pub by_id: Option<u64>,
    /// The issue's title at that moment.
    pub title: String,
    /// The issue's body at that moment.
    pub body: String,
    /// What the command said beyond `/hob work`; absent where a label asked.
    pub text: Option<String>,
    /// What they chose for this task alone.
    #[serde(default)]
    pub choice: Choice,
    /// The pull request, where it was asked for there: questions are then asked there too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<IssueNumber>,
    /// What it is about beyond the issue.
    #[serde(default, skip_serializing_if = "About::is_issue")]
    pub about: About,
}

/// What a task is about beyond its story's issue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum About {
    /// Nothing: the issue, or words about it, is all there is.
    #[default]
    Issue,
    /// What people have said in reviews of the pull request.
    Review(review::Round),
    /// Checks that have failed on what hob pushed.
    Checks(fix::FailedChecks),
    /// The base branch, which has moved on.
    Base(base::BaseMoved),
    /// A sub-issue of the issue, which is worked on with its others, one after the other.
    SubIssue(sub_issue::Together),
}

impl About {
    /// Whether the issue is all there is.
    pub fn is_issue(&self) -> bool {
        *self == Self::Issue
    }

    /// The sub-issue that it is, if it is one.
    pub fn part(&self) -> Option<&sub_issue::SubIssue> {
        match self {
            Self::SubIssue(together) => together.part(),
            _ => None,
        }
    }
}

/// What a person may choose for one task, by a label or in the command. Absent: as the settings say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Which agent works.
    pub agent: Option<AgentKind>,
    /// With which model.
    pub model: Option<String>,
    /// In which image.
    pub image: Option<String>,
    /// Into which branch the pull request goes.
    #[serde(default)]
    pub base: Option<String>,
    /// What the task may cost, in dollars, in place of the caps of run and story.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_usd: Option<f64>,
}

/// A budget is a number of dollars that was read from a text, never a NaN.
impl Eq for Choice {}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskState {
    /// Waits for a worker.
    Queued,
    /// A run is being made.
    Running,
    /// The agent is done; its work is on the way to the git host.
    Publishing,
    /// A question waits for its answer.
    Blocked,
    /// Ended well.
    Done,
    /// Ended badly, and said so.
    Failed,
    /// Ended because a person wanted it.
    Cancelled,
}

/// The legal moves. Every update of a task's state names the state it leaves, and is refused where
/// the row has moved on meanwhile.
pub const MOVES: &[(TaskState, TaskState)] = &[
    (TaskState::Queued, TaskState::Running),
    // There is nothing to do any more.
    (TaskState::Queued, TaskState::Done),
    // A cap is reached before a run begins: a person is asked.
    (TaskState::Queued, TaskState::Blocked),
    // hob has done by itself all that was asked for: applied suggestions, merged a base.
    (TaskState::Queued, TaskState::Done),
    (TaskState::Running, TaskState::Publishing),
    (TaskState::Running, TaskState::Blocked),
    // Another run of the same task: after a passing failure, or to commit what was left over.
    (TaskState::Running, TaskState::Queued),
    // The hand-over holds what a person has to allow; they did, and it is pushed as it is.
    (TaskState::Publishing, TaskState::Blocked),
    (TaskState::Queued, TaskState::Publishing),
    (TaskState::Publishing, TaskState::Queued),
    (TaskState::Publishing, TaskState::Done),
    (TaskState::Blocked, TaskState::Queued),
    (TaskState::Queued, TaskState::Failed),
    (TaskState::Running, TaskState::Failed),
    (TaskState::Publishing, TaskState::Failed),
    (TaskState::Blocked, TaskState::Failed),
    (TaskState::Queued, TaskState::Cancelled),
    (TaskState::Running, TaskState::Cancelled),
    (TaskState::Publishing, TaskState::Cancelled),
    (TaskState::Blocked, TaskState::Cancelled),
];

impl TaskState {
    /// Every state.
    pub const ALL: [TaskState; 7] = [
        Self::Queued,
        Self::Running,
        Self::Publishing,
        Self::Blocked,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Whether a task may go from here to there.
    pub fn may_become(self, next: TaskState) -> bool {
        MOVES.contains(&(self, next))
    }

    /// Whether nothing more can happen to the task.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }

    /// The word in the store and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Publishing => "publishing",
            Self::Blocked => "blocked",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }
}

/// Why a run is made. It decides what the prompt says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum Turn {
    /// The task's first run.
    Begin,
    /// A person answered the agent's question.
    Answer {
        /// The question answered; the answer stands with it in the store.
        question: QuestionId,
    },
    /// The agent said it was done but left work uncommitted; it is asked once to commit it.
    CommitLeftovers {
        /// Paths in the workspace.
        files: Vec<String>,
    },
    /// A check that the repository wants to pass did not; the agent is to mend that.
    ChecksFailed {
        /// Its command line.
        command: String,
        /// How it ended.
        end: checks::CheckEnd,
        /// The end of what it printed.
        output: String,
    },
    /// People pushed to the story branch while the agent worked, and what they did conflicts with what it handed over. Their commits
    /// are merged into the workspace; the agent is to solve the conflicts.
    PushedMeanwhile {
        /// The paths that conflict.
        files: Vec<String>,
    },
    /// The session is gone; the run starts fresh with the whole conversation in its prompt.
    StartOver,
    /// The task before this one did not come to its end; a person wants it to go on.
    GoOn,
    /// A person has agreed to the plan, perhaps with a change; it is carried out.
    CarryOut {
        /// The question that the plan was put as.
        question: QuestionId,
    },
}

/// One attempt at a task, in one container.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its id; the container is named after it.
    pub id: RunId,
    /// The task it is an attempt at.
    pub task: TaskId,
    /// Why it was made.
    pub turn: Turn,
    /// The agent that runs.
    pub agent: AgentKind,
    /// The agent in whose place it runs, because that one's usage limit was used up.
    pub instead_of: Option<AgentKind>,
    /// What it may use.
    pub may_use: budget::Limit,
    /// When its container was started. Absent: no container has run yet.
    pub started_at: Option<Timestamp>,
    /// How it ended; absent while it has not.
    pub end: Option<RunEnd>,
}

impl Run {
    /// The name of its container: of one run there can be one only.
    pub fn container_name(&self) -> String {
        format!("hob-{}", self.id)
    }
}

/// How a run ended, with what is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEnd {
    /// The outcome.
    pub outcome: Outcome,
    /// Dollars, where the CLI tells them.
    pub cost_usd: Option<f64>,
    /// Turns of the model, where the CLI tells them.
    pub turns: Option<u32>,
    /// Tokens that this run used, read and written, where the CLI tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// The same over the whole session, where the CLI counts so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_tokens: Option<u64>,
    /// From the container's start to its end, in milliseconds.
    pub duration_ms: u64,
    /// The container's exit code, where there was one.
    pub exit_code: Option<i64>,
    /// The agent's session.
    pub session: Option<String>,
    /// Names of the files that the agent left for people, kept with the run.
    #[serde(default)]
    pub drops: Vec<String>,
    /// When a limit ends that the run met, in seconds since 1970.
    #[serde(default)]
    pub resets_at: Option<i64>,
    /// What was done about the agent's login after this run, where the service had refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<Renewal>,
    /// What the agent wants the pull request to be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the agent answers in the threads of a review.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replies: Vec<review::Reply>,
}

/// How the command that renews a login ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// Its exit code. Absent: a signal ended it, or it could not be run.
    pub exit_code: Option<i32>,
    /// Whether hob killed it because it took too long.
    pub timed_out: bool,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

impl Renewal {
    /// Whether the login is renewed, as far as the command says.
    pub fn succeeded(&self) -> bool {
        self.exit_code == Some(0) && !self.timed_out
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// The agent says that it is done.
    Completed {
        /// Its summary, Markdown.
        summary: Option<String>,
    },
    /// The agent asks.
    Blocked {
        /// What it asks.
        question: Question,
    },
    /// It did not get there.
    Failed {
        /// Why, in one word.
        class: FailureClass,
        /// Why, in the agent's words. Not for people to read unfiltered.
        detail: String,
    },
    /// A person ended it.
    Cancelled,
}

/// What somebody said on the issue while an agent worked on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Their words.
    pub text: String,
    /// Their login.
    pub by: String,
    /// The comment that says it.
    pub comment: CommentId,
    /// What became of it.
    pub state: MessageState,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageState {
    /// The agent at work is to be told.
    Wanted,
    /// It was told.
    Told,
    /// It is, or becomes, what the next task is about.
    Next,
    /// The work was stopped.
    Dropped,
}

impl MessageState {
    /// The word in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Told => "told",
            Self::Next => "next",
            Self::Dropped => "dropped",
        }
    }

    /// The state of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Wanted, Self::Told, Self::Next, Self::Dropped].into_iter().find(|state| state.as_str() == word)
    }
}

/// A question that was asked on the issue, and its answer if there is one.
#[derive(Debug, Clone)]
pub struct AskedQuestion {
    /// Its id.
    pub id: QuestionId,
    /// What was asked.
    pub question: Question,
    /// The comment, once it is posted.
    pub comment: Option<CommentId>,
    /// The answer and who gave it.
    pub answer: Option<Answer>,
}

/// A person's reply to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The reply, as it was written.
    pub text: String,
    /// Who wrote it. Empty: nobody, and the default was taken.
    pub by: String,
}

/// Commits that wait for a person's word, because they touch protected paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBack {
    /// The commit that was handed over.
    pub tip: Sha,
    /// The protected paths that it changes.
    pub paths: Vec<String>,
}

/// The answer that lets a held-back hand-over through, as it is offered.
pub fn push_anyway(language: Language) -> &'static str {
    word!(language, "Push it anyway", "Trotzdem pushen")
}

/// The other answer that is offered. It goes to the agent, as any but the first does.
pub fn leave_it_out(language: Language) -> &'static str {
    word!(language, "Leave it out", "Weglassen")
}

impl HeldBack {
    /// Whether a word about this one is a word about those commits and paths.
    pub fn covers(&self, tip: &Sha, paths: &[String]) -> bool {
        self.tip == *tip && paths.iter().all(|path| self.paths.contains(path))
    }
}

impl Answer {
    /// Whether this says, and says nothing else than, that a held-back hand-over may be pushed, in whichever language.
    pub fn allows_push(&self) -> bool {
        let plain = self.text.trim().trim_end_matches(['.', '!']).to_lowercase();
        let plain = plain.strip_prefix("1.").unwrap_or(&plain).trim();
        let is_offered = Language::ALL.iter().any(|language| plain == push_anyway(*language).to_lowercase());
        is_offered || ["yes", "ja", "1"].contains(&plain)
    }
}

/// What a worker does once a run has ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Hand the work over and push it.
    Publish,
    /// Post the question and wait.
    Ask(Question),
    /// Make another run, at once or after a wait.
    Again {
        /// Why.
        turn: Turn,
        /// How many retries came before this one; each doubles the wait. Absent: no wait.
        retry: Option<u32>,
    },
    /// Renew the agent's login and make the run again with it, in the same session. If it cannot be renewed,
    /// end the task as failed.
    RenewLogin {
        /// Why the run is made: as before.
        turn: Turn,
    },
    /// End the task as failed.
    Fail(FailureClass),
    /// End the task as cancelled.
    Cancel,
}

/// What the decision after a run depends on, besides the run.
#[derive(Debug, Clone, Copy)]
pub struct TaskHistory {
    /// Retries of this task so far.
    pub retries: u32,
    /// Retries allowed.
    pub retries_allowed: u32,
    /// Whether the agent works with a login that hob can renew.
    pub can_sync: bool,
    /// Whether the login has been renewed for this already; see [`was_synced`].
    pub synced: bool,
}

/// Whether one of the earlier runs of a task, oldest first, failed to log in, with none since that got
/// anywhere: then its login has been renewed, and renewing it again would not help. What is asked is what
/// the store holds, so a restart of hob forgets nothing.
pub fn was_synced(earlier: &[Run]) -> bool {
    let outcomes = earlier.iter().rev().filter_map(|run| run.end.as_ref()).map(|end| &end.outcome);
    outcomes
        .take_while(|outcome| !matches!(outcome, Outcome::Completed { .. } | Outcome::Blocked { .. }))
        .any(|outcome| matches!(outcome, Outcome::Failed { class: FailureClass::Authentication, .. }))
}

/// What follows from the end of a run. What a completed one of a task that only plans leads to is in `plan.rs`.
pub fn after_run(turn: &Turn, outcome: &Outcome, history: TaskHistory) -> Next {
    match outcome {
        Outcome::Completed { .. } => Next::Publish,
        Outcome::Blocked { question } => Next::Ask(question.clone()),
        Outcome::Cancelled => Next::Cancel,
        Outcome::Failed { class, .. } => match class.policy() {
            // The session is gone or full: once more with a fresh one, whose prompt tells everything.
            Policy::RetryNow if !class.keeps_session() && *turn != Turn::StartOver => {
                Next::Again { turn: Turn::StartOver, retry: None }
            }
            Policy::RetryNow
                if *class == FailureClass::Authentication && history.can_sync && !history.synced =>
            {
                Next::RenewLogin { turn: turn.clone() }
            }
            // Someone or the machine ended the process; once more is worth it.
            Policy::RetryNow if *class == FailureClass::Interrupted && history.retries == 0 => {
                Next::Again { turn: turn.clone(), retry: Some(0) }
            }
            // The same turn again: an answer that the agent has not seen must not be lost.
            Policy::RetryLater if history.retries < history.retries_allowed => {
                Next::Again { turn: turn.clone(), retry: Some(history.retries) }
            }
            _ => Next::Fail(*class),
        },
    }
}

/// What a hand-over found in the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// Paths with changes that are not committed.
    pub uncommitted: Vec<String>,
    /// Whether there are commits beyond the base.
    pub has_commits: bool,
}

/// What follows from a hand-over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterHandOver {
    /// Push the commits.
    Push,
    /// There is nothing to push, and nothing was left behind.
    NothingToChange,
    /// Ask the agent, once, to commit these files.
    AskToCommit(Vec<String>),
    /// It was asked and did not; fail and keep the workspace.
    LeftUncommitted(Vec<String>),
}

/// What follows from a hand-over, for a task whose last run was made for `turn`.
pub fn after_hand_over(turn: &Turn, findings: Findings) -> AfterHandOver {
    match (findings.uncommitted.is_empty(), turn) {
        (false, Turn::CommitLeftovers { .. }) => AfterHandOver::LeftUncommitted(findings.uncommitted),
        (false, _) => AfterHandOver::AskToCommit(findings.uncommitted),
        (true, _) if findings.has_commits => AfterHandOver::Push,
        (true, _) => AfterHandOver::NothingToChange,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST_TRY: TaskHistory =
        TaskHistory { retries: 0, retries_allowed: 2, can_sync: false, synced: false };

    fn failed(class: FailureClass) -> Outcome {
        Outcome::Failed { class, detail: String::new() }
    }

    #[test]
    fn a_final_state_is_left_by_no_move_and_every_other_can_fail() {
        for state in TaskState::ALL {
            let moves = TaskState::ALL.into_iter().filter(|next| state.may_become(*next)).count();
            assert_eq!(moves == 0, state.is_final(), "{state:?}");
            assert_eq!(state.may_become(TaskState::Failed), !state.is_final(), "{state:?}");
            assert_eq!(TaskState::from_word(state.as_str()), Some(state));
        }
    }

    #[test]
    fn only_a_plain_yes_lets_protected_paths_through() {
        let allows = |text: &str| Answer { text: text.to_owned(), by: "alice".to_owned() }.allows_push();
        for text in ["Push it anyway", " push it anyway. ", "yes", "Yes!", "1", "1.", "1. Push it anyway"] {
            assert!(allows(text), "{text}");
        }
        for text in ["", ".", "Leave it out", "2", "no", "yes, but rename the job", "Don't push it anyway"] {
            assert!(!allows(text), "{text}");
        }
    }

    #[test]
    fn a_lost_session_starts_over_once() {
        let lost = failed(FailureClass::SessionLost);
        assert_eq!(
            after_run(&Turn::Begin, &lost, FIRST_TRY),
            Next::Again { turn: Turn::StartOver, retry: None }
        );
        assert_eq!(after_run(&Turn::StartOver, &lost, FIRST_TRY), Next::Fail(FailureClass::SessionLost));
    }

    #[test]
    fn a_passing_failure_is_retried_as_often_as_allowed_and_keeps_the_answer() {
        let overloaded = failed(FailureClass::Overloaded);
        let answer = Turn::Answer { question: QuestionId::new() };
        assert_eq!(
            after_run(&answer, &overloaded, FIRST_TRY),
            Next::Again { turn: answer.clone(), retry: Some(0) }
        );
        let worn_out = TaskHistory { retries: 2, ..FIRST_TRY };
        assert_eq!(after_run(&answer, &overloaded, worn_out), Next::Fail(FailureClass::Overloaded));
    }

    #[test]
    fn a_refused_login_is_renewed_once_where_that_is_possible() {
        let refused = failed(FailureClass::Authentication);
        let answer = Turn::Answer { question: QuestionId::new() };
        let can_sync = TaskHistory { can_sync: true, ..FIRST_TRY };
        assert_eq!(after_run(&answer, &refused, can_sync), Next::RenewLogin { turn: answer.clone() });
        let synced = TaskHistory { synced: true, ..can_sync };
        for history in [synced, FIRST_TRY] {
            assert_eq!(after_run(&answer, &refused, history), Next::Fail(FailureClass::Authentication));
        }
    }

    #[test]
    fn a_login_was_renewed_if_none_got_anywhere_since_one_was_refused() {
        let run = |outcome: Outcome| Run {
            id: RunId::new(),
            task: TaskId::new(),
            turn: Turn::Begin,
            agent: AgentKind::Claude,
            instead_of: None,
            may_use: budget::Limit::default(),
            started_at: None,
            end: Some(RunEnd {
                outcome,
                cost_usd: None,
                turns: None,
                tokens: None,
                session_tokens: None,
                duration_ms: 0,
                exit_code: None,
                session: None,
                drops: Vec::new(),
                resets_at: None,
                renewal: None,
                title: None,
                replies: Vec::new(),
            }),
        };
        let refused = run(failed(FailureClass::Authentication));
        let overloaded = run(failed(FailureClass::Overloaded));
        let completed = run(Outcome::Completed { summary: None });
        assert!(!was_synced(&[]));
        assert!(was_synced(std::slice::from_ref(&refused)));
        assert!(was_synced(&[completed.clone(), refused.clone(), overloaded.clone()]));
        assert!(!was_synced(&[refused, completed, overloaded]));
    }

    #[test]
    fn a_lasting_failure_is_not_retried() {
        let crashed = failed(FailureClass::Crashed);
        assert_eq!(after_run(&Turn::Begin, &crashed, FIRST_TRY), Next::Fail(FailureClass::Crashed));
    }

    #[test]
    fn leftovers_are_asked_for_once_even_when_there_are_commits() {
        let findings = Findings { uncommitted: vec!["a".to_owned()], has_commits: true };
        assert_eq!(
            after_hand_over(&Turn::Begin, findings.clone()),
            AfterHandOver::AskToCommit(vec!["a".to_owned()])
        );
        let asked = Turn::CommitLeftovers { files: vec!["a".to_owned()] };
        assert_eq!(after_hand_over(&asked, findings), AfterHandOver::LeftUncommitted(vec!["a".to_owned()]));
    }

    #[test]
    fn no_commits_and_nothing_left_is_nothing_to_change() {
        let findings = Findings { uncommitted: vec![], has_commits: false };
        assert_eq!(after_hand_over(&Turn::Begin, findings), AfterHandOver::NothingToChange);
    }
}
