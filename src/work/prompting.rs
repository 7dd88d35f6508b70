//! The making of a run's prompt around the pure part in `prompt.rs`: which texts it is about, with
//! which template, and what is kept of it with the run. A repository's template is worked with in a
//! process of its own (`prompt_child.rs`).

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

use super::child::{Asked, OF_OTHERS};
use super::gather::PromptTexts;
use super::prompt_child::Answer;
use super::start::{blocking, make_private_folder};
use super::{Job, StepError, Worker};
use crate::agent::FailureClass;
use crate::config::Config;
use crate::fail_point::around;
use crate::git::Mirror;
use crate::message::Detail;
use crate::prompt::{
    self, Facts, Hidden, Image, MAX_PROMPT, MAX_TEMPLATE, MissingImage, Origin, Prompt, PromptFields,
    PromptPurpose, Seen, Template, TemplateError,
};
use crate::story::review::ReviewBatch;
use crate::story::{AskedQuestion, Run, Story, TaskKind, TaskRequest};

/// The command of hob's program that writes a prompt with a repository's template.
pub const COMMAND: &str = "write-prompt";

/// The longest that it may take: a template can wait for itself, which takes no time on a
/// processor. An honest one takes some milliseconds.
const TEMPLATE_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest prompt, with each of its bytes written as JSON writes the worst.
const MAX_ANSWER: u64 = 6 * MAX_PROMPT as u64 + 1024;
/// The exit code of a program of Rust's that gave up.
const PANICKED: i32 = 101;

const TOO_MUCH: &str = "rendering it takes too much time or memory, or it nests too deeply";

/// What is kept of a prompt's making, as a part of the run's record.
#[derive(Serialize)]
struct PromptFacts<'a> {
    template: Origin,
    template_sha256: String,
    hidden: Hidden,
    comments: usize,
    linked_issues: Vec<&'a str>,
    images: &'a [Image],
    images_missing: &'a [MissingImage],
}

/// The template that the operator wants: the one in the file that the settings name, or hob's own.
///
/// # Errors
/// If the file cannot be read, or is no template that can be used: with its line.
pub fn operators_template(config: &Config) -> anyhow::Result<Template> {
    let Some(file) = &config.prompt.template else { return Ok(Template::default()) };
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("reading prompt.template, {}", file.display()))?;
    Template::new(Origin::Operator, text)
        .with_context(|| format!("the template in prompt.template, {}, is invalid", file.display()))
}

impl Worker {
    /// The prompt for these facts, with the template that it was made with: the repository's, where
    /// its settings name one, else the operator's or hob's own.
    pub(super) async fn write_prompt(
        &self,
        job: &Job,
        facts: &Facts<'_>,
    ) -> Result<(Prompt, Template), StepError> {
        let operators = Template::clone(&self.template);
        let made = beside_others(|| prompt::prompt(facts, &operators))
            .map_err(|error| template_error(operators.origin, &error))?;
        let Some(file) = job.file.prompt.as_deref() else { return Ok((made, operators)) };
        let template = Template::unread(self.text_of_the_base(&job.story, file).await?);
        let (sheet, hidden) = beside_others(|| prompt::sheet(facts, &template, &made.text))
            .context("serializing the prompt's fields")?;
        let text = self.write_in_a_process(&sheet).await?.map_err(|fault| unusable(file, &fault))?;
        Ok((Prompt { text, hidden }, template))
    }

    /// The text of a file as the story's base branch has it: what is on the story branch, agents
    /// may have written.
    async fn text_of_the_base(&self, story: &Story, file: &str) -> Result<String, StepError> {
        let (mirror, branch, path) =
            (self.data.mirror(&story.mirror), story.base_branch.clone(), file.to_owned());
        let found = blocking(move || {
            let mirror = Mirror::ensure(&mirror)?;
            let Some(base) = mirror.branch(&branch)? else { return Ok(None) };
            // One byte more than a template may have, so that one that is too long is seen to be.
            mirror.text_file(&base, &[&path], MAX_TEMPLATE + 1)
        });
        let found = found.await?.context("reading the repository's template")?;
        found
            .map(|found| found.text)
            .ok_or_else(|| unusable(file, &format!("the branch {} has no such file", story.base_branch)))
    }

    /// What the process makes of a sheet: the prompt, or what is wrong with the template.
    async fn write_in_a_process(&self, sheet: &PromptFields) -> Result<Result<String, String>, StepError> {
        let request = serde_json::to_vec(sheet).context("serializing the prompt's fields")?;
        let asked =
            Asked { command: COMMAND, request: &request, timeout: TEMPLATE_TIMEOUT, most_answer: MAX_ANSWER };
        match self.ask_child(&asked).await? {
            None => Ok(Err(TOO_MUCH.to_owned())),
            Some((status, answer)) => written(status, &answer),
        }
    }

