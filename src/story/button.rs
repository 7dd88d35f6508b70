//! The buttons on hob's check runs. Each names the task that it was shown for, so that one that is
//! pressed twice, late, or told of twice means nothing any more once the story has gone on. Pure.

use crate::ids::TaskId;

/// Does the last task again.
pub const RETRY_BUTTON: &str = "retry";
/// Stops the work.
pub const STOP_BUTTON: &str = "stop";

/// As much of a task's id as GitHub has room for: an identifier has 20 characters. It is the time
/// of its making.
const TASK_DIGITS: usize = 12;

/// What somebody wants who presses a button on a check run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ButtonAction {
    /// That the last task is done again.
    Retry,
    /// That the work stops.
    Stop,
    /// That it is looked at once more: GitHub's own button.
    Again,
}

/// How a button is called that is about a task.
pub fn button(name: &str, task: TaskId) -> String {
    format!("{name}:{}", digits(task))
}

/// What a button means for a story that shows this task now. Nothing: it was about another, or is
/// none of hob's.
pub fn pressed(identifier: Option<&str>, shown: TaskId) -> Option<ButtonAction> {
    let Some(identifier) = identifier else { return Some(ButtonAction::Again) };
    let (name, task) = identifier.split_once(':')?;
    match name {
        _ if task != digits(shown) => None,
        RETRY_BUTTON => Some(ButtonAction::Retry),
        STOP_BUTTON => Some(ButtonAction::Stop),
        _ => None,
    }
}

fn digits(task: TaskId) -> String {
    let mut digits = task.0.simple().to_string();
    digits.truncate(TASK_DIGITS);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_button_means_something_for_its_own_task_only() {
        let task: TaskId = "01a20ba9-52c0-71be-86a3-317a53630772".parse().unwrap();
        let other: TaskId = "01a20ba9-52c1-71be-86a3-317a53630772".parse().unwrap();
        let retry = button(RETRY_BUTTON, task);
        assert_eq!((retry.as_str(), retry.len() <= 20), ("retry:01a20ba952c0", true));
        assert_eq!(pressed(Some(&retry), task), Some(ButtonAction::Retry));
        assert_eq!(pressed(Some(&button(STOP_BUTTON, task)), task), Some(ButtonAction::Stop));
        assert_eq!(pressed(Some(&retry), other), None);
        assert_eq!(pressed(None, other), Some(ButtonAction::Again));
        for strange in ["", "retry", "lgtm|1", "dance:01a20ba952c0"] {
            assert_eq!(pressed(Some(strange), task), None, "{strange}");
        }
    }
}
