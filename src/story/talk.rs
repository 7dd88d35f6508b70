//! When people's words go to an agent that works, and when it is told that no more will come. Pure:
//! the race between a comment and the end of a run is decided here and, for what is written at the
//! same time, by the store's one writer.

/// What is known of a run that can be told things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentInbox {
    /// It is written down that nothing more is told to this run.
    pub is_ended: bool,
    /// Something waits to be told.
    pub is_wanted: bool,
    /// The agent has come to the end of a turn since it was told something last, its prompt
    /// included.
    pub is_answered: bool,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InboxAction {
    /// Tell what waits.
    Tell,
    /// Say that no more will come, so that the agent's program ends. May be said again.
    End,
    /// Nothing now: the agent works.
    Wait,
}

impl AgentInbox {
    /// What is to be done now.
    pub fn talk(self) -> InboxAction {
        match self {
            // First of all, or what is said would be told to nobody.
            Self { is_ended: true, .. } => InboxAction::End,
            Self { is_wanted: true, .. } => InboxAction::Tell,
            Self { is_answered: true, .. } => InboxAction::End,
            _ => InboxAction::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(is_ended: bool, is_wanted: bool, is_answered: bool) -> InboxAction {
        AgentInbox { is_ended, is_wanted, is_answered }.talk()
    }

    #[test]
    fn after_the_end_nothing_is_told_and_before_it_everything() {
        for (wanted, answered) in [(false, false), (false, true), (true, false), (true, true)] {
            assert_eq!(talk(true, wanted, answered), InboxAction::End);
        }
        assert_eq!(
            talk(false, true, true),
            InboxAction::Tell,
            "a comment that comes with the end begins another turn"
        );
        assert_eq!(talk(false, true, false), InboxAction::Tell, "it is heard in the turn under way");
        assert_eq!(talk(false, false, true), InboxAction::End);
        assert_eq!(talk(false, false, false), InboxAction::Wait);
    }
}
