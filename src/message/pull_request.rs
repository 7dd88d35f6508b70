//! The pull request's text: hob's report, between two markers, so that what people write around it
//! stays theirs.

use super::budget::answer_words;
use super::overflow::without_rests;
use super::{
    MAX_AGENT_TEXT, MAX_NOTABLE, ReviewHint, Spent, agent_name, checks_section, code, contain, contain_line,
    file_list, login, people, spent, whole,
};
use crate::ids::{AgentKind, IssueNumber, PullNumber};
use crate::story::checks::Checked;
use crate::story::{AskedQuestion, TaskKind};

/// The newest pieces of later work that are told, and as much of each as is read: GitHub takes
/// 65,536 characters in all.
const MAX_LATER: usize = 5;
const MAX_LATER_TEXT: usize = 1_500;
/// As much of the summary as is told where there is no room.
const MAX_SHORT: usize = 1_000;
/// As much of a path as is told.
const MAX_PATH: usize = 200;

const START: &str = "<!-- hob:report -->";
const END: &str = "<!-- /hob:report -->";
/// Around what the report says of the repository's checks: they can run again without the report
/// being made again.
const CHECKS: &str = "<!-- hob:checks -->";
const CHECKS_END: &str = "<!-- /hob:checks -->";
/// What an earlier hob, which knew no markers, ended its reports with.
const OLD_REPORT: &str = "\n---\nAsked for by @";

/// The most characters of a body that GitHub takes.
const MAX_BODY: usize = 65_536;

/// What a pull request's body is made from.
#[derive(Debug, Clone)]
pub struct PullRequestText<'a> {
    /// The issues that it closes when it is merged: the story's own, and sub-issues that were
    /// worked on with it.
    pub closes: &'a [IssueNumber],
    /// Who asked for the work.
    pub asked_by: &'a str,
    /// The agent's own summary of the work that it was opened with.
    pub summary: Option<&'a str>,
    /// What is missing in it and what comes next, where it was cut short.
    pub unfinished: Option<&'a str>,
    /// What was done on it after that, oldest first.
    pub later: &'a [FollowUp],
    /// Which agent worked.
    pub agent: AgentKind,
    /// What it took, over all runs of the story.
    pub spent: Spent,
    /// What was asked and answered on the way.
    pub questions: &'a [AskedQuestion],
    /// Files that the agent left for people; the operator has them.
    pub drops: &'a [String],
    /// What came of the repository's checks.
    pub checked: Option<&'a Checked>,
    /// Paths in it to look at closely.
    pub notable: &'a [ReviewHint],
    /// The model, where one was chosen.
    pub model: Option<&'a str>,
    /// The repository's template for pull requests.
    pub template: Option<&'a str>,
    /// Whether it goes to the default branch.
    pub to_default_branch: bool,
    /// The pull request before it, and whether that was merged.
    pub follows: Option<(PullNumber, bool)>,
}

/// One piece of work on a pull request that was there already.
#[derive(Debug, Clone)]
pub struct FollowUp {
    /// What it was about.
    pub about: TaskKind,
    /// Who asked for it.
    pub by: String,
    /// The agent's summary.
    pub summary: String,
}

/// What hob reports in a pull request's body: the whole of it, and the same in short, for where
/// people have left no room for more.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// All of it.
    pub whole: &'a str,
    /// What must not be missing.
    pub short: &'a str,
}

impl Report<'_> {
    /// The body with as much of it as there is room for. None: people's own text has no room for
    /// any of it.
    pub fn in_body(&self, body: &str) -> Option<String> {
        let with = [self.whole, self.short].map(|report| with_report(body, report));
        with.into_iter().find(|body| has_room(body))
    }
}

/// Whether GitHub takes a body of this length: counted as a browser counts, which is never less.
fn has_room(body: &str) -> bool {
    body.encode_utf16().count() <= MAX_BODY
}

/// Said on the pull request where its text has no room for a report.
pub fn no_room_for_report(short: &str) -> String {
    format!(
        "The description here is at GitHub's size limit, and the text in it is yours. So I report here:\n\n\
         {short}"
    )
}

