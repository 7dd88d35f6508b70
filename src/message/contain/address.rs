//! Addresses of issues, pull requests and commits in an agent's text. GitHub notes on each issue which comments link
//! to it, and takes a full address for the number after words such as `fixes`. An address of github.com goes
//! by way of `redirect.github.com`, which GitHub keeps for such links; elsewhere it is no link any more.

use super::BREAK;

const GITHUB: &str = "github.com";

/// What may follow `owner/name/` in an address of github.com without being noted anywhere.
const HARMLESS: &[&str] = &["actions", "blob", "releases", "tree", "wiki"];

/// What is noted.
const NOTED: &[&str] = &["commit", "commits", "compare", "discussions", "issues", "pull", "pulls"];

/// No longer address is looked through.
const MOST: usize = 2_000;

/// The text with its addresses changed where they would be noted.
pub(super) fn redirected(text: &str) -> String {
    let mut changed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = next_address(rest) {
        let slashes = if rest[at..].starts_with("//") { "//" } else { "" };
        let (before, address) = (&rest[..at], &rest[at + slashes.len()..]);
        let (host, path) = host_and_path(address);
        let third = path.split('/').filter(|part| !part.is_empty()).nth(2).unwrap_or_default();
        let third = third.split(['?', '#', '.', ',', ')']).next().unwrap_or_default().to_ascii_lowercase();
        let is_noted = NOTED.contains(&third.as_str());
        changed.push_str(before);
        let is_github = is_github(host);
        if is_github && !third.is_empty() && !HARMLESS.contains(&third.as_str()) {
            changed.push_str(slashes);
            changed.push_str("redirect.github.com");
            rest = &address[host.len()..];
            continue;
        }
        if is_noted && !is_github && !host.eq_ignore_ascii_case("redirect.github.com") {
            // `https:` and then no address; where there is none before it, the host is split.
            changed.push(BREAK);
        }
        // Another address may begin in what looks like this one's host.
        let passed = at + if slashes.is_empty() { "www.".len() } else { slashes.len() };
        changed.push_str(&rest[at..passed]);
        rest = &rest[passed..];
    }
    changed.push_str(rest);
    changed
}

/// What an address begins with, up to the first sign that can be in none.
fn host_and_path(text: &str) -> (&str, &str) {
    let is_end = |(at, c): &(usize, char)| *at > MOST || c.is_whitespace() || "<>\"'`[]".contains(*c);
    let end = text.char_indices().find(is_end).map_or(text.len(), |(at, _)| at);
    let address = &text[..end];
    address.split_at(address.find(['/', '?', '#', '\\']).unwrap_or(address.len()))
}

/// Where something begins that GitHub may take for an address.
fn next_address(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let www = |at: usize| bytes.get(at..at + 4).is_some_and(|word| word.eq_ignore_ascii_case(b"www."));
    (0..bytes.len()).find(|at| bytes[*at..].starts_with(b"//") || www(*at))
}

/// Whether it is GitHub's own host, with whatever a browser leaves away.
fn is_github(host: &str) -> bool {
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host).trim_end_matches('.').to_ascii_lowercase();
    host.strip_prefix("www.").unwrap_or(&host) == GITHUB
}
