//! What an agent sees beside what was asked for: gathered for each run, from GitHub and from the
//! mirror, within limits. Texts of people who may not push come in only where the settings say so,
//! named as theirs; what people see of a text, and how it is put before the agent, is decided in
//! `prompt/`.
//!
//! What is gathered is as it is when the run is made. Only who may push can change a comment of
//! somebody who may push, so nobody else has a say in what comes of it; the text that was asked for
//! was frozen when it was asked for, and is not read again.

use std::collections::HashMap;

use anyhow::Context as _;
use jiff::SignedDuration;

use super::start::{EXCHANGE, blocking, github_error};
use super::{Job, StepError, Worker};
use crate::config::CommentsOf;
use crate::event::Person;
use crate::exchange;
use crate::git::{Mirror, TextFile};
use crate::github::{AssetHosts, Conversation, GitHubError, IssueComment, NoImage, Repository};
use crate::ids::{IssueNumber, Repo};
use crate::message;
use crate::prompt::{self, Author, Comment, File, Image, Linked, MissingImage, Reference, Seen};
use crate::story::{AskedQuestion, Run, RunReason, Story, TaskKind};

/// Comments that an agent gets at most; the newest are the ones.
const MAX_COMMENTS: usize = 50;
/// Characters of one comment.
const MAX_COMMENT_LEN: usize = 4_000;
/// People whose rights are asked for at most, in one run.
const MAX_PEOPLE: usize = 40;
/// Characters of another issue's text.
const MAX_LINKED: usize = 8_000;
/// Bytes of a file of the repository's that tells agents something, and of its template for pull
/// requests.
const MAX_GUIDE: usize = 32 * 1024;
const MAX_TEMPLATE_LEN: usize = 8 * 1024;
/// All images together, as the exchange lies on disk and they pass through memory.
const MAX_IMAGE_BYTES: usize = 32 << 20;
/// Images that are tried without success, or not to be tried.
const MAX_MISSING: usize = 20;
/// hob's clock and GitHub's may differ by this much. A comment that comes twice is better than one
/// that never comes.
const CLOCK_MARGIN: SignedDuration = SignedDuration::from_secs(60);

/// What repositories tell agents with.
const GUIDES: [&str; 2] = ["AGENTS.md", "CLAUDE.md"];
/// Where GitHub looks for a template of pull requests.
const PULL_TEMPLATES: [&str; 3] =
    [".github/pull_request_template.md", "pull_request_template.md", "docs/pull_request_template.md"];

/// What was gathered, with the images' files.
pub(super) struct GatheredContext {
    pub(super) seen: Seen,
    pub(super) images: Vec<exchange::Named>,
}

/// Everything that gathering needs to know.
pub(super) struct Gatherer<'a> {
    pub(super) worker: &'a Worker,
    pub(super) job: &'a Job,
    story: &'a Story,
    pub(super) repository: Repository,
    own: Person,
    may_push: HashMap<(String, Option<u64>), bool>,
}

impl Worker {
    /// Gathers what a run's agent sees beside `told`, the texts that were asked for or answered.
    pub(super) async fn gather(
        &self,
        job: &Job,
        story: &Story,
        run: &Run,
        resumes: bool,
        told: &PromptTexts<'_>,
    ) -> Result<GatheredContext, StepError> {
        // It was told all of it before, and is only to commit.
        if matches!(run.turn, RunReason::CommitLeftovers { .. }) {
            return Ok(GatheredContext { seen: Seen::default(), images: Vec::new() });
        }
        let repository = self.github.repository(&story.at()).await.map_err(github_error)?;
        let own = self.github.own_account().await.map_err(github_error)?;
        let mut looking = Gatherer { worker: self, job, story, repository, own, may_push: HashMap::new() };
        let mut seen = Seen::default();
        let mut html = looking.conversation(&mut seen, resumes, told).await?;
        html.push_str(&looking.reviews_as_html().await?);
        looking.linked(&mut seen, told).await?;
        seen.failing = looking.failing_checks(run, resumes).await?;
        let shown = seen.comments.iter().map(|comment| comment.text.as_str());
        let texts: Vec<String> = told.shown.iter().copied().chain(shown).map(str::to_owned).collect();
        let images = self.images(&mut seen, &texts, &html).await?;
        if !resumes {
            self.files_of_the_base(story, &mut seen).await?;
        }
        Ok(GatheredContext { seen, images })
    }

