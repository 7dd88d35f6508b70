//! The making of a run's prompt around the pure part in `prompt.rs`: which texts it is about, with which template, and what is kept
//! of it with the run.

use anyhow::Context as _;
use serde::Serialize;

use super::gather::Told;
use super::start::{blocking, make_private_folder};
use super::{Hitch, Worker};
use crate::config::Config;
use crate::fail_point::around;
use crate::prompt::{Hidden, Image, MissingImage, Origin, Prompt, Purpose, Seen, Template, TemplateError};
use crate::story::{Ask, AskedQuestion, Run};

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
        .with_context(|| format!("the template in prompt.template, {}, cannot be used", file.display()))
}

impl Worker {
    /// The template of a run's prompt: the repository's, where it has one, else the operator's or hob's own.
    pub(super) fn template_for(&self, repository: Option<&str>) -> Result<Template, Hitch> {
        match repository {
            None => Ok(Template::clone(&self.template)),
            Some(text) => Template::new(Origin::Repository, text.to_owned())
                .map_err(|error| template_hitch(Origin::Repository, &error)),
        }
    }

    /// Keeps the prompt with the run, with the template it was made with.
    pub(super) async fn keep_prompt(
        &self,
        run: &Run,
        made: &Prompt,
        template: &Template,
        seen: &Seen,
    ) -> Result<(), Hitch> {
        let facts = PromptFacts {
            template: template.origin,
            template_sha256: template.hash(),
            hidden: made.hidden,
            comments: seen.comments.len(),
            linked_issues: seen.linked.iter().map(|linked| linked.name.as_str()).collect(),
            images: &seen.images,
            images_missing: &seen.images_missing,
        };
        let facts = serde_json::to_vec_pretty(&facts).context("writing down how the prompt was made")?;
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
                files.into_iter().try_for_each(|(path, bytes)| std::fs::write(path, bytes))
            })
            .context("keeping the prompt")
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

/// The texts that a prompt has whatever is gathered.
pub(super) fn told<'a>(
    ask: &'a Ask,
    earlier: &'a [Ask],
    questions: &'a [AskedQuestion],
    purpose: &Purpose<'a>,
    resumes: bool,
) -> Told<'a> {
    let answers: Vec<&str> = questions
        .iter()
        .filter_map(|asked| asked.answer.as_ref())
        .map(|answer| answer.text.as_str())
        .collect();
    let part = ask.about.part().map(|part| part.body.as_str());
    let asked = [ask.body.as_str()].into_iter().chain(part).chain(ask.text.as_deref());
    let (new, shown): (Vec<&str>, Vec<&str>) = match purpose {
        Purpose::Answered(question) if resumes => {
            let answer: Vec<&str> = question.answer.iter().map(|answer| answer.text.as_str()).collect();
            (answer.clone(), answer)
        }
        // The session knows the issues that are named in the issue's text, but its images are gone from the exchange.
        _ if resumes => (part.into_iter().chain(ask.text.as_deref()).collect(), asked.collect()),
        _ => {
            let before = earlier.iter().filter_map(|ask| ask.text.as_deref());
            let all: Vec<&str> = asked.chain(before).chain(answers.iter().copied()).collect();
            (all.clone(), all)
        }
    };
    Told { new, shown, answers }
}

/// A template that cannot be used, in words for the issue: what is wrong with it only where a person there can mend it.
pub(super) fn template_hitch(origin: Origin, error: &TemplateError) -> Hitch {
    match origin {
        Origin::Repository => {
            Hitch::not_ready(format!("The repository's template for the prompt cannot be used: {error}."))
        }
        Origin::Operator | Origin::BuiltIn => {
            tracing::error!(%error, ?origin, "the template of the prompt cannot be used");
            Hitch::not_ready(
                "The template for the prompt in hob's settings cannot be used; hob's log has what is wrong with it.",
            )
        }
    }
}