/// A pull request's body with this report in it, in the place of the one that it has.
pub fn with_report(body: &str, report: &str) -> String {
    let report = format!("{START}\n{}\n{END}", report.trim());
    let start = body.find(START);
    let end = body.rfind(END).map(|at| at + END.len());
    match (start, end) {
        (Some(start), Some(end)) if start < end => format!("{}{report}{}", &body[..start], &body[end..]),
        _ if body.trim().is_empty() || body.contains(OLD_REPORT) => report,
        // Somebody has taken the markers away, or has opened it.
        _ => format!("{}\n\n{report}", body.trim_end()),
    }
}

/// A pull request's body whose report shows this of the repository's checks, in the place of what
/// it has. None: people have taken the report away, or there is no room.
pub fn with_evidence(body: &str, section: &str) -> Option<String> {
    let start = body.find(START)?;
    let end = body.rfind(END).filter(|end| start < *end)?;
    let report = &body[start..end];
    let mark = report.rfind(CHECKS);
    let marks =
        mark.and_then(|mark| Some((mark, mark + report[mark..].find(CHECKS_END)? + CHECKS_END.len())));
    let section = between_marks(Some(section));
    let report = match marks {
        Some((from, to)) => format!("{}{section}{}", &report[..from], &report[to..]),
        // It is a short one, or an earlier hob's.
        None => format!("{}\n\n{section}\n", report.trim_end()),
    };
    Some(format!("{}{report}{}", &body[..start], &body[end..])).filter(|body| has_room(body))
}

/// What the report says of checks, which may be nothing, so that it is found again.
fn between_marks(section: Option<&str>) -> String {
    match section {
        Some(section) => format!("{CHECKS}\n{section}\n\n{CHECKS_END}"),
        None => format!("{CHECKS}{CHECKS_END}"),
    }
}

/// What must be in a body that has no room for [all of it](pull_request_body).
pub fn short_body(text: &PullRequestText<'_>) -> String {
    let mut body = match text.unfinished {
        Some(unfinished) => unfinished.to_owned(),
        None => text.summary.map_or(String::new(), |summary| contain(summary.trim(), MAX_SHORT)),
    };
    body.push_str("\n\nThe rest of my report is left out: GitHub accepts no longer description.");
    body.push_str(&ending(text));
    body.trim_start().to_owned()
}

/// What hob reports in a pull request's body: the agent's summary, then what hob itself knows.
pub fn pull_request_body(text: &PullRequestText<'_>) -> String {
    let summary = match text.summary.map(str::trim).filter(|summary| !summary.is_empty()) {
        Some(summary) => whole(summary, MAX_AGENT_TEXT),
        None if text.unfinished.is_some() => String::new(),
        None => "The agent left no summary; the commits say what was done.".to_owned(),
    };
    let mut body = match text.template {
        // It is filled in once there is something to fill in.
        Some(template) if text.unfinished.is_none() => in_template(&summary, template),
        _ => summary,
    };
    if let Some(unfinished) = text.unfinished {
        body = format!("{unfinished}\n\n{body}").trim_end().to_owned();
    }
    let later = text.later.iter().rev().take(MAX_LATER).rev();
    let later: Vec<String> = later.map(told_later).collect();
    if !later.is_empty() {
        body.push_str("\n\n### Since then\n\n");
        body.push_str(&later.join("\n\n"));
    }
    let answered: Vec<String> = text.questions.iter().filter_map(question_and_answer).collect();
    if !answered.is_empty() {
        body.push_str("\n\n### Asked and answered\n\n");
        body.push_str(&answered.join("\n"));
    }
    body.push_str("\n\n");
    body.push_str(&between_marks(text.checked.map(checks_section).as_deref()));
    if !text.notable.is_empty() {
        body.push_str("\n\n### Look closely at\n");
        for notable in text.notable.iter().take(MAX_NOTABLE) {
            body.push_str(&format!("\n- {} {}", code(&notable.path, MAX_PATH), notable.why.describe()));
        }
        if text.notable.len() > MAX_NOTABLE {
            body.push_str("\n- and more");
        }
    }
    if !text.drops.is_empty() {
        body.push_str("\n\n### Kept with the run\n\nThese files are on hob's server:\n\n");
        body.push_str(&file_list(text.drops));
    }
    body.push_str(&ending(text));
    body
}

