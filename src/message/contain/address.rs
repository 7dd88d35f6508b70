//! Addresses of issues, pull requests and commits in an agent's text. GitHub notes on each issue
//! which comments link to it, and takes a full address for the number after words such as
//! `fixes`. An address of github.com goes by way of `redirect.github.com`, which GitHub keeps for
//! such links; elsewhere it is no link any more.

use super::BREAK;

const GITHUB: &str = "github.com";

/// What may follow `owner/name/` in an address of github.com without being noted anywhere.
const HARMLESS: &[&str] = &["actions", "blob", "releases", "tree", "wiki"];

/// What is noted.
const NOTED: &[&str] = &["commit", "commits", "compare", "discussions", "issues", "pull", "pulls"];

/// A part of an address that is longer than this is none of these words.
const MAX_PART: usize = 20;

/// The text with its addresses changed where they would be noted.
pub(super) fn redirected(text: &str) -> String {
    let mut changed = String::with_capacity(text.len());
    let mut known: Option<Host> = None;
    // What of the text is not yet written.
    let mut from = 0;
    let mut at = 0;
    while let Some(found) = next_address(text, at) {
        let host = match known.take() {
            Some(host) if found.host <= host.end => host,
            _ => Host::after(text, found.host),
        };
        let third = third_part(&text[host.end..]);
        let is_github = is_github(host.name(text, found.host));
        changed.push_str(&text[from..found.start]);
        from = found.start;
        at = found.next;
        if is_github && !third.is_empty() && !HARMLESS.contains(&third.as_str()) {
            changed.push_str(&text[found.start..found.host]);
            changed.push_str("redirect.github.com");
            from = host.end;
            at = host.end;
        } else if NOTED.contains(&third.as_str())
            && !is_github
            && !text[found.host..host.end].eq_ignore_ascii_case("redirect.github.com")
        {
            // `https:` and then no address; where there is none before it, the host is split.
            changed.push(BREAK);
        }
        known = Some(host);
    }
    changed.push_str(&text[from..]);
    changed
}

/// Where something begins that GitHub may take for an address.
struct Found {
    /// Its slashes, where it has some.
    start: usize,
    host: usize,
    /// Where another address may begin.
    next: usize,
}

fn next_address(text: &str, from: usize) -> Option<Found> {
    let bytes = text.as_bytes();
    let www = |at: usize| bytes.get(at..at + 4).is_some_and(|word| word.eq_ignore_ascii_case(b"www."));
    let start = (from..bytes.len()).find(|at| bytes[*at..].starts_with(b"//") || www(*at))?;
    if bytes[start] != b'/' {
        return Some(Found { start, host: start, next: start + 4 });
    }
    // All slashes in a row stand before one host.
    let host = start + bytes[start..].iter().take_while(|byte| **byte == b'/').count();
    Some(Found { start, host, next: host })
}

/// Where a host ends, and the last `@` in it. Known for all that seem to begin before that end, so
/// that each sign is looked at once.
struct Host {
    end: usize,
    at_sign: Option<usize>,
}

impl Host {
    fn after(text: &str, from: usize) -> Host {
        let ends = |c: char| ends_address(c) || matches!(c, '/' | '?' | '#' | '\\');
        let end = text[from..].find(ends).map_or(text.len(), |at| from + at);
        Host { end, at_sign: text[from..end].rfind('@').map(|at| from + at) }
    }

    /// Its name, where it begins there, without who is named before it.
    fn name<'t>(&self, text: &'t str, from: usize) -> &'t str {
        let start = self.at_sign.map_or(from, |at| from.max(at + 1));
        &text[start.min(self.end)..self.end]
    }
}

/// What can be in no address.
fn ends_address(c: char) -> bool {
    c.is_whitespace() || "<>\"'`[]".contains(c)
}

/// The third part of a path, in small letters, which says what kind of thing is there: `issues`.
fn third_part(path: &str) -> String {
    let mut part = String::new();
    let mut parts = 0;
    let mut is_new = true;
    for c in path.chars().take_while(|c| !ends_address(*c)) {
        if c == '/' {
            if parts == 3 {
                break;
            }
            is_new = true;
            continue;
        }
        parts += usize::from(std::mem::take(&mut is_new));
        if parts == 3 {
            if matches!(c, '?' | '#' | '.' | ',' | ')') || part.len() > MAX_PART {
                break;
            }
            part.push(c.to_ascii_lowercase());
        }
    }
    part
}

/// Whether it is GitHub's own host, with whatever a browser leaves away.
fn is_github(name: &str) -> bool {
    let after = |name: &'_ str, prefix: &str| -> Option<usize> {
        name.get(..prefix.len()).filter(|found| found.eq_ignore_ascii_case(prefix)).map(str::len)
    };
    let name = after(name, "www.").map_or(name, |length| &name[length..]);
    let Some(length) = after(name, GITHUB) else { return false };
    let rest = name[length..].trim_start_matches('.');
    rest.is_empty() || rest.starts_with(':')
}