    /// Downloads the images that the texts show. One that does not come is named with the reason.
    async fn images(
        &self,
        seen: &mut Seen,
        texts: &[String],
        html: &str,
    ) -> Result<Vec<exchange::Named>, StepError> {
        let settings = &self.config.prompt;
        let texts = texts.to_vec();
        let mut urls =
            blocking(move || texts.iter().flat_map(|text| prompt::images(text)).collect::<Vec<_>>()).await?;
        let mut known = std::collections::HashSet::new();
        urls.retain(|url| known.insert(url.clone()));
        let mut files: Vec<exchange::Named> = Vec::new();
        if urls.is_empty() || settings.images == 0 {
            return Ok(files);
        }
        let hosts = AssetHosts::of(&self.config.github.git_url)?;
        let mut room = MAX_IMAGE_BYTES;
        for url in urls {
            if files.len() == settings.images || seen.images_missing.len() == MAX_MISSING {
                seen.images_missing.push(MissingImage { url, why: "there are too many images".to_owned() });
                break;
            }
            let most = settings.image_limit.0.min(room as u64);
            let fetched = tokio::select! {
                () = self.stop.cancelled() => return Err(StepError::Stopping),
                fetched = hosts.fetch(&url, html, most) => fetched,
            };
            match fetched {
                Ok(image) => {
                    room -= image.bytes.len();
                    let name = format!("{}.{}", files.len() + 1, image.kind);
                    seen.images.push(Image { file: format!("{EXCHANGE}/{}/{name}", exchange::IMAGES), url });
                    files.push((name, image.bytes));
                }
                Err(why) => {
                    if why != NoImage::Elsewhere {
                        tracing::warn!(reason = %why, "image of the issue not available");
                    }
                    seen.images_missing.push(MissingImage { url, why: why.to_string() });
                }
            }
        }
        Ok(files)
    }

    /// The repository's own words for agents and for pull requests, as the base branch has them.
    /// The repository's template for pull requests, as the base branch has it.
    pub(super) async fn pull_template(&self, story: &Story) -> Result<Option<String>, StepError> {
        let (path, base) = (self.data.mirror(&story.mirror), story.base_branch.clone());
        let found = blocking(move || {
            let mirror = Mirror::ensure(&path)?;
            let Some(base) = mirror.branch(&base)? else { return Ok(None) };
            mirror.text_file(&base, &PULL_TEMPLATES, MAX_TEMPLATE_LEN)
        });
        let text = found.await?.context("reading the pull request template")?.map(|file| file.text);
        Ok(text.filter(|text| !text.trim().is_empty()))
    }

    async fn files_of_the_base(&self, story: &Story, seen: &mut Seen) -> Result<(), StepError> {
        let (path, base) = (self.data.mirror(&story.mirror), story.base_branch.clone());
        let found = blocking(move || -> anyhow::Result<(Vec<TextFile>, Option<TextFile>)> {
            let mirror = Mirror::ensure(&path)?;
            let Some(base) = mirror.branch(&base)? else { return Ok((Vec::new(), None)) };
            let mut guides: Vec<TextFile> = Vec::new();
            for name in GUIDES {
                guides.extend(mirror.text_file(&base, &[name], MAX_GUIDE)?);
            }
            Ok((guides, mirror.text_file(&base, &PULL_TEMPLATES, MAX_TEMPLATE_LEN)?))
        });
        let (guides, template) = found.await?.context("reading the base branch's files")?;
        for guide in guides {
            // A CLAUDE.md that only refers to the other file is common.
            let is_new = seen.guides.iter().all(|known| known.text != guide.text);
            if is_new && !guide.text.trim().is_empty() && guide.text.trim() != "@AGENTS.md" {
                seen.guides.push(file(guide, MAX_GUIDE));
            }
        }
        seen.pull_template = template
            .filter(|template| !template.text.trim().is_empty())
            .map(|template| file(template, MAX_TEMPLATE_LEN));
        Ok(())
    }
}

/// The texts that a run's prompt has anyway.
pub(super) struct PromptTexts<'a> {
    /// Those that are new to the agent: issues that they name are read.
    pub(super) new: Vec<&'a str>,
    /// All of them: images that they show are downloaded.
    pub(super) shown: Vec<&'a str>,
    /// Questions of this story, with the answers that people gave.
    pub(super) questions: &'a [AskedQuestion],
}

