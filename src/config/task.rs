//! What applies to one task: settings of the operator's, in general and for the repository, the
//! repository's own, and what the person chose who asked.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Config, RepositoryFile};
use crate::ids::{AgentKind, Repo};

/// `[repositories."owner/name"]`
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RepositoryOverrides {
    /// The image that contains the agent.
    pub image: Option<String>,
    /// The agent.
    pub agent: Option<AgentKind>,
    /// The model.
    pub model: Option<String>,
    /// A command line for `/bin/sh` that runs in the agent's container before the agent, without
    /// its keys in the environment.
    pub setup: Option<String>,
}

/// What the person chose who asked for a task.
#[derive(Debug, Clone, Copy, Default)]
pub struct Chosen<'a> {
    /// Which CLI.
    pub agent: Option<AgentKind>,
    /// The model's name.
    pub model: Option<&'a str>,
    /// The image with the agent in it.
    pub image: Option<&'a str>,
}

/// The settings of one task, resolved.
#[derive(Debug, Clone)]
pub struct TaskSettings {
    /// The image with the agent in it.
    pub image: String,
    /// Which CLI.
    pub agent: AgentKind,
    /// The model's name.
    pub model: Option<String>,
    /// A command line to run before the agent.
    pub setup: Option<String>,
}

impl Config {
    /// What applies to one task: the general settings, on top of them the repository's file, that
    /// repository's settings of the operator's, and what the person chose who asked.
    pub fn for_task(&self, repo: &Repo, file: &RepositoryFile, chosen: Chosen<'_>) -> TaskSettings {
        let own = self.overrides(repo);
        let general = self.agent.kind;
        let of_file = file.agent.unwrap_or(general);
        let of_own = own.agent.unwrap_or(of_file);
        let agent = chosen.agent.unwrap_or(of_own);
        // Each one's model and image belong to the agent that it is about, and mean nothing to
        // another.
        let belongs = |to: AgentKind| agent == to;
        let image = own.image.filter(|_| belongs(of_own)).or(file.image.clone().filter(|_| belongs(of_file)));
        let image = image.as_deref().unwrap_or(self.container.image_of(agent));
        let model = own.model.filter(|_| belongs(of_own)).or(file.model.clone().filter(|_| belongs(of_file)));
        let model = model.or(self.agent.model.clone().filter(|_| belongs(general)));
        TaskSettings {
            setup: own.setup.or_else(|| file.setup.clone()),
            image: chosen.image.unwrap_or(image).to_owned(),
            agent,
            model: chosen.model.map(str::to_owned).or(model),
        }
    }

    /// What the operator has set for one repository.
    fn overrides(&self, repo: &Repo) -> RepositoryOverrides {
        let mut named = self.repositories.iter();
        let own = named.find(|(name, _)| name.parse::<Repo>().is_ok_and(|named| named == *repo));
        own.map(|(_, own)| own.clone()).unwrap_or_default()
    }

    /// Whether a person may choose this image for a task.
    pub fn allows_image(&self, image: &str) -> bool {
        let container = &self.container;
        let own = self.repositories.values().filter_map(|own| own.image.as_ref());
        let known = container.images.values().chain(&container.allowed_images).chain(own);
        container.image == image || known.into_iter().any(|allowed| allowed == image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::parse;

    #[test]
    fn a_repository_may_have_settings_of_its_own() {
        let config =
            parse("[repositories.\"Acme/Tool\"]\nimage = \"tool:1\"\nagent = \"command\"\n").unwrap();
        let own =
            config.for_task(&"acme/tool".parse().unwrap(), &RepositoryFile::default(), Chosen::default());
        assert_eq!((own.image.as_str(), own.agent), ("tool:1", AgentKind::Command));
        let other =
            config.for_task(&"acme/other".parse().unwrap(), &RepositoryFile::default(), Chosen::default());
        assert_eq!(other.image, "hob-claude:latest");
        let error = parse("[repositories.acme]\nimage = \"x\"\n").unwrap_err();
        assert!(error.contains("repositories.\"acme\""), "{error}");
    }

    #[test]
    fn a_task_may_choose_agent_model_and_image() {
        let config = parse(
            "[agent]\nmodel = \"opus\"\n[container]\nallowed_images = [\"big:1\"]\n[container.images]\ncodex = \"hob-codex:1\"\n",
        )
        .unwrap();
        let repo = "acme/tool".parse().unwrap();
        let file = RepositoryFile::default();
        let codex =
            config.for_task(&repo, &file, Chosen { agent: Some(AgentKind::Codex), ..Chosen::default() });
        // Another agent's model would mean nothing to this one.
        assert_eq!((codex.image.as_str(), codex.model), ("hob-codex:1", None));
        let big = config.for_task(&repo, &file, Chosen { image: Some("big:1"), ..Chosen::default() });
        assert_eq!((big.image.as_str(), big.model.as_deref()), ("big:1", Some("opus")));
        assert!(config.allows_image("big:1") && config.allows_image("hob-codex:1"));
        assert!(!config.allows_image("postgres:17"));
    }

    #[test]
    fn a_repositorys_file_stands_between_the_operators_settings_for_it_and_the_general_ones() {
        let text = "[agent]\nmodel = \"opus\"\n[container]\nallowed_images = [\"node:1\"]\n\
                    [container.images]\ncodex = \"hob-codex:1\"\n[repositories.\"acme/tool\"]\nsetup = \"ours\"\n";
        let config = parse(text).unwrap();
        let repo = "acme/tool".parse().unwrap();
        let of = |text: &str, chosen: Chosen<'_>| {
            let file = RepositoryFile::parse(text, &config).unwrap();
            config.for_task(&repo, &file, chosen)
        };
        let task = of("model = \"haiku\"\nimage = \"node:1\"\nsetup = \"theirs\"\n", Chosen::default());
        assert_eq!((task.image.as_str(), task.model.as_deref()), ("node:1", Some("haiku")));
        assert_eq!(task.setup.as_deref(), Some("ours"));
        // Another agent has its own image, and no model of Claude's.
        let task = of("agent = \"codex\"\n", Chosen::default());
        assert_eq!((task.agent, task.image.as_str(), task.model), (AgentKind::Codex, "hob-codex:1", None));
        let claude = Chosen { agent: Some(AgentKind::Claude), ..Chosen::default() };
        let task = of("agent = \"codex\"\nmodel = \"gpt\"\nimage = \"node:1\"\n", claude);
        assert_eq!((task.image.as_str(), task.model.as_deref()), ("hob-claude:latest", Some("opus")));
    }
}
