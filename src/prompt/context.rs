//! What a template is given: the facts of a run with everything hidden taken out of what people
//! wrote. `docs/prompt.md` names the fields.

use serde::Serialize;

use super::Hidden;
use super::fence::Fences;
use super::review::{self, Thread};
use super::seen::{Author, Failing, File, Image, MissingImage};
use super::{Facts, PromptPurpose, PullStatus, WorkspaceChanges, told_news};
use crate::ids::Sha;
use crate::markdown::{visible, without_shapeless};
use crate::story::checks::CheckEnd;
use crate::story::review::Applied;
use crate::story::{AskedQuestion, TaskKind, TaskRequest};

/// The fields of a template.
#[derive(Debug, Serialize)]
pub(super) struct Context<'a> {
    repo: &'a str,
    issue: u64,
    branch: &'a str,
    base_branch: &'a str,
    first: bool,
    purpose: &'static str,
    mode: &'static str,
    ask: Asked,
    earlier: Vec<Asked>,
    question: Option<Told>,
    conversation: Vec<Told>,
    files: &'a [String],
    check: Option<Check<'a>>,
    base_commit: Option<&'a str>,
    news: Option<String>,
    labels: Vec<String>,
    author: Option<&'a Author>,
    comments: Vec<Comment>,
    comments_left_out: usize,
    linked: Vec<Linked>,
    unreadable: &'a [String],
    images: &'a [Image],
    images_missing: &'a [MissingImage],
    guides: &'a [File],
    pull_template: Option<&'a File>,
    failing: Option<&'a Failing>,
    pull: &'static str,
    past_pull: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Asked {
    by: String,
    title: String,
    body: String,
    text: Option<String>,
    /// What was said in reviews, where it is about them.
    review: Vec<Thread>,
    reviewers: Vec<String>,
    part: Option<Part>,
    /// Whether the session knows the issue, and what was said beyond it.
    known: bool,
    text_known: bool,
}

/// The sub-issue that it is about.
#[derive(Debug, Serialize)]
struct Part {
    number: u64,
    /// Which of them, counted from 1.
    at: usize,
    of: usize,
    title: String,
    body: String,
    author: Author,
    others: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Told {
    text: String,
    options: Vec<String>,
    /// Who answered, in words.
    answered: Option<String>,
    answer: Option<String>,
}

#[derive(Debug, Serialize)]
struct Check<'a> {
    command: &'a str,
    end: String,
    output: &'a str,
}

#[derive(Debug, Serialize)]
struct Comment {
    by: String,
    may_push: bool,
    at: String,
    on: &'static str,
    text: String,
}

#[derive(Debug, Serialize)]
struct Linked {
    name: String,
    title: String,
    state: &'static str,
    by: String,
    body: String,
}

