//! The domain: stories, tasks, runs and questions, which moves a task may make, and what follows
//! from the end of a run or of a hand-over. Everything here is a pure function of its arguments, so
//! that it can be tested without a world; nothing here is carried out. The worker (`work.rs`) does.

pub mod base;
pub mod budget;
mod button;
pub mod card;
pub mod checks;
pub mod fix;
mod next;
pub mod plan;
pub mod pull;
pub mod review;
mod run;
pub mod step;
mod stop;
pub mod sub_issue;
pub mod talk;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use button::{ButtonAction, RETRY_BUTTON, STOP_BUTTON, button, pressed};
pub use card::{
    OverflowLinks, PartAnswer, Question, QuestionComment, QuestionKind, QuestionSubject, SelectedAnswer,
};
pub use next::{
    Findings, Next, NextStep, TaskHistory, after_hand_over, after_run, publishes_again, was_synced,
};
pub use run::{Outcome, Renewal, Run, RunEnd, RunReason};
pub use stop::StopReason;

use crate::ids::{
    AgentKind, CommentId, InstallationId, IssueNumber, MessageId, PullNumber, QuestionId, Repo, RepositoryId,
    RepositoryRef, Sha, StoryId, TaskId,
};

/// One issue under work: one branch, one pull request, one workspace, one agent session after
/// another.
#[derive(Debug, Clone)]
pub struct Story {
    /// Its id.
    pub id: StoryId,
    /// Where the issue is, by the name that the repository had when hob heard of it last.
    pub repo: Repo,
    /// GitHub's id of the repository. Absent where hob has not learned it yet.
    pub github_id: Option<RepositoryId>,
    /// The folder of the mirror that its workspace borrows from, below the folder of all mirrors.
    pub mirror: String,
    /// The issue.
    pub issue: IssueNumber,
    /// The issue's title when the story was last asked to work.
    pub title: String,
    /// The App's installation when hob heard of it last, where hob is an App. It may have been
    /// installed again since.
    pub installation: Option<InstallationId>,
    /// The branch that the pull request goes to.
    pub base_branch: String,
    /// The story branch.
    pub branch: String,
    /// What the workspace was made from: the commit that the agent's work must descend from.
    pub base: Option<Sha>,
    /// What the story branch on the remote was when the workspace was made or last pushed. Absent:
    /// it was not there.
    pub remote_head: Option<Sha>,
    /// The base branch's newest commit that the work builds on, with the name that the branch had
    /// then. Absent: not known yet.
    pub root: Option<(String, Sha)>,
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
    /// Whether it is a draft because hob made it one, or ready because of hob. Absent: a person has
    /// decided, or there is none.
    pub pull_draft: Option<bool>,
    /// What hob has called it last. Absent: a person has named it, or there is none.
    pub pull_title: Option<String>,
    /// Whether it shows work that was cut short, and has never been done yet as far as hob has
    /// said.
    pub pull_unfinished: bool,
    /// The pull request before that one, where work began again after it was closed or merged.
    pub past_pull: Option<(PullNumber, pull::PullState)>,
    /// When work towards the present one began, where there was that one before.
    pub pull_since: Option<Timestamp>,
    /// Whether the issue no longer exists.
    pub is_gone: bool,
    /// When the label was put on that was taken up last, by GitHub's clock.
    pub labeled_at: Option<Timestamp>,
    /// When somebody stopped the work last, by GitHub's clock.
    pub stopped_at: Option<Timestamp>,
    /// Whether nothing in the workspace is needed any more: it was pushed, under other commit ids,
    /// or there was nothing. Then nothing in it may be handed over, and it only waits to be
    /// removed.
    pub handed_over: bool,
}

impl Story {
    /// Its repository.
    pub fn at(&self) -> RepositoryRef {
        RepositoryRef { id: self.github_id, repo: self.repo.clone(), installation: self.installation }
    }

    /// The commit of the present base branch that the work builds on, where it is known.
    pub fn root_on_base(&self) -> Option<&Sha> {
        self.root.as_ref().filter(|(branch, _)| *branch == self.base_branch).map(|(_, commit)| commit)
    }
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
    pub ask: TaskRequest,
    /// Whether it is to change anything yet.
    pub mode: plan::TaskMode,
    /// Where it stands.
    pub state: TaskState,
    /// Why the next run is made, or the current one was.
    pub turn: RunReason,
    /// Retries for passing failures so far.
    pub retries: u32,
    /// When the next run may start at the earliest, where that was put off.
    pub not_before: Option<Timestamp>,
    /// Grows with each claim. A worker whose fence is old can change nothing any more.
    pub fence: i64,
}

/// What somebody asked for, in the words of the delivery that asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRequest {
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
    #[serde(default, skip_serializing_if = "TaskKind::is_issue")]
    pub about: TaskKind,
}

/// What a task is about beyond its story's issue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum TaskKind {
    /// Nothing: the issue, or words about it, is all there is.
    #[default]
    Issue,
    /// What people have said in reviews of the pull request.
    Review(review::ReviewBatch),
    /// Checks that have failed on what hob pushed.
    Checks(fix::FailedChecks),
    /// The base branch, which has moved on.
    Base(base::BaseMoved),
    /// A sub-issue of the issue, which is worked on with its others, one after the other.
    SubIssue(sub_issue::SubIssueOrder),
}

impl TaskKind {
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

/// What a person may choose for one task, by a label or in the command. Absent: as the settings
/// say.
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
    /// Whether the agent starts in a new session.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
}

