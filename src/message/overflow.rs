//! What an agent wrote that is longer than its place has room for: the first part stands there,
//! with links to comments of hob's that hold the rest. A message carries the rest with it, in signs
//! that no contained text has, until `deliver/overflow.rs` has written those comments and knows
//! their addresses. So a message stays a function of facts, and no link leads nowhere.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::contain::{PartLimits, contain_in_parts, cut_here};

/// What encloses a rest: control characters, which `contain` leaves in no text.
const START: char = '\u{1}';
const END: char = '\u{2}';

/// GitHub refuses a comment above 65,536 characters; this leaves room for hob's own words.
const MAX_MORE: usize = 60_000;
/// What more parts would hold nobody reads on GitHub.
const MAX_PARTS: usize = 5;

/// The rest of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overflow {
    /// The same for the same text that was cut in the same place.
    pub key: String,
    /// The parts after the first, as Markdown.
    pub parts: Vec<String>,
}

/// Makes an agent's text safe; what is beyond about `most` characters goes with it as a rest.
pub(super) fn whole(text: &str, most: usize) -> String {
    whole_changed(text, most, |part| part.to_owned())
}

/// The same, with every part changed.
pub(super) fn whole_changed(text: &str, most: usize, change: impl Fn(&str) -> String) -> String {
    let sizes = PartLimits { first: most, more: MAX_MORE, parts: MAX_PARTS };
    let mut parts = contain_in_parts(text, sizes).into_iter().map(|part| change(&part));
    let first = parts.next().unwrap_or_default();
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() {
        return first;
    }
    let digest = Sha256::new().chain_update(most.to_le_bytes()).chain_update(text).finalize();
    let rest = Overflow { key: hex::encode(&digest[..16]), parts };
    // JSON has no line breaks in it, so that a quotation of the text does not tear it.
    let json = serde_json::to_string(&rest).unwrap_or_default();
    format!("{first}\n\n{START}{json}{END}")
}

/// A text of somebody else's that goes into a message as it is: it may carry no rest.
pub(super) fn without_rests(text: &str) -> String {
    text.replace([START, END], "")
}

/// The rests that a message carries.
pub fn rests(message: &str) -> Vec<Overflow> {
    pieces(message).filter_map(|(_, rest)| rest).collect()
}

/// A message with links to its rests, each by the addresses of its comments. Where there are none,
/// it says that it is cut.
pub fn with_links(message: &str, links: impl Fn(&Overflow) -> Option<Vec<String>>) -> String {
    let mut text = String::new();
    for (before, rest) in pieces(message) {
        text.push_str(before);
        let Some(rest) = rest else { continue };
        let links = links(&rest).filter(|links| links.len() == rest.parts.len());
        let cut = || cut_here().replace("\n\n", " ");
        text.push_str(&links.map_or_else(cut, |links| goes_on(&links)));
    }
    text
}

/// Said at the end of the first part.
fn goes_on(links: &[String]) -> String {
    if let [link] = links {
        return format!("… [the rest]({link})");
    }
    let parts = links.iter().enumerate().map(|(at, link)| format!("[part {}]({link})", at + 2));
    let parts = parts.collect::<Vec<_>>().join(", ");
    format!("… the rest: {parts}")
}

/// The comment that holds a part; the first part, which stands elsewhere, is part 1.
pub fn rest_comment(part: &str, number: usize, of: usize) -> String {
    let which = match of {
        2 => String::new(),
        of => format!(" Part {number} of {of}."),
    };
    format!("<sub>The rest of what the agent wrote.{which}</sub>\n\n{part}")
}

/// The pieces of a message, each with the rest that follows it.
fn pieces(message: &str) -> impl Iterator<Item = (&str, Option<Overflow>)> {
    let mut left = Some(message);
    std::iter::from_fn(move || {
        let text = left.take()?;
        let Some((before, after)) = text.split_once(START) else { return Some((text, None)) };
        let (json, after) = after.split_once(END).unwrap_or((after, ""));
        left = Some(after);
        let unread = Overflow { key: String::new(), parts: Vec::new() };
        Some((before, Some(serde_json::from_str(json).unwrap_or(unread))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Spent, nothing_to_change};

    fn report() -> String {
        format!(
            "It was like that before.\n\n```text\n{}```\n\nThat is all, @alice.",
            "a line of it\n".repeat(9_000)
        )
    }

    #[test]
    fn what_is_too_long_is_linked_to() {
        insta::assert_snapshot!("what_is_too_long_is_linked_to", linked_report());
    }

    fn linked_report() -> String {
        let message = nothing_to_change(Some(&report()), Spent::default());
        let found = rests(&message);
        assert_eq!((found.len(), found[0].parts.len()), (1, 2));
        assert_eq!(found, rests(&nothing_to_change(Some(&report()), Spent::default())));
        let links = [
            "https://github.com/acme/tool/issues/1#issuecomment-7".to_owned(),
            "https://x.example/8".to_owned(),
        ];
        let linked = with_links(&message, |_| Some(links.to_vec()));
        let said: Vec<&str> = linked.lines().filter(|line| *line != "> a line of it").collect();
        let one = Overflow { parts: found[0].parts[1..].to_vec(), ..found[0].clone() };
        let json = serde_json::to_string(&one).unwrap();
        let of_one = with_links(&format!("a\n\n{START}{json}{END}\n\nb"), |_| Some(links[..1].to_vec()));
        let comment = |at: usize| {
            let text = rest_comment(&found[0].parts[at], at + 2, 3);
            text.lines().filter(|line| *line != "a line of it").collect::<Vec<_>>().join("\n")
        };
        let unlinked = with_links(&message, |_| None).replace("> a line of it\n", "");
        assert!(
            linked.chars().count() < 65_536
                && found[0].parts.iter().all(|part| part.chars().count() < 65_000)
        );
        let last = rest_comment("That is all.", 2, 2);
        [said.join("\n"), of_one, unlinked, comment(0), comment(1), last].join("\n\n=====\n\n")
    }

    #[test]
    fn a_message_without_a_rest_stays_as_it_is() {
        assert_eq!(with_links("a\n\nb", |_| None), "a\n\nb");
        assert_eq!(rests("a"), []);
        // What somebody else wrote so carries none.
        let forged = format!("{START}{{\"key\":\"k\",\"parts\":[\"@alice\"]}}{END}");
        assert_eq!(rests(&without_rests(&forged)), []);
        assert_eq!(rests(&whole(&forged, 1_000)), []);
        assert_eq!(
            with_links(&format!("a {START}nonsense"), |_| None),
            format!("a {}", cut_here().replace("\n\n", " "))
        );
    }
}