/// What a body ends with, whatever else is in it.
fn ending(text: &PullRequestText<'_>) -> String {
    let mut body = "\n\n".to_owned();
    match text.follows {
        Some((past, true)) => body.push_str(&format!("Follows #{past}, which was merged.\n")),
        Some((past, false)) => body.push_str(&format!("Replaces #{past}, which was closed.\n")),
        None => {}
    }
    // GitHub closes issues by what goes to the default branch only, and by its own English word.
    let keyword = if text.to_default_branch { "Closes" } else { "For" };
    for issue in text.closes {
        body.push_str(&format!("{keyword} #{issue}\n"));
    }
    let model = text.model.map(|model| format!(" ({})", code(model, 100))).unwrap_or_default();
    let (by, agent) = (login(text.asked_by), agent_name(text.agent));
    let spent = spent(text.spent);
    body.push_str(&format!("\n---\nAsked for by @{by} · {agent}{model} · {spent}"));
    body
}

/// What was done afterwards, under what it was about.
fn told_later(later: &FollowUp) -> String {
    let by = login(&later.by);
    let for_somebody = || format!("For {by}");
    let about = match &later.about {
        TaskKind::Review(round) => match round.reviewers().as_slice() {
            [] => for_somebody(),
            reviewers => {
                let names: Vec<String> = reviewers.iter().map(|by| login(by)).collect();
                let names = names.join(", ");
                format!("After the review by {names}")
            }
        },
        TaskKind::Checks(checks) => {
            let names: Vec<String> = checks.names().iter().map(|name| code(name, 100)).collect();
            let names = names.join(", ");
            format!("About what failed: {names}")
        }
        TaskKind::SubIssue(together) => together.part().map_or_else(String::new, |part| {
            let number = part.number;
            format!("For #{number}")
        }),
        TaskKind::Issue | TaskKind::Base(_) => for_somebody(),
    };
    format!("**{about}:**\n\n{}", whole(&later.summary, MAX_LATER_TEXT))
}

/// The summary in the repository's template. An agent that has filled it in has all of it already;
/// else the summary goes under the template's first heading.
fn in_template(summary: &str, template: &str) -> String {
    let template = without_rests(&template.replace(START, "").replace(END, ""));
    let is_heading = |line: &&str| line.starts_with('#');
    let has = |heading: &str| summary.lines().any(|line| line.trim().eq_ignore_ascii_case(heading.trim()));
    if template.lines().filter(is_heading).any(has) {
        return summary.to_owned();
    }
    let lines: Vec<&str> = template.trim().lines().collect();
    match lines.iter().position(is_heading) {
        Some(at) => {
            let (before, after) = lines.split_at(at + 1);
            let after = after.join("\n");
            format!("{}\n\n{summary}\n\n{}", before.join("\n"), after.trim_start_matches('\n'))
                .trim_end()
                .to_owned()
        }
        None => format!("{summary}\n\n{}", lines.join("\n")),
    }
}