impl<'a> Context<'a> {
    /// The fields for these facts, and what was hidden in them.
    pub(super) fn of(facts: &Facts<'a>) -> (Context<'a>, Hidden) {
        let mut shown = Shown::default();
        let seen = facts.seen;
        let (pull, past_pull) = match facts.pull {
            PullStatus::None => ("none", None),
            PullStatus::Open => ("open", None),
            PullStatus::Theirs => ("theirs", None),
            PullStatus::Unfinished => ("unfinished", None),
            PullStatus::AfterMerge(past) => ("after_merge", Some(past.0)),
            PullStatus::AfterClose(past) => ("after_close", Some(past.0)),
        };
        let (purpose, question, files): (_, _, &[String]) = match &facts.purpose {
            PromptPurpose::Work => ("work", None, &[]),
            PromptPurpose::Answered(question) => ("answered", Some(told(question, &mut shown)), &[]),
            PromptPurpose::GoOn => ("go_on", None, &[]),
            PromptPurpose::Commit(files) => ("commit", None, files),
            PromptPurpose::Resume(unseen) => {
                let unseen = unseen.filter(|asked| asked.answer.is_some());
                ("resume", unseen.map(|asked| told(asked, &mut shown)), &[])
            }
            PromptPurpose::CarryOut(plan) => ("carry_out", Some(told(plan, &mut shown)), &[]),
            PromptPurpose::MendCheck { .. } => ("check", None, &[]),
            PromptPurpose::MergeBase(_) => ("merge_base", None, &[]),
            PromptPurpose::MeetTheirs(files) => ("meet_theirs", None, files),
        };
        // Where that is what the run is for, it is told by itself.
        let (base_commit, is_merge) = match &facts.purpose {
            PromptPurpose::MergeBase(commit) => (commit.map(Sha::as_str), true),
            _ => (None, false),
        };
        let news = facts.news.map(|news| WorkspaceChanges {
            base_moved: news.base_moved.clone().filter(|_| !is_merge),
            ..news.clone()
        });
        let check = match &facts.purpose {
            PromptPurpose::MendCheck { command, end, output } => {
                Some(Check { command, end: ended(*end), output })
            }
            _ => None,
        };
        let answered = facts.questions.iter().filter(|question| question.answer.is_some());
        // What is asked for once more is told once more.
        let says_more = facts.ask.text.is_some() && !facts.known.text;
        let is_known = facts.resumes
            && facts.known.issue
            && (says_more || matches!(facts.purpose, PromptPurpose::Resume(_)));
        let ask = Asked {
            known: is_known,
            text_known: facts.known.text,
            ..asked(facts.ask, facts.applied, &mut shown)
        };
        let context = Context {
            repo: facts.repo,
            issue: facts.issue,
            branch: facts.branch,
            base_branch: facts.base_branch,
            first: !facts.resumes,
            purpose,
            mode: facts.mode.as_str(),
            ask,
            // A resumed session has seen these, and what is hidden in them was counted then.
            earlier: facts
                .earlier
                .iter()
                .filter(|_| !facts.resumes)
                .map(|ask| asked(ask, facts.applied, &mut shown))
                .collect(),
            question,
            conversation: answered.filter(|_| !facts.resumes).map(|asked| told(asked, &mut shown)).collect(),
            files,
            check,
            base_commit,
            news: news.and_then(|news| told_news(&news, facts.base_branch)),
            labels: seen.labels.iter().map(|label| shown.plain(label)).collect(),
            author: seen.author.as_ref(),
            comments: seen
                .comments
                .iter()
                .map(|comment| Comment {
                    by: comment.author.login.clone(),
                    may_push: comment.author.may_push,
                    at: comment.at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
                    on: comment.on,
                    text: shown.markdown(&comment.text),
                })
                .collect(),
            comments_left_out: seen.comments_left_out,
            linked: seen
                .linked
                .iter()
                .map(|linked| Linked {
                    name: linked.name.clone(),
                    title: shown.plain(&linked.title),
                    state: linked.state,
                    by: linked.by.clone(),
                    body: shown.markdown(&linked.body),
                })
                .collect(),
            unreadable: &seen.unreadable,
            images: &seen.images,
            images_missing: &seen.images_missing,
            guides: &seen.guides,
            pull_template: seen.pull_template.as_ref(),
            failing: seen.failing.as_ref(),
            pull,
            past_pull,
        };
        (context, shown.hidden)
    }

    /// Fences for all texts in it.
    pub(super) fn fences(&self) -> Fences {
        let mut texts: Vec<&str> = Vec::new();
        for ask in self.earlier.iter().chain([&self.ask]) {
            texts.extend([&ask.title, &ask.body].map(String::as_str));
            texts.extend(ask.text.as_deref());
            texts.extend(ask.review.iter().flat_map(Thread::texts));
            texts.extend(ask.part.iter().flat_map(|part| [part.title.as_str(), part.body.as_str()]));
        }
        for told in self.conversation.iter().chain(&self.question) {
            texts.push(&told.text);
            texts.extend(told.options.iter().chain(&told.answer).map(String::as_str));
        }
        texts.extend(self.check.iter().flat_map(|check| [check.command, check.output]));
        texts.extend(self.labels.iter().map(String::as_str));
        texts.extend(self.comments.iter().map(|comment| comment.text.as_str()));
        texts.extend(self.linked.iter().flat_map(|linked| [linked.title.as_str(), linked.body.as_str()]));
        texts.extend(self.guides.iter().chain(self.pull_template).map(|file| file.text.as_str()));
        let failing = self.failing.iter().flat_map(|failing| &failing.checks);
        texts.extend(failing.flat_map(|check| {
            [Some(check.name.as_str()), check.url.as_deref(), check.output.as_deref()].into_iter().flatten()
        }));
        texts.extend(self.failing.iter().flat_map(|failing| &failing.more).map(String::as_str));
        Fences::for_texts(texts)
    }
}

