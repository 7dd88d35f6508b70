//! What a pull request is called: the agent's own words where it has left some, or else how its
//! summary begins, or else the issue's title.

use super::contain_line;

/// The longest title that GitHub takes.
const MAX_TITLE: usize = 256;
/// The longest beginning of a summary that can stand as a title, and the fewest words.
const MAX_BEGINNING: usize = 72;
const MIN_WORDS: usize = 4;

/// A title of one line, and never empty.
pub fn pull_request_title(issue_title: &str) -> String {
    let title = contain_line(issue_title, MAX_TITLE - 1);
    if title.is_empty() {
        return "Work on an issue without a title".to_owned();
    }
    title
}

/// The pull request's title. `own` is what the agent calls it, the newest first; the first that can
/// stand as a title counts.
pub fn title_of_work<'a>(
    own: impl IntoIterator<Item = &'a str>,
    summary: Option<&str>,
    issue_title: &str,
) -> String {
    let is_title = |own: &str| !own.is_empty() && !tells_of_state(own);
    let own = own.into_iter().map(|own| contain_line(own, MAX_TITLE - 1)).find(|own| is_title(own));
    own.or_else(|| summary.and_then(beginning).map(|words| contain_line(words, MAX_TITLE - 1)))
        .unwrap_or_else(|| pull_request_title(issue_title))
}

/// The beginning of a summary, where it can stand as a title: a title of its own, or a short first
/// sentence that tells what was done and not who did it.
fn beginning(summary: &str) -> Option<&str> {
    let mut lines = summary.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut first = lines.next()?;
    if let Some(title) = first.strip_prefix("# ") {
        return Some(title.trim()).filter(|title| is_title(title));
    }
    // A heading of a section says what is below it.
    while first.starts_with('#') {
        first = lines.next()?;
    }
    if first.starts_with(|c: char| c.is_ascii_digit() || "-*+>|`<[!".contains(c)) {
        return None;
    }
    let end = first.find(". ").unwrap_or(first.len());
    let sentence = first[..end].trim_end_matches('.');
    let is_about_somebody = ["I ", "I'", "I’", "We ", "The agent ", "Ich ", "Wir ", "Der Agent "]
        .iter()
        .any(|who| sentence.starts_with(who));
    Some(sentence).filter(|sentence| !is_about_somebody && is_title(sentence))
}

fn is_title(words: &str) -> bool {
    let is_short = words.chars().count() <= MAX_BEGINNING && !words.ends_with(':');
    is_short && words.split_whitespace().count() >= MIN_WORDS && !tells_of_state(words)
}

/// Whether words tell how far the work is, `RunReason 2 is done`, and not what it changes.
fn tells_of_state(words: &str) -> bool {
    const STATES: [&str; 11] = [
        "done",
        "complete",
        "completed",
        "finished",
        "ready",
        "implemented",
        "addressed",
        "resolved",
        "successful",
        "successfully",
        "pushed",
    ];
    const COUNTED: [&str; 9] =
        ["turn", "task", "step", "phase", "part", "round", "iteration", "attempt", "stage"];
    let plain: Vec<String> = words
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase())
        .filter(|word| !word.is_empty())
        .collect();
    let words: Vec<&str> = plain.iter().map(String::as_str).collect();
    let ends_so = words.last().is_some_and(|last| STATES.contains(last));
    let is_count = |word: &str| word.chars().all(|c| c.is_ascii_digit());
    match words.as_slice() {
        [] => true,
        [first] => STATES.contains(first) || COUNTED.contains(first) || *first == "summary",
        [first, second, ..] if COUNTED.contains(first) && (is_count(second) || STATES.contains(second)) => {
            true
        }
        ["all" | "everything" | "work" | "task" | "implementation" | "changes", ..] if ends_so => true,
        // What is done is told, as in `The flag is done`, by a verb before it.
        [.., verb, _] if ends_so => {
            matches!(*verb, "is" | "are" | "was" | "were" | "been" | "now" | "all" | "have" | "has")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_agents_or_how_its_summary_begins_or_the_issues() {
        let of = |own: Option<&str>, summary: &str| title_of_work(own, Some(summary), "The issue's title");
        let newest = ["Turn 2 is done", "Print JSON with --json"];
        assert_eq!(title_of_work(newest, None, "The issue's title"), "Print JSON with --json");
        assert_eq!(of(Some("Print JSON with --json"), "# Something else it says"), "Print JSON with --json");
        for (summary, title) in [
            ("# Print JSON with --json\n\nText.", "Print JSON with --json"),
            ("## Summary\n\nAdds a flag for JSON. It is tested.", "Adds a flag for JSON"),
            ("Adds a flag for JSON.", "Adds a flag for JSON"),
            ("# Summary\n\nAdds a flag for JSON.", "The issue's title"),
            ("Done.", "The issue's title"),
            ("I added a flag for JSON.", "The issue's title"),
            ("These things have changed:\n\n- a flag", "The issue's title"),
            ("- adds a flag for JSON", "The issue's title"),
            ("## What", "The issue's title"),
            ("Turn 2 is done.", "The issue's title"),
            ("# Turn 2 is done", "The issue's title"),
            ("The review comments have been addressed.", "The issue's title"),
            ("Implementation is complete.", "The issue's title"),
            ("All tests are done.", "The issue's title"),
            ("Task completed successfully.", "The issue's title"),
            ("# Mark tasks as done", "Mark tasks as done"),
            ("# Run 2 workers by default", "Run 2 workers by default"),
            ("Shows when a task is ready to run.", "Shows when a task is ready to run"),
            ("", "The issue's title"),
        ] {
            assert_eq!(of(None, summary), title, "{summary}");
        }
        let long = "Adds a flag for JSON ".repeat(10);
        assert_eq!(of(None, &long), "The issue's title");
        assert_eq!(title_of_work([" \n"], None, "The issue's title"), "The issue's title");
    }

    #[test]
    fn a_title_is_one_line_that_nothing_acts_in() {
        let hostile = title_of_work(["Fixes #7 for @bob\n![x](http://e.example/x)"], None, "");
        assert_eq!(hostile.replace('\u{2060}', "·"), "Fixes #·7 for @·bob !·[x](http://e.example/x)");
        assert!(title_of_work([&*"x ".repeat(500)], None, "").chars().count() <= MAX_TITLE);
    }

    #[test]
    fn an_issues_title_becomes_one_line_and_is_never_empty() {
        assert_eq!(pull_request_title(" Add\n--json  "), "Add --json");
        assert_eq!(pull_request_title(" "), "Work on an issue without a title");
    }
}
