//! The hidden text at the end of hob's comments, by which they are found and told from other
//! people's.

use crate::ids::EffectId;

pub(super) const MARKER_START: &str = "<!-- hob:";
pub(super) const MARKER_END: &str = " -->";
/// What stands before the id in the marker of a status comment.
const STATUS: &str = "status ";

/// The hidden text at the end of a comment by which hob knows it again.
pub fn marker(effect: EffectId) -> String {
    format!("{MARKER_START}{effect}{MARKER_END}")
}

/// The marker of a status comment.
pub fn status_marker(effect: EffectId) -> String {
    format!("{MARKER_START}{STATUS}{effect}{MARKER_END}")
}

/// Whether a comment ends with a marker, as all of hob's do. One in the middle is a quotation.
pub fn has_marker(body: &str) -> bool {
    let last = body.trim_end().lines().last().unwrap_or_default();
    last.strip_prefix(MARKER_START)
        .and_then(|rest| rest.strip_suffix(MARKER_END))
        .is_some_and(|id| id.strip_prefix(STATUS).unwrap_or(id).parse::<EffectId>().is_ok())
}

/// Whether a comment is a status comment, with no other marker in it.
pub fn is_status(body: &str) -> bool {
    let last = body.trim_end().lines().last().unwrap_or_default();
    let is_one = body.matches(MARKER_START).count() == 1;
    is_one && has_marker(body) && last.starts_with(&format!("{MARKER_START}{STATUS}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_of_hobs_is_known_by_the_marker_at_its_end() {
        let marker = marker(EffectId::new());
        assert!(has_marker(&format!("Done.\n\n{marker}")));
        assert!(has_marker(&format!("Done.\n\n{marker}\n")));
        assert!(!has_marker(&format!("{marker}\n\nI quote hob here.")));
        assert!(!has_marker("<!-- hob:nonsense -->"));
        assert!(!has_marker(""));
    }
}