impl Gatherer<'_> {
    /// Labels, author and comments. Gives back the HTML of all texts.
    async fn conversation(
        &mut self,
        seen: &mut Seen,
        resumes: bool,
        told: &PromptTexts<'_>,
    ) -> Result<String, StepError> {
        let Some(issue) = self.read(self.story.issue).await? else { return Ok(String::new()) };
        let own = &self.worker.config.github.label;
        seen.labels = issue.labels.into_iter().filter(|label| !is_own_label(own, label)).collect();
        if !resumes {
            let asked = self.asker().is_same_as(&issue.author);
            let may_push = asked || (!issue.author.is_bot && self.may_push(&issue.author).await?);
            seen.author = Some(Author { login: issue.author.login, may_push });
        }
        let mut html = issue.html;
        let mut older = issue.older;
        let mut all: Vec<(&'static str, IssueComment)> =
            issue.comments.into_iter().map(|comment| ("issue", comment)).collect();
        if let Some(pull) = self.story.pull
            && let Some(pull) = self.read(IssueNumber(pull.0)).await?
        {
            html.push_str(&pull.html);
            older += pull.older;
            all.extend(pull.comments.into_iter().map(|comment| ("pull request", comment)));
        }
        let since = match resumes {
            true => {
                self.worker.store.last_started_run(self.story.id).await?.and_then(|(_, run)| run.started_at)
            }
            false => None,
        };
        let since = since.and_then(|since| since.checked_sub(CLOCK_MARGIN).ok());
        all.retain(|(_, comment)| since.is_none_or(|since| comment.created_at >= since));
        let messages = self.worker.store.messages_told(self.story.id, resumes).await?;
        all.retain(|(_, comment)| self.is_of_use(comment, told) && !messages.contains(&comment.id));
        all.sort_by_key(|(_, comment)| (comment.created_at, comment.id));
        let left_out = if since.is_some() { 0 } else { usize::try_from(older).unwrap_or(usize::MAX) };
        self.choose(seen, all, left_out).await?;
        Ok(html)
    }

    /// The HTML of what was said in reviews, where a task is about images that are shown there.
    async fn reviews_as_html(&self) -> Result<String, StepError> {
        let (TaskKind::Review(round), Some(pull)) = (&self.job.task.ask.about, self.story.pull) else {
            return Ok(String::new());
        };
        if round.texts().all(|text| prompt::images(text).is_empty()) {
            return Ok(String::new());
        }
        let ask = || self.repository.reviews_as_html(pull);
        Ok(if_there([ask(), ask()]).await?.unwrap_or_default())
    }

    /// Whether a comment is neither hob's nor a bot's, and not in the prompt already: commands are
    /// in it as what was asked for.
    fn is_of_use(&self, comment: &IssueComment, told: &PromptTexts<'_>) -> bool {
        let is_own = self.own.is_same_as(&comment.author) && message::has_marker(&comment.body);
        let is_answer = told.questions.iter().any(|asked| {
            // Their numbers grow: what was said before a question is no answer to it.
            let is_later = asked.comment.is_none_or(|card| comment.id > card);
            is_later && asked.is_answered_by(&comment.author.login, &comment.body)
        });
        !comment.author.is_bot
            && !is_own
            && !is_answer
            && crate::command::read(&comment.body, &self.own.login).command.is_none()
    }

    /// Takes the newest comments of people whose comments count.
    async fn choose(
        &mut self,
        seen: &mut Seen,
        all: Vec<(&'static str, IssueComment)>,
        mut left_out: usize,
    ) -> Result<(), StepError> {
        let wants_all = self.worker.config.prompt.comments_of == CommentsOf::Everyone;
        for (on, comment) in all.into_iter().rev() {
            let may_push = self.may_push(&comment.author).await?;
            if !may_push && !wants_all {
                continue;
            }
            if seen.comments.len() == MAX_COMMENTS {
                left_out += 1;
                continue;
            }
            let author = Author { login: comment.author.login, may_push };
            let text = prompt::cut(&comment.body, MAX_COMMENT_LEN);
            seen.comments.push(Comment { author, at: comment.created_at, on, text });
        }
        seen.comments.reverse();
        seen.comments_left_out = left_out;
        Ok(())
    }

    /// Who asked for the task.
    fn asker(&self) -> Person {
        let ask = &self.job.task.ask;
        Person { login: ask.by.clone(), id: ask.by_id, is_bot: false }
    }

    /// Whether somebody may push. Who comes after too many others may not: the rest of their
    /// comments are old.
    async fn may_push(&mut self, person: &Person) -> Result<bool, StepError> {
        let key = (person.login.to_ascii_lowercase(), person.id);
        if let Some(known) = self.may_push.get(&key) {
            return Ok(*known);
        }
        if self.may_push.len() >= MAX_PEOPLE {
            return Ok(false);
        }
        let ask = || self.repository.permission(&person.login, person.id);
        let permission = if_there([ask(), ask()]).await?;
        let may_push = permission.is_some_and(|permission| permission.at_least_write());
        self.may_push.insert(key, may_push);
        Ok(may_push)
    }

    /// An issue's conversation. One that is gone has none: what was asked for is known without it.
    async fn read(&self, number: IssueNumber) -> Result<Option<Conversation>, StepError> {
        let ask = || self.repository.conversation(number);
        let found = if_there([ask(), ask()]).await?;
        if found.is_none() {
            tracing::warn!(issue = %number, "GitHub does not show the issue; the agent gets only the request");
        }
        Ok(found)
    }

    /// The issues that are named in what is new.
    async fn linked(&self, seen: &mut Seen, told: &PromptTexts<'_>) -> Result<(), StepError> {
        let web = &self.worker.config.github.git_url;
        let mut names: Vec<Reference> = Vec::new();
        for text in &told.new {
            for mut name in prompt::references(text, web) {
                name.repo = name.repo.filter(|repo| *repo != self.story.repo);
                let is_own = name.repo.is_none()
                    && (name.number == self.story.issue
                        || self.story.pull.is_some_and(|pull| pull.0 == name.number.0));
                if !is_own && !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names.truncate(self.worker.config.prompt.linked_issues);
        for name in names {
            match self.other(&name).await {
                Ok(Some(linked)) => seen.linked.push(linked),
                Ok(None) => seen.unreadable.push(name.to_string()),
                Err(error) if error.is_transient() => return Err(github_error(error)),
                Err(error) => {
                    tracing::debug!(%error, %name, "reading a linked issue failed");
                    seen.unreadable.push(name.to_string());
                }
            }
        }
        Ok(())
    }

    /// Another issue's text, if it may be shown where this story's work will be.
    async fn other(&self, name: &Reference) -> Result<Option<Linked>, GitHubError> {
        let repository = match &name.repo {
            None => self.repository.clone(),
            Some(repo) => {
                let other = self.repository.beside(repo);
                if !self.may_be_shown(&other, repo).await? {
                    return Ok(None);
                }
                other
            }
        };
        let issue = repository.other_issue(name.number).await?;
        Ok(Some(Linked {
            name: name.to_string(),
            title: issue.title,
            body: prompt::cut(&issue.body, MAX_LINKED),
            state: if issue.is_open { "open" } else { "closed" },
            by: issue.author.login,
        }))
    }

    /// hob may be able to read what others may not, and what an agent sees can end up in a pull
    /// request. So another repository's issue is shown only if everybody may read it; or if this
    /// repository is private too, and who asked may read there.
    async fn may_be_shown(&self, other: &Repository, repo: &Repo) -> Result<bool, GitHubError> {
        if !other.is_private().await? {
            return Ok(true);
        }
        if !self.repository.is_private().await? {
            tracing::info!(%repo, "linked issue is private; not read");
            return Ok(false);
        }
        let permission = other.permission(&self.job.task.ask.by, self.job.task.ask.by_id).await?;
        Ok(permission > crate::github::Permission::None)
    }
}

/// What GitHub answers, or nothing where it says twice that there is no such thing: once it may be
/// mistaken.
async fn if_there<T>(
    asked_twice: [impl Future<Output = Result<T, GitHubError>>; 2],
) -> Result<Option<T>, StepError> {
    for ask in asked_twice {
        match ask.await {
            Err(GitHubError::NotFound) => {}
            other => return other.map(Some).map_err(github_error),
        }
    }
    Ok(None)
}

/// Whether a label is hob's: the one that asks for work, with an agent's name perhaps, or one that
/// says where the story stands.
fn is_own_label(own: &str, label: &str) -> bool {
    let (own, label) = (own.to_lowercase(), label.to_lowercase());
    label.strip_prefix(&own).is_some_and(|rest| rest.is_empty() || rest.trim_start().starts_with(':'))
}

fn file(found: TextFile, most: usize) -> File {
    let is_cut = found.text.len() >= most;
    let text = if is_cut { found.text + "\n\n[hob has cut off the rest]" } else { found.text };
    File { name: found.path, text }
}
