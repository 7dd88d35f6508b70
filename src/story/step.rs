//! The one thing that is next for a task, read off what the store holds of it. A restart, an
//! answer, a retry and a stop all come in through here: nobody remembers what was under way,
//! everybody looks. Pure; `work.rs` carries it out.

use super::TaskState;

/// What the store holds of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskSnapshot {
    /// Where it stands.
    pub state: TaskState,
    /// Somebody wants it stopped, or it has waited too long.
    pub stop_wanted: bool,
    /// A person has allowed what its last run handed over, and it waits for nothing else.
    pub may_push: bool,
    /// Its last run was done, and what that made is to be published once more.
    pub publish_again: bool,
    /// It is over, and what it left in the workspace is to be pushed before that goes.
    pub save_wanted: bool,
    /// It is done, and the checks are to run again on what was pushed.
    pub check_wanted: bool,
    /// Its newest run.
    pub run: Option<RunSnapshot>,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunSnapshot {
    /// How it ended is not written down.
    Open,
    /// It is.
    Ended,
}

/// What is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Keep what is there, and end the task.
    Stop,
    /// Go on to publishing, without another run.
    PublishLastRun,
    /// Make a run.
    BeginRun,
    /// See to it that the run's container has been started, follow it to its end, write down how it
    /// ended.
    FollowRun,
    /// Remove the run's container, and go where its outcome leads.
    Settle,
    /// Take the work over and push it.
    Publish,
    /// Push what it left, though it is over.
    SaveWork,
    /// Run the checks again, though it is done.
    CheckAgain,
    /// Nothing: the task waits for a person, or is over.
    Rest,
    /// The store contradicts itself: a task that is running or publishing has a run.
    NoRun,
}

/// The one thing that is next.
pub fn step(look: &TaskSnapshot) -> Step {
    match (look.state, look.run) {
        (TaskState::Queued, _) if look.may_push => Step::PublishLastRun,
        (TaskState::Queued, _) if look.stop_wanted => Step::Stop,
        (TaskState::Queued, Some(RunSnapshot::Ended)) if look.publish_again => Step::PublishLastRun,
        (TaskState::Queued, _) => Step::BeginRun,
        (TaskState::Running, Some(RunSnapshot::Open)) => Step::FollowRun,
        (TaskState::Running, Some(RunSnapshot::Ended)) => Step::Settle,
        (TaskState::Publishing, Some(_)) => Step::Publish,
        (TaskState::Running | TaskState::Publishing, None) => Step::NoRun,
        (TaskState::Done, _) if look.check_wanted => Step::CheckAgain,
        (TaskState::Done | TaskState::Failed | TaskState::Cancelled, _) if look.save_wanted => Step::SaveWork,
        (TaskState::Blocked | TaskState::Done | TaskState::Failed | TaskState::Cancelled, _) => Step::Rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_look_has_one_next_thing_and_what_is_over_has_none() {
        let truths = [false, true];
        let wishes = truths.map(|stop| truths.map(|push| truths.map(|save| (stop, push, save))));
        for state in TaskState::ALL {
            for run in [None, Some(RunSnapshot::Open), Some(RunSnapshot::Ended)] {
                for (stop_wanted, may_push, save_wanted) in
                    wishes.as_flattened().as_flattened().iter().copied()
                {
                    let look = TaskSnapshot {
                        state,
                        stop_wanted,
                        may_push,
                        publish_again: false,
                        save_wanted,
                        check_wanted: false,
                        run,
                    };
                    let next = step(&look);
                    let published = step(&TaskSnapshot { publish_again: true, ..look });
                    let begins = next == Step::BeginRun && run == Some(RunSnapshot::Ended);
                    assert_eq!(published == Step::PublishLastRun, begins || next == Step::PublishLastRun);
                    assert!(published == next || begins, "{state:?}");
                    let again = step(&TaskSnapshot { check_wanted: true, ..look });
                    assert_eq!(again == Step::CheckAgain, state == TaskState::Done, "{state:?}");
                    assert!(again == next || state == TaskState::Done, "{state:?}");
                    assert_eq!(next == Step::SaveWork, state.is_final() && save_wanted, "{state:?}");
                    let rests = state.is_final() || state == TaskState::Blocked;
                    assert_eq!(matches!(next, Step::Rest | Step::SaveWork), rests, "{state:?}");
                    assert_eq!(next == Step::Stop, state == TaskState::Queued && stop_wanted && !may_push);
                }
            }
        }
    }
}
