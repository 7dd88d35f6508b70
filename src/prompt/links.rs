//! What a text points at: other issues, and images. Pure; whether any of it is read is decided
//! above.

use std::collections::HashSet;

use crate::ids::{IssueNumber, Repo};
use crate::markdown::render;

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

/// The issues that a text names, as `#12`, `owner/name#12`, or by the address of their page below
/// `web` (`https://github.com`), each once, in order. Those in code are code.
pub fn references(text: &str, web: &str) -> Vec<Reference> {
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    let rendering = render(text);
    let separates = |c: char| c.is_whitespace() || "()[]{},;\"'<>".contains(c);
    let words = rendering.words.split(separates).chain(rendering.links.iter().map(String::as_str));
    for word in words {
        let found = short(word).or_else(|| address(word, web));
        all.extend(found.filter(|reference| seen.insert(reference.clone())));
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

/// The addresses of the images that a text shows, each once, in order: in `![…](…)`, in
/// `<img src="…">`, and alone.
pub fn images(text: &str) -> Vec<String> {
    render(text).images
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