/// Takes out what people do not see, and counts it.
#[derive(Default)]
pub(super) struct Shown {
    hidden: Hidden,
}

impl Shown {
    /// What is seen of Markdown.
    pub(super) fn markdown(&mut self, text: &str) -> String {
        let (text, found) = visible(text);
        self.hidden += found;
        text.trim().to_owned()
    }

    /// What is seen of a text that GitHub shows as it is: titles, paths, labels, code.
    pub(super) fn plain(&mut self, text: &str) -> String {
        let text = text.replace("\r\n", "\n");
        let (text, characters) = without_shapeless(&text);
        self.hidden.characters += characters;
        text.trim().to_owned()
    }

    /// What is seen of an answer. Options that were picked stand on the card with nothing hidden in
    /// them.
    fn answer(&mut self, asked: &AskedQuestion, answer: &str) -> String {
        let is_option = |text: &str| {
            asked.question.parts().any(|part| part.options.iter().any(|option| option.trim() == text.trim()))
        };
        let unnumbered = |line: &str| {
            line.split_once(". ").is_some_and(|(number, rest)| {
                number.bytes().all(|byte| byte.is_ascii_digit()) && is_option(rest)
            })
        };
        if is_option(answer) || answer.lines().all(unnumbered) {
            self.plain(answer)
        } else {
            self.markdown(answer)
        }
    }
}

fn ended(end: CheckEnd) -> String {
    match end {
        CheckEnd::Exited(code) => format!("ended with exit code {code}"),
        CheckEnd::TimedOut => "took too long and was stopped".to_owned(),
        CheckEnd::TookTooMuch => {
            "took more disk than it may, or printed too much, and was stopped".to_owned()
        }
    }
}

fn asked(ask: &TaskRequest, applied: &Applied, shown: &mut Shown) -> Asked {
    let (review, reviewers) = match &ask.about {
        TaskKind::Review(round) => {
            let mut names: Vec<String> = round.reviews.iter().map(|review| review.by.clone()).collect();
            let mut known = std::collections::HashSet::new();
            names.retain(|name| known.insert(name.clone()));
            (review::threads(round, applied, shown), names)
        }
        _ => (Vec::new(), Vec::new()),
    };
    Asked {
        by: ask.by.clone(),
        title: shown.plain(&ask.title),
        body: body_of_issue(&ask.body, shown),
        text: ask.text.as_deref().map(|text| shown.markdown(text)).filter(|text| !text.is_empty()),
        review,
        reviewers,
        part: part(&ask.about, shown),
        known: false,
        text_known: false,
    }
}

fn body_of_issue(body: &str, shown: &mut Shown) -> String {
    let body = shown.markdown(body);
    if body.is_empty() { "(the issue has no text)".to_owned() } else { body }
}

fn part(about: &TaskKind, shown: &mut Shown) -> Option<Part> {
    let TaskKind::SubIssue(together) = about else { return None };
    let now = together.part()?;
    let others = together.parts.iter().filter(|part| part.number != now.number);
    Some(Part {
        number: now.number.0,
        at: together.at + 1,
        of: together.parts.len(),
        title: shown.plain(&now.title),
        body: body_of_issue(&now.body, shown),
        author: Author { login: now.by.clone(), may_push: now.may_push },
        others: others.map(|part| format!("#{}", part.number)).collect(),
    })
}

fn told(asked: &AskedQuestion, shown: &mut Shown) -> Told {
    Told {
        text: asked.question.whole_text(),
        options: asked.question.parts().flat_map(|part| part.options.clone()).collect(),
        answered: asked.answer.as_ref().map(|answer| match answer.by.as_str() {
            "" => "Nobody answered in time, so your default counts".to_owned(),
            by => format!("{by} answered"),
        }),
        answer: asked.answer.as_ref().map(|answer| shown.answer(asked, &answer.text)),
    }
}
