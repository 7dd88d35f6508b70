//! What a text points at: other issues, and images. Pure; whether any of it is read is decided above.

use std::collections::HashSet;

use crate::ids::{IssueNumber, Repo};

/// An issue that a text names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Absent: of the same repository.
    pub repo: Option<Repo>,
    /// Which one.
    pub number: IssueNumber,
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.repo {
            Some(repo) => write!(f, "{repo}#{}", self.number),
            None => write!(f, "#{}", self.number),
        }
    }
}

/// The issues that a text names, as `#12`, `owner/name#12`, or by the address of their page below `web` (`https://github.com`), each
/// once, in order. Those in code are code.
pub fn references(text: &str, web: &str) -> Vec<Reference> {
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for line in lines_outside_code(text) {
        for word in line.split(|c: char| c.is_whitespace() || "()[]{},;\"'<>".contains(c)) {
            let found = short(word).or_else(|| address(word, web));
            all.extend(found.filter(|reference| seen.insert(reference.clone())));
        }
    }
    all
}

fn short(word: &str) -> Option<Reference> {
    let word = word.trim_end_matches(['.', ':', '!', '?']);
    let (repo, number) = word.split_once('#')?;
    let repo = if repo.is_empty() { None } else { Some(repo.parse().ok()?) };
    Some(Reference { repo, number: number_of(number)? })
}

fn address(word: &str, web: &str) -> Option<Reference> {
    let path = word.strip_prefix(web.trim_end_matches('/'))?.strip_prefix('/')?;
    let mut parts = path.split('/');
    let repo = format!("{}/{}", parts.next()?, parts.next()?).parse().ok()?;
    if !matches!(parts.next()?, "issues" | "pull") {
        return None;
    }
    let last = parts.next()?;
    let end = last.find(|c: char| !c.is_ascii_digit()).unwrap_or(last.len());
    Some(Reference { repo: Some(repo), number: number_of(&last[..end])? })
}

fn number_of(digits: &str) -> Option<IssueNumber> {
    let is_number = !digits.is_empty() && digits.len() <= 9 && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().ok().filter(|number| *number > 0).map(IssueNumber)).flatten()
}

/// The addresses of the images that a text shows, each once, in order: in `![…](…)`, in `<img src="…">`, and alone.
pub fn images(text: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for line in lines_outside_code(text) {
        for (at, _) in line.match_indices("http") {
            let (before, address) = line.split_at(at);
            if !address.starts_with("https://") && !address.starts_with("http://") {
                continue;
            }
            let end = address
                .find(|c: char| c.is_whitespace() || "\"'<>()[]\\`".contains(c))
                .unwrap_or(address.len());
            let address = &address[..end];
            let is_shown = is_in_markdown(before) || is_in_tag(before) || is_attachment(address);
            if is_shown && seen.insert(address.to_owned()) {
                all.push(address.to_owned());
            }
        }
    }
    all
}

/// Whether an address after this is that of a Markdown image.
fn is_in_markdown(before: &str) -> bool {
    let Some((label, rest)) = before.rsplit_once("](") else { return false };
    let mut inner = 0u32;
    for (at, bracket) in label.rmatch_indices(['[', ']']) {
        match (bracket, inner) {
            ("]", _) => inner += 1,
            (_, 0) => return rest.trim_start_matches('<').trim().is_empty() && label[..at].ends_with('!'),
            _ => inner -= 1,
        }
    }
    false
}

fn is_in_tag(before: &str) -> bool {
    let Some(start) = before.rfind('<') else { return false };
    let tag = before[start..].to_ascii_lowercase();
    tag.starts_with("<img") && tag.trim_end_matches(['"', '\'']).trim_end().ends_with("src=")
}

/// GitHub shows what was attached to an issue wherever its address stands.
fn is_attachment(address: &str) -> bool {
    address.contains("/user-attachments/assets/")
}

/// The lines of a text that are in no code block, without the code in them.
fn lines_outside_code(text: &str) -> impl Iterator<Item = String> {
    let mut fence: Option<(char, usize)> = None;
    let is_shown = move |line: &&str| {
        let start = line.trim_start();
        let mark = start.chars().next().unwrap_or(' ');
        let length = start.chars().take_while(|c| *c == mark).count();
        let is_fence = matches!(mark, '`' | '~') && length >= 3;
        match fence {
            Some((opened, least)) => {
                if is_fence && mark == opened && length >= least {
                    fence = None;
                }
                false
            }
            None if is_fence => {
                fence = Some((mark, length));
                false
            }
            None => true,
        }
    };
    text.lines().filter(is_shown).map(|line| {
        // Every other piece between backticks is code; the last, where they do not pair up, is not.
        let pieces: Vec<&str> = line.split('`').collect();
        let is_text = |(at, _): &(usize, &&str)| at % 2 == 0 || *at == pieces.len() - 1;
        pieces.iter().enumerate().filter(is_text).map(|(_, piece)| *piece).collect::<Vec<_>>().join(" ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Vec<String> {
        references(text, "https://github.com").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn issues_are_named_in_three_ways() {
        let text =
            "As in #12, acme/other#3 and (https://github.com/acme/tool/issues/7#issuecomment-1). See #12.";
        assert_eq!(named(text), ["#12", "acme/other#3", "acme/tool#7"]);
        assert_eq!(named("https://github.com/a/b/pull/9/files"), ["a/b#9"]);
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        for text in [
            "`#12`",
            "```\n#12\n```",
            "# 12",
            "#0",
            "#12a",
            "color: #fff",
            "C#12",
            "a/b/c#1",
            "https://elsewhere.example/a/b/issues/1",
            "#99999999999999",
            "https://github.com/a/b/wiki/1",
        ] {
            assert_eq!(named(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn images_are_found_where_they_are_shown() {
        let text = "![a](https://x.example/1.png) <img width=\"3\" src=\"https://x.example/2.png\">\n\
                    https://github.com/user-attachments/assets/3 [no](https://x.example/4.png) https://x.example/5.png\n\
                    `![a](https://x.example/6.png)` ![a](https://x.example/1.png) [![b](https://x.example/7.png \"t\")](https://x.example/8)";
        assert_eq!(
            images(text),
            [
                "https://x.example/1.png",
                "https://x.example/2.png",
                "https://github.com/user-attachments/assets/3",
                "https://x.example/7.png"
            ]
        );
    }
}