    /// Keeps the prompt with the run, with the template it was made with.
    pub(super) async fn keep_prompt(
        &self,
        run: &Run,
        made: &Prompt,
        template: &Template,
        seen: &Seen,
    ) -> Result<(), StepError> {
        let facts = PromptFacts {
            template: template.origin,
            template_sha256: template.hash(),
            hidden: made.hidden,
            comments: seen.comments.len(),
            linked_issues: seen.linked.iter().map(|linked| linked.name.as_str()).collect(),
            images: &seen.images,
            images_missing: &seen.images_missing,
        };
        let facts = serde_json::to_vec_pretty(&facts).context("serializing the prompt's origin")?;
        let paths = self.data.run(run.id);
        let (text, template) = (self.secrets.redact(&made.text), template.text.clone());
        blocking(move || -> anyhow::Result<()> {
            make_private_folder(&paths.folder, None)?;
            around("disk", "run-prompt", || {
                let files = [
                    (&paths.prompt, text.as_bytes()),
                    (&paths.template, template.as_bytes()),
                    (&paths.prompt_facts, &facts),
                ];
                files.into_iter().try_for_each(|(path, bytes)| crate::paths::write_private(path, bytes))
            })
            .context("storing the prompt")
        })
        .await??;
        Ok(())
    }

    /// What was kept of the making of a run's prompt. Nothing where no prompt was made.
    pub(super) fn prompt_facts(&self, run: &Run) -> serde_json::Value {
        let file = self.data.run(run.id).prompt_facts;
        std::fs::read(file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }
}

/// Does what may take a while where no other task waits for the thread.
fn beside_others<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => block_in_place(work),
        _ => work(),
    }
}

/// The texts that a prompt has whatever is gathered.
pub(super) fn told<'a>(
    ask: &'a TaskRequest,
    earlier: &'a [TaskRequest],
    questions: &'a [AskedQuestion],
    purpose: &PromptPurpose<'a>,
    resumes: bool,
) -> PromptTexts<'a> {
    let answers = questions.iter().filter_map(|asked| asked.answer.as_ref());
    let answers: Vec<&str> = answers.map(|answer| answer.text.as_str()).collect();
    let part = ask.about.part().map(|part| part.body.as_str());
    let round = match &ask.about {
        TaskKind::Review(round) => Some(round),
        _ => None,
    };
    let reviews = round.into_iter().flat_map(ReviewBatch::texts);
    let asked = [ask.body.as_str()].into_iter().chain(part).chain(ask.text.as_deref()).chain(reviews);
    let (new, shown): (Vec<&str>, Vec<&str>) = match purpose {
        PromptPurpose::Answered(question) if resumes => {
            let answer: Vec<&str> = question.answer.iter().map(|answer| answer.text.as_str()).collect();
            (answer.clone(), answer)
        }
        // The session knows the issues that are named in the issue's text, but its images are gone
        // from the exchange.
        _ if resumes => (part.into_iter().chain(ask.text.as_deref()).collect(), asked.collect()),
        _ => {
            let before = earlier.iter().filter_map(|ask| ask.text.as_deref());
            let all: Vec<&str> = asked.chain(before).chain(answers.iter().copied()).collect();
            (all.clone(), all)
        }
    };
    PromptTexts { new, shown, questions }
}

/// What follows from the process's end.
fn written(status: ExitStatus, answer: &[u8]) -> Result<Result<String, String>, StepError> {
    if let Some(signal) = status.signal() {
        tracing::warn!(signal, "prompt process was killed");
        return if OF_OTHERS.iter().any(|other| *other as i32 == signal) {
            Err(StepError::Later(anyhow::anyhow!("the prompt process was killed by {signal}")))
        } else {
            // Its limits end it, or the template did; both would happen again.
            Ok(Err(TOO_MUCH.to_owned()))
        };
    }
    match status.code() {
        Some(0) => {}
        Some(PANICKED) => return Ok(Err(TOO_MUCH.to_owned())),
        _ => {
            return Err(StepError::Later(anyhow::anyhow!("the prompt process ended with {status}")));
        }
    }
    Ok(match serde_json::from_slice(answer).context("parsing the prompt process's answer")? {
        Answer::Made(prompt) => Ok(prompt),
        Answer::Fault(fault) => Err(fault),
    })
}

/// A repository's template that cannot be used: a person there can fix it.
fn unusable(file: &str, fault: &str) -> StepError {
    StepError::Fail { class: FailureClass::TemplateUnusable, detail: format!("`{file}`: {fault}.").into() }
}

/// The operator's template, or hob's own, that cannot be used after all. What is wrong with it is
/// for the log.
fn template_error(origin: Origin, error: &TemplateError) -> StepError {
    tracing::error!(%error, ?origin, "prompt template unusable");
    StepError::not_ready(Detail::TemplateUnusable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::Signal;

    #[test]
    fn a_process_that_a_template_has_ended_is_a_fault_of_the_template_and_another_end_is_not() {
        for signal in [Signal::SIGSEGV, Signal::SIGABRT, Signal::SIGKILL, Signal::SIGXCPU] {
            let ended = written(ExitStatus::from_raw(signal as i32), b"").unwrap();
            assert_eq!(ended, Err(TOO_MUCH.to_owned()), "{signal}");
        }
        assert!(written(ExitStatus::from_raw(PANICKED << 8), b"").unwrap().is_err());
        assert!(matches!(
            written(ExitStatus::from_raw(Signal::SIGTERM as i32), b""),
            Err(StepError::Later(_))
        ));
        assert!(matches!(written(ExitStatus::from_raw(1 << 8), b""), Err(StepError::Later(_))));
        assert!(matches!(written(ExitStatus::from_raw(0), b"{"), Err(StepError::Later(_))));
        let made = serde_json::to_vec(&Answer::Made("Do it.".to_owned())).unwrap();
        assert_eq!(written(ExitStatus::from_raw(0), &made).unwrap(), Ok("Do it.".to_owned()));
    }
}