impl Choice {
    /// Why the first run of a task is made for which this was chosen.
    pub fn first_turn(&self) -> RunReason {
        if self.fresh { RunReason::StartOver } else { RunReason::Begin }
    }
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
    // A cap is reached before a run begins: a person is asked.
    (TaskState::Queued, TaskState::Blocked),
    // Nothing is left to do, or hob has done all of it by itself: applied suggestions, merged a
    // base.
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
    /// What kind of question it is.
    pub kind: QuestionKind,
    /// What was asked.
    pub question: Question,
    /// Where it is asked, where that is not the story's issue.
    pub asked_on: Option<IssueNumber>,
    /// The comment, once it is posted.
    pub comment: Option<CommentId>,
    /// The answer and who gave it.
    pub answer: Option<Answer>,
}

impl AskedQuestion {
    /// Whether these words of that person's are its answer, or a part of it: as they stand, or as
    /// the option that they pick.
    pub fn is_answered_by(&self, login: &str, words: &str) -> bool {
        let Some(answer) = &self.answer else { return false };
        let whole = answer.text.trim();
        if words.trim() == whole {
            return true;
        }
        if !answer.by.split(", ").any(|by| by.eq_ignore_ascii_case(login)) {
            return false;
        }
        // `2`, `2. Tabs` or `Tabs` is one answer; of several, each stands in a line behind its
        // number.
        let has = |text: &str| {
            let is_line = |line: &str| without_number(line).trim() == text;
            !text.is_empty() && (whole.ends_with(text) || whole.lines().any(is_line))
        };
        let picks = |words: &str| self.question.parts().any(|part| has(part.pick(words).trim()));
        let own: Vec<&str> = words.lines().filter(|line| !line.trim_start().starts_with('>')).collect();
        let own = own.join("\n");
        if own.trim().is_empty() {
            // A quotation of an option picks it.
            let quoted = |line: &str| picks(line.trim_start_matches(['>', ' ', '-']));
            return words.lines().any(quoted);
        }
        let mut lines = own.lines().filter(|line| !line.trim().is_empty());
        picks(own.trim()) || lines.all(|line| picks(without_number(line).trim()))
    }
}

/// A line without the number of the part that it is for.
fn without_number(line: &str) -> &str {
    let line = line.trim_start();
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    match line[digits..].strip_prefix([':', '.', ')']) {
        Some(rest) if digits > 0 => rest,
        _ => line,
    }
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
pub struct PendingApproval {
    /// The commit that was handed over.
    pub tip: Sha,
    /// The protected paths that it changes, or the first of them.
    pub paths: Vec<String>,
    /// How many more there are.
    #[serde(default)]
    pub more: usize,
}

/// The answer that lets a held-back hand-over through, as it is offered.
pub const PUSH_ANYWAY: &str = "Push it anyway";

/// The other answer that is offered. It goes to the agent, as any but the first does.
pub const LEAVE_IT_OUT: &str = "Leave it out";

impl PendingApproval {
    /// Whether a word about this one is a word about those commits and paths.
    pub fn covers(&self, other: &Self) -> bool {
        self.tip == other.tip
            && self.more >= other.more
            && other.paths.iter().all(|path| self.paths.contains(path))
    }
}

impl Answer {
    /// Whether this says, and says nothing else than, that a held-back hand-over may be pushed.
    pub fn allows_push(&self) -> bool {
        let plain = self.text.trim().trim_end_matches(['.', '!']).to_lowercase();
        let plain = plain.strip_prefix("1.").unwrap_or(&plain).trim();
        plain == PUSH_ANYWAY.to_lowercase() || ["yes", "1"].contains(&plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_move_is_listed_once() {
        for (at, listed) in MOVES.iter().enumerate() {
            assert!(!MOVES[..at].contains(listed), "{listed:?}");
        }
    }

    #[test]
    fn an_answer_is_known_by_its_words_and_by_the_option_that_they_pick() {
        let asked = |text: &str, answer: &str| AskedQuestion {
            kind: QuestionKind::Agent,
            id: QuestionId::new(),
            question: Question {
                text: text.to_owned(),
                options: ["Tabs", "Two spaces"].map(str::to_owned).to_vec(),
                ..Question::default()
            },
            asked_on: None,
            comment: None,
            answer: Some(Answer { text: answer.to_owned(), by: "alice, bob".to_owned() }),
        };
        let one = asked("Which?", "Two spaces");
        for words in
            ["2", "2.", "b", "two spaces", "Two spaces", "2) Two spaces", "> - Two spaces", "> Which?\n\n2"]
        {
            assert!(one.is_answered_by("Alice", words), "{words:?}");
        }
        for words in ["1", "Tabs", "And a test, please", "spaces are fine with me", ""] {
            assert!(!one.is_answered_by("alice", words), "{words:?}");
        }
        assert!(!one.is_answered_by("carol", "2"), "somebody else's number is none");
        let several = AskedQuestion {
            question: Question { also: vec![one.question.clone()], ..one.question.clone() },
            ..asked("Which?", "1. Two spaces\n2. Tabs")
        };
        assert!(several.is_answered_by("bob", "1: 2\n2: 1") && several.is_answered_by("bob", "2: tabs"));
        assert!(!several.is_answered_by("bob", "1: 2\nand mind the tests"));
        assert!(!AskedQuestion { answer: None, ..one }.is_answered_by("alice", "2"));
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
}