fn question_and_answer(asked: &AskedQuestion) -> Option<String> {
    let answer = asked.answer.as_ref()?;
    let by =
        if answer.by.is_empty() { "Nobody, so the default was taken".to_owned() } else { people(&answer.by) };
    Some(format!(
        "- {} **{by}:** {}",
        contain_line(&asked.question.whole_text(), 500),
        contain_line(&answer_words(answer), 500),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::QuestionId;
    use crate::message::HintReason;
    use crate::story::{Answer, Question};

    const SPENT: Spent =
        Spent { duration_ms: 252_000, cost_usd: Some(0.834), turns: Some(3), tokens: None, stand_in: None };

    #[test]
    fn what_people_write_around_the_report_stays() {
        let first = with_report("", "One.");
        let theirs = format!("Please read this first.\n\n{first}\n\n- [ ] deployed");
        let second = with_report(&theirs, "Two.");
        assert_eq!(
            second,
            "Please read this first.\n\n<!-- hob:report -->\nTwo.\n<!-- /hob:report -->\n\n- [ ] deployed"
        );
        assert_eq!(with_report("By hand.", "One."), format!("By hand.\n\n{first}"));
        assert_eq!(with_report("Old.\n\nCloses #1\n\n---\nAsked for by @alice", "One."), first);
    }

    #[test]
    fn evidence_takes_the_place_of_what_there_is_within_the_report_only() {
        let theirs =
            |report: &str| format!("Read <!-- hob:checks --> first.\r\n{}\n\nMine.", with_report("", report));
        let made = format!("Did it.\n\n{}\n\nCloses #1", between_marks(None));
        let shown = theirs(&format!("Did it.\n\n{}\n\nCloses #1", between_marks(Some("Passed."))));
        assert_eq!(with_evidence(&theirs(&made), "Passed.").unwrap(), shown);
        assert_eq!(with_evidence(&shown, "Passed.").unwrap(), shown);
        let again = with_evidence(&shown, "Failed.").unwrap();
        assert_eq!(again, shown.replace("Passed.", "Failed."));
        let short = with_evidence(&with_report("", "Did it."), "Passed.").unwrap();
        assert_eq!(short, with_report("", &format!("Did it.\n\n{}", between_marks(Some("Passed.")))));

        assert_eq!(with_evidence("People took the report away.", "Passed."), None);
        let full = format!("{shown}{}", "x".repeat(MAX_BODY - shown.len()));
        assert_eq!(with_evidence(&full, "Passed.").unwrap(), full);
        assert_eq!(with_evidence(&full, "Passed!!"), None);
    }

    #[test]
    fn the_summary_goes_where_the_template_has_room_for_it() {
        let template = "<!-- Thanks! -->\n## What\n\n<!-- say what -->\n\n## Why\n";
        assert_eq!(
            in_template("It adds a flag.", template),
            "<!-- Thanks! -->\n## What\n\nIt adds a flag.\n\n<!-- say what -->\n\n## Why"
        );
        let filled_in = "## What\n\nA flag.\n\n## Why\n\nFor scripts.";
        assert_eq!(in_template(filled_in, template), filled_in);
        assert_eq!(in_template("It adds a flag.", "- [ ] tested"), "It adds a flag.\n\n- [ ] tested");
    }

    fn which_shape() -> Question {
        Question {
            text: "Which shape should the output have?".to_owned(),
            options: vec!["one object per line".to_owned(), "one array".to_owned()],
            context: Some("Both are easy to parse.\nThe issue does not say.".to_owned()),
            ..Question::default()
        }
    }

    #[test]
    fn what_is_said_where_the_body_has_no_room() {
        insta::assert_snapshot!("what_is_said_where_the_body_has_no_room", no_room_for_report("Closes #1"));
    }

    #[test]
    fn a_pull_request() {
        let asked = AskedQuestion {
            kind: crate::story::QuestionKind::Agent,
            id: QuestionId::new(),
            question: which_shape(),
            asked_on: None,
            comment: None,
            answer: Some(Answer { text: "one object\nper line".to_owned(), by: "alice".to_owned() }),
        };
        let review = crate::story::review::Review {
            source: crate::story::review::Source::Review {
                id: crate::ids::ReviewId(7),
                verdict: crate::event::Verdict::Commented,
            },
            by: "alice".to_owned(),
            by_id: None,
            body: "Which shape?".to_owned(),
            remarks: Vec::new(),
        };
        let round = crate::story::review::ReviewBatch { reviews: vec![review] };
        let later = [
            FollowUp {
                about: TaskKind::Issue,
                by: "bob".to_owned(),
                summary: "Adds a short form too.".to_owned(),
            },
            FollowUp {
                about: TaskKind::Review(round),
                by: "alice".to_owned(),
                summary: "Says which shape in the manual.\n\n- one line".to_owned(),
            },
        ];
        insta::assert_snapshot!(
            "a_pull_request",
            pull_request_body(&PullRequestText {
                closes: &[IssueNumber(1)],
                asked_by: "alice",
                summary: Some("Adds `--json`.\n\n- one object per line"),
                unfinished: None,
                later: &later,
                agent: AgentKind::Claude,
                spent: SPENT,
                questions: std::slice::from_ref(&asked),
                drops: &["report.txt".to_owned()],
                checked: None,
                notable: &[ReviewHint {
                    path: "Cargo.lock".to_owned(),
                    why: HintReason::SaysWhatItDependsOn
                }],
                model: Some("opus"),
                template: None,
                to_default_branch: true,
                follows: Some((PullNumber(2), true)),
            })
        );
    }
}
