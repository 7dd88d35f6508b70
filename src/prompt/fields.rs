//! A prompt that a repository's template is still to make, as data that another process can be
//! given: a template of the repository's is not to be trusted, and what it does to anyone who
//! writes with it is not known before. Pure.

use minijinja::value::{Serde, Value};
use serde::{Deserialize, Serialize};

use super::context::Context;
use super::fence::Fences;
use super::template::{Origin, Template, TemplateError, write};
use super::{Facts, Hidden};

/// What a prompt is written from.
#[derive(Debug, Serialize, Deserialize)]
pub struct PromptFields {
    template: String,
    /// The template's fields.
    fields: serde_json::Value,
    fences: Fences,
}

/// The sheet for these facts, and what was hidden in them. `standard` is the prompt that would be
/// made without this template.
///
/// # Errors
/// If the facts cannot be written as JSON.
pub fn sheet(
    facts: &Facts<'_>,
    template: &Template,
    standard: &str,
) -> Result<(PromptFields, Hidden), serde_json::Error> {
    let (context, hidden) = Context::of(facts);
    let mut fields = serde_json::to_value(&context)?;
    fields["standard"] = standard.trim_end().into();
    Ok((PromptFields { template: template.text.clone(), fields, fences: context.fences() }, hidden))
}

impl PromptFields {
    /// Writes the prompt, if the template can make prompts of each kind. Only for a process that
    /// may be lost: a template can take all of its memory, its time and its stack.
    ///
    /// # Errors
    /// What is wrong with the template.
    pub fn write(&self) -> Result<String, TemplateError> {
        let template = Template::new(Origin::Repository, self.template.clone())?;
        write(&template.text, Value::from(Serde(&self.fields)), &self.fences)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Applied, PromptPurpose, PullStatus, prompt, samples};
    use super::*;
    use crate::story::plan::TaskMode;

    fn written(template: &str) -> Result<String, String> {
        let (ask, seen) = (samples::ask(), samples::seen());
        let facts = Facts {
            repo: "acme/tool",
            issue: 1,
            branch: "hob/issue-1",
            base_branch: "main",
            ask: &ask,
            resumes: false,
            earlier: &[],
            questions: &[],
            purpose: PromptPurpose::Work,
            mode: TaskMode::Work,
            news: None,
            seen: &seen,
            applied: &Applied::default(),
            pull: PullStatus::None,
            known: crate::prompt::Known::default(),
        };
        let standard = prompt(&facts, &Template::default()).unwrap().text;
        let template = Template::unread(template.to_owned());
        let (sheet, _) = sheet(&facts, &template, &standard).unwrap();
        let sheet: PromptFields = serde_json::from_slice(&serde_json::to_vec(&sheet).unwrap()).unwrap();
        sheet.write().map_err(|error| error.to_string())
    }

    #[test]
    fn a_sheet_that_went_through_another_process_makes_the_same_prompt() {
        let made = written("{{ standard }}").unwrap();
        assert!(made.contains("Add a --json flag") && made.contains("/hob/summary.md"), "{made}");
        let fields =
            "{{ ask.by }}{% if question %}?{% endif %} {{ ask.body | fence(\"issue\", title=ask.title) }}";
        let made = written(fields).unwrap();
        // A text among the samples has the tag of a fence in it, so that all have a number.
        assert_eq!(made, "alice <issue-1 title=\"Add a --json flag\">\nFor scripts.\n</issue-1>\n");
    }

    #[test]
    fn what_is_wrong_with_a_template_is_told_with_its_line() {
        assert!(written("a\n{{ asks.body }}").unwrap_err().starts_with("line 2: undefined value"));
        assert_eq!(
            written("{% if first and not first %}x{% endif %}").unwrap_err(),
            "it makes an empty prompt"
        );
        assert!(written(&"x".repeat(300_000)).unwrap_err().starts_with("it is longer than"));
    }
}
