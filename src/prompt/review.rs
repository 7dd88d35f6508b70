//! What an agent is told of a round of reviews: each thread with its short name, the part of the
//! diff that it is about, and all that was said in it. Everything in it is of people who may push,
//! and still fenced as what it is: not hob's words. Pure.

use serde::Serialize;

use super::context::Shown;
use crate::event::Verdict;
use crate::story::review::{Applied, Lines, ReviewBatch, Source, ThreadKind};

/// Characters of the part of a diff that is shown; its end is where the comment is.
const MAX_HUNK: usize = 4_000;
/// Characters of one comment.
const MAX_COMMENT_LEN: usize = 8_000;

/// A thread, as a template has it.
#[derive(Debug, Serialize)]
pub(super) struct Thread {
    name: String,
    /// Absent where it is not about lines.
    file: Option<String>,
    /// `3` or `3-7`; absent for a whole file.
    lines: Option<String>,
    /// Whether those lines are from before the change.
    old_side: bool,
    hunk: String,
    said: Vec<Comment>,
    /// Whether there are lines suggested in place of those.
    suggests: bool,
    /// The commit in which that was done.
    applied: Option<String>,
}

#[derive(Debug, Serialize)]
struct Comment {
    by: String,
    /// What the reviewer thinks of the whole, where this is a review's own text.
    verdict: Option<&'static str>,
    /// Whether it was said before this round.
    earlier: bool,
    text: String,
}

impl Thread {
    /// Every text in it that is not hob's.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        let said = self.said.iter().map(|said| said.text.as_str());
        said.chain([self.hunk.as_str()]).chain(self.file.as_deref())
    }
}

/// The threads of a round, with everything hidden taken out by `shown`.
pub(super) fn threads(round: &ReviewBatch, done: &Applied, shown: &mut Shown) -> Vec<Thread> {
    let said_in = |shown: &mut Shown, text: &str| super::cut(&shown.markdown(text), MAX_COMMENT_LEN);
    let comment = |by: &str, text, earlier| Comment { by: by.to_owned(), verdict: None, earlier, text };
    let mut all = Vec::new();
    for thread in round.threads() {
        let mut told = Thread {
            name: thread.name,
            file: None,
            lines: None,
            old_side: false,
            hunk: String::new(),
            said: Vec::new(),
            suggests: false,
            applied: None,
        };
        match thread.what {
            ThreadKind::Whole(review) => {
                let said = comment(&review.by, said_in(shown, &review.body), false);
                told.said.push(Comment { verdict: verdict(review.source), ..said });
            }
            ThreadKind::Lines(remarks) => {
                let (_, first) = remarks[0];
                told.file = Some(super::cut(&shown.plain(&first.at.file), 500));
                told.lines = lines(&first.at);
                told.old_side = first.at.is_old_side;
                told.hunk = end_of(&shown.plain(&first.hunk), MAX_HUNK);
                for said in &first.before {
                    told.said.push(comment(&said.by, said_in(shown, &said.text), true));
                }
                for (by, remark) in &remarks {
                    told.said.push(comment(by, said_in(shown, &remark.text), false));
                    told.suggests |= remark.text.contains("```suggestion");
                    told.applied = done.commit_of(remark.id).map(ToString::to_string).or(told.applied);
                }
            }
        }
        all.push(told);
    }
    all
}

fn verdict(source: Source) -> Option<&'static str> {
    match source {
        Source::Review { verdict: Verdict::ChangesRequested, .. } => Some("changes requested"),
        Source::Review { verdict: Verdict::Commented | Verdict::Approved, .. } | Source::Comment(_) => None,
    }
}

fn lines(at: &Lines) -> Option<String> {
    let last = at.last?;
    match at.first {
        Some(first) if first < last => Some(format!("{first}-{last}")),
        _ => Some(last.to_string()),
    }
}

/// The end of a text: whole lines of it.
fn end_of(text: &str, most: usize) -> String {
    let mut kept = Vec::new();
    let mut room = most;
    for line in text.lines().rev() {
        let Some(left) = room.checked_sub(line.chars().count() + 1) else {
            kept.push("[hob has cut off what is before]");
            break;
        };
        room = left;
        kept.push(line);
    }
    kept.reverse();
    kept.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_hunk_the_end_is_shown() {
        assert_eq!(end_of("a\nb", 10), "a\nb");
        assert_eq!(end_of("aaaa\nbb\ncc", 6), "[hob has cut off what is before]\nbb\ncc");
    }
}
