//! `.github/hob.toml`: what a repository says about how hob works in it. What it may say, how a
//! mistake in it is told, and how it goes together with the operator's settings: the operator's
//! `[repositories]` stands above it, the operator's general settings below. Pure: where the text
//! comes from (the default branch only) is not known here.

mod fields;

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::reading::Document;
use super::{BranchTemplate, ChecksNetwork, Config, ConfigError, FollowBase, PathGlobs, Policy};
use crate::ids::{AgentKind, IssueNumber};

/// Where the file lies in the repository.
pub const REPOSITORY_FILE: &str = ".github/hob.toml";

/// How often a failing check goes back to the agent unless told otherwise.
const CHECK_RETRIES: u32 = 2;
/// The longest that one check takes unless told otherwise.
const CHECK_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// Settings of one repository for hob, read from its default branch. Every key may be left out;
/// then the settings of the operator count.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = ".github/hob.toml")]
pub struct RepositoryFile {
    /// The label that asks for work.
    #[serde(deserialize_with = "fields::label")]
    #[schemars(with = "String", length(min = 1, max = 50))]
    pub label: Option<String>,
    /// The usual agent.
    #[schemars(with = "String", extend("enum" = ["claude", "codex", "gemini", "opencode", "command"]))]
    pub agent: Option<AgentKind>,
    /// The usual agent's model.
    #[serde(deserialize_with = "fields::name")]
    #[schemars(with = "String", length(min = 1, max = 200))]
    pub model: Option<String>,
    /// The usual agent's image: one of those that the operator allows.
    #[serde(deserialize_with = "fields::name")]
    #[schemars(with = "String", length(min = 1, max = 200))]
    pub image: Option<String>,
    /// A command line for `/bin/sh`, run in the container before the agent and before each check,
    /// without keys.
    #[serde(deserialize_with = "fields::command")]
    #[schemars(with = "String", length(min = 1))]
    pub setup: Option<String>,
    /// Command lines that must end with 0 before a pull request is ready. Each runs in a clean
    /// container on the commit that would be pushed.
    #[serde(deserialize_with = "fields::commands")]
    #[schemars(length(max = 20))]
    pub checks: Vec<String>,
    /// How often a failing check goes back to the agent before the pull request is opened as a
    /// draft.
    #[serde(deserialize_with = "fields::check_retries")]
    #[schemars(with = "u32", range(max = 10))]
    pub check_retries: Option<u32>,
    /// The longest that one check may take, as "15m".
    #[serde(deserialize_with = "fields::duration")]
    #[schemars(with = "String")]
    pub check_timeout: Option<Duration>,
    /// What checks reach on the network: servers such as "crates.io", "*.npmjs.org" or
    /// "10.0.0.5:8080", or true for all that the operator allows. They have to allow it.
    #[schemars(with = "BoolOrHosts")]
    pub checks_network: ChecksNetwork,
    /// The story branch, with `{issue}` where the issue's number goes.
    #[schemars(with = "String", regex(pattern = r"\{issue\}"))]
    pub branch: Option<BranchTemplate>,
    /// The branch that work starts from and pull requests go to.
    #[serde(deserialize_with = "fields::branch")]
    #[schemars(with = "String", length(min = 1))]
    pub base: Option<String>,
    /// Whether pull requests are opened as drafts.
    #[schemars(with = "bool")]
    pub draft: Option<bool>,
    /// How often hob takes up checks of GitHub's that fail on one pull request. 0: never.
    #[serde(deserialize_with = "fields::fixes")]
    #[schemars(with = "u32", range(max = 10))]
    pub fixes: Option<u32>,
    /// Whether the commits of one hand-over become one.
    #[schemars(with = "bool")]
    pub squash: Option<bool>,
    /// Whether hob signs its commits off (`Signed-off-by`), as the author that the operator has
    /// named.
    #[schemars(with = "bool")]
    pub sign_off: Option<bool>,
    /// Logins of people whose review is requested when the pull request is opened.
    #[serde(deserialize_with = "fields::logins")]
    #[schemars(length(max = 15))]
    pub reviewers: Vec<String>,
    /// Labels that a pull request gets when it is opened.
    #[serde(deserialize_with = "fields::labels")]
    #[schemars(length(max = 15))]
    pub labels: Vec<String>,
    /// Whether the story branch is removed once its pull request is merged.
    #[schemars(with = "bool")]
    pub delete_branch: Option<bool>,
    /// Further paths that are pushed only after a person has said so: `*` within a folder, `**`
    /// across folders.
    #[schemars(with = "Vec<String>")]
    pub protected_paths: PathGlobs,
    /// Who may have hob work, answer it and steer it: people with this right or a higher one.
    pub who: SettingsPermission,
    /// A template for the agent's prompt, as a path from the repository's root.
    #[serde(deserialize_with = "fields::path")]
    #[schemars(with = "String", length(min = 1))]
    pub prompt: Option<String>,
    /// What a label on an issue with sub-issues means.
    pub sub_issues: SubIssues,
    /// Whether story branches take in what their base branch gets.
    #[schemars(with = "FollowBase")]
    pub follow_base: Option<FollowBase>,
    /// Caps in dollars. They can only be lower than those of the operator.
    pub budget: Budgets,
}

/// Who may have hob work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SettingsPermission {
    /// Who may push.
    #[default]
    Write,
    /// Who may change some settings too.
    Maintain,
    /// Who may do everything.
    Admin,
}

/// What a label on an issue with sub-issues means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubIssues {
    /// This issue alone.
    #[default]
    Apart,
    /// Its open sub-issues in their order, one after the other on its branch, with one pull
    /// request.
    Together,
}

/// How `checks_network` is written.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "for the schema")]
pub(super) enum BoolOrHosts {
    Switch(bool),
    Hosts(#[schemars(length(max = 50))] Vec<String>),
}

/// Caps in dollars. Not set: those of the operator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Budgets {
    /// For one run of an agent.
    #[serde(deserialize_with = "fields::dollars")]
    #[schemars(with = "f64", range(min = 0))]
    pub run_usd: Option<f64>,
    /// For all runs of an issue.
    #[serde(deserialize_with = "fields::dollars")]
    #[schemars(with = "f64", range(min = 0))]
    pub story_usd: Option<f64>,
    /// For all runs of the repository in a day.
    #[serde(deserialize_with = "fields::dollars")]
    #[schemars(with = "f64", range(min = 0))]
    pub day_usd: Option<f64>,
}

/// A mistake in the file, told so that it can be fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line, counted from 1.
    pub line: usize,
    /// Key and mistake.
    pub what: String,
    /// What to write in its place.
    pub remedy: String,
    /// The label that asks for work, as far as that can be read all the same.
    pub label: Option<String>,
    /// Who may steer what is under way meanwhile: as the file says, and where that cannot be read
    /// the fewest.
    pub who: SettingsPermission,
}

impl RepositoryFile {
    /// Reads the text of a file, which may ask only for what `config` allows.
    ///
    /// # Errors
    /// The first mistake in it.
    pub fn parse(text: &str, config: &Config) -> Result<Self, Fault> {
        let fault = |line: usize, what: String, remedy: String| {
            let (label, who) = readable_parts(text);
            Fault { line, what, remedy, label, who }
        };
        let file = read(text).map_err(|(line, what, remedy)| fault(line, what, remedy))?;
        match file.not_allowed(config) {
            None => Ok(file),
            Some((key, what, remedy)) => Err(fault(line_of(text, key), what, remedy)),
        }
    }

    /// Reads a text that was read before, when it was allowed. One that means nothing any more, to
    /// a newer hob, allows nothing without a person's word.
    pub fn parse_kept(text: &str) -> Self {
        read(&without_language(text)).unwrap_or_else(|_| Self {
            who: SettingsPermission::Admin,
            protected_paths: PathGlobs::new(vec!["**".to_owned()]).unwrap_or_default(),
            ..Self::default()
        })
    }

    /// How often a failing check goes back to the agent.
    pub fn check_retries(&self) -> u32 {
        self.check_retries.unwrap_or(CHECK_RETRIES)
    }

    /// The longest that one check may take; never longer than a run.
    pub fn check_timeout(&self, config: &Config) -> Duration {
        self.check_timeout.unwrap_or(CHECK_TIMEOUT).min(config.agent.timeout)
    }

    /// What the file asks for and the operator does not allow: key, mistake, remedy.
    fn not_allowed(&self, config: &Config) -> Option<(&'static str, String, String)> {
        if let Some(image) = self.image.as_deref().filter(|image| !config.allows_image(image)) {
            return Some((
                "image",
                format!("`image`: `{image}` is not an allowed image"),
                "choose an allowed image, or ask hob's operator to add this one to `container.allowed_images`"
                    .to_owned(),
            ));
        }
        if self.agent == Some(AgentKind::Command) && config.agent.command.is_empty() {
            return Some((
                "agent",
                "`agent`: hob's settings name no program for the agent `command`".to_owned(),
                "choose another agent, or ask hob's operator to set `agent.command`".to_owned(),
            ));
        }
        let allowed = &config.container.checks_network;
        if self.checks_network != ChecksNetwork::Nothing && *allowed == ChecksNetwork::Nothing {
            return Some((
                "checks_network",
                "`checks_network`: hob's operator does not allow network access for checks".to_owned(),
                "remove it, or ask the operator to set `container.checks_network`".to_owned(),
            ));
        }
        let beyond = self.checks_network.first_beyond(allowed)?;
        Some((
            "checks_network",
            format!("`checks_network`: hob's operator does not allow `{beyond}`"),
            format!("remove it, or ask the operator to add `\"{beyond}\"` to `container.checks_network`"),
        ))
    }
}

/// The JSON schema of the file, for editors.
pub fn repository_file_schema() -> String {
    let mut schema = schemars::schema_for!(RepositoryFile).to_value();
    tidy(&mut schema);
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

/// TOML has no null, and an editor shows a description as it stands.
fn tidy(schema: &mut serde_json::Value) {
    match schema {
        serde_json::Value::Object(fields) => {
            fields.retain(|name, value| !(name == "default" && value.is_null()) && name != "format");
            if let Some(serde_json::Value::String(text)) = fields.get_mut("description") {
                *text = text.replace('\n', " ");
            }
            fields.values_mut().for_each(tidy);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

impl Config {
    /// The label that asks for work in a repository with this file.
    pub fn label_of<'a>(&'a self, file: &'a RepositoryFile) -> &'a str {
        file.label.as_deref().unwrap_or(&self.github.label)
    }

    /// The story branch of an issue in a repository with this file.
    pub fn branch_of(&self, file: &RepositoryFile, issue: IssueNumber) -> String {
        file.branch.as_ref().unwrap_or(&self.github.branch).for_issue(issue)
    }

    /// Whether pull requests are opened as drafts in a repository with this file.
    pub fn draft_of(&self, file: &RepositoryFile) -> bool {
        file.draft.unwrap_or(self.github.draft)
    }

    /// Whether story branches follow their base in a repository with this file.
    pub fn follow_base_of(&self, file: &RepositoryFile) -> FollowBase {
        file.follow_base.unwrap_or(self.pull_request.follow_base)
    }

    /// How often failed checks on one pull request are taken up in a repository with this file.
    pub fn fixes_of(&self, file: &RepositoryFile) -> u32 {
        file.fixes.unwrap_or(self.pull_request.fixes)
    }

    /// Whether the commits of one hand-over become one in a repository with this file.
    pub fn squash_of(&self, file: &RepositoryFile) -> bool {
        file.squash.unwrap_or(self.git.squash)
    }

    /// Whether commits are signed off in a repository with this file.
    pub fn signs_off(&self, file: &RepositoryFile) -> bool {
        file.sign_off.unwrap_or(self.git.sign_off)
    }

    /// The labels that a new pull request gets in a repository with this file.
    pub fn pull_labels_of<'a>(&'a self, file: &'a RepositoryFile) -> &'a [String] {
        if file.labels.is_empty() { &self.pull_request.labels } else { &file.labels }
    }

    /// Whether a branch is removed once it is merged, in a repository with this file.
    pub fn deletes_branch(&self, file: &RepositoryFile) -> bool {
        file.delete_branch.unwrap_or(self.pull_request.delete_branch)
    }

    /// What a hand-over may hold in a repository with this file, which protects more paths and
    /// never fewer.
    pub fn policy_of(&self, file: &RepositoryFile) -> Policy {
        Policy {
            protected_paths: self.policy.protected_paths.and(&file.protected_paths),
            ..self.policy.clone()
        }
    }

    /// The dollars after which a run is ended in a repository with this file.
    pub fn run_budget_of(&self, file: &RepositoryFile) -> Option<f64> {
        lower(self.agent.max_budget_usd, file.budget.run_usd)
    }
}

/// The lower of two caps, where there is any.
pub fn lower(operator: Option<f64>, repository: Option<f64>) -> Option<f64> {
    match (operator, repository) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Line, mistake and remedy of a text that cannot be read.
fn read(text: &str) -> Result<RepositoryFile, (usize, String, String)> {
    let first = |mistakes: Vec<ConfigError>| match mistakes.into_iter().next() {
        Some(ConfigError::InFile { line, key, what, hint, .. }) => {
            (line, what, hint.unwrap_or_else(|| fields::remedy(&key)))
        }
        other => (1, other.map(|mistake| mistake.to_string()).unwrap_or_default(), fields::remedy("")),
    };
    let document = Document::parse(text, Path::new(REPOSITORY_FILE)).map_err(first)?;
    match document.read() {
        (Some(file), mistakes) if mistakes.is_empty() => Ok(file),
        (_, mistakes) => Err(first(mistakes)),
    }
}

/// A text that was stored when `language` was still a setting, without it.
fn without_language(text: &str) -> Cow<'_, str> {
    let Ok(mut table) = text.parse::<toml::Table>() else { return Cow::Borrowed(text) };
    match table.remove("language") {
        Some(_) => Cow::Owned(table.to_string()),
        None => Cow::Borrowed(text),
    }
}

/// The label and who may steer, read from a file that has a mistake somewhere.
fn readable_parts(text: &str) -> (Option<String>, SettingsPermission) {
    let Ok(table) = text.parse::<toml::Table>() else { return (None, SettingsPermission::Admin) };
    let label = table.get("label").and_then(toml::Value::as_str).map(str::to_owned);
    let who = match table.get("who") {
        None => SettingsPermission::Write,
        Some(said) => said.clone().try_into().unwrap_or(SettingsPermission::Admin),
    };
    (label, who)
}

/// The line on which a key of the file's top level stands.
fn line_of(text: &str, key: &str) -> usize {
    let is_it = |line: &str| {
        let rest = line.trim_start().trim_start_matches(['"', '\'']).strip_prefix(key);
        rest.is_some_and(|rest| rest.trim_start_matches(['"', '\'']).trim_start().starts_with('='))
    };
    text.lines().position(is_it).map_or(1, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RepositoryFile, Fault> {
        RepositoryFile::parse(text, &Config::default())
    }

    fn said(text: &str) -> String {
        let fault = parse(text).unwrap_err();
        format!("{}: {} -> {}", fault.line, fault.what, fault.remedy)
    }

    #[test]
    fn an_empty_file_says_nothing_and_a_full_one_everything() {
        let empty = parse("").unwrap();
        let config = Config::default();
        assert_eq!(
            (config.label_of(&empty), empty.who, empty.check_retries()),
            ("hob", SettingsPermission::Write, 2)
        );
        assert_eq!(empty.check_timeout(&config), Duration::from_secs(900));
        let mut allowing = Config::default();
        allowing.container.checks_network = ChecksNetwork::Everything;
        let full = RepositoryFile::parse(include_str!("../../tests/data/hob.full.toml"), &allowing).unwrap();
        assert_eq!(config.label_of(&full), "bot");
        assert_eq!(config.branch_of(&full, IssueNumber(7)), "bot/7");
        assert_eq!((full.who, full.sub_issues), (SettingsPermission::Maintain, SubIssues::Together));
        assert_eq!(full.budget.run_usd, Some(2.0));
    }

    #[test]
    fn a_stored_file_from_before_keeps_its_meaning_without_the_language() {
        let kept =
            RepositoryFile::parse_kept("language = \"de\"\nwho = \"maintain\"\n[budget]\nrun_usd = 2.0\n");
        assert_eq!((kept.who, kept.budget.run_usd), (SettingsPermission::Maintain, Some(2.0)));
    }

    #[test]
    fn a_mistake_is_told_with_line_and_remedy() {
        let faults = [
            "label = \"bot\"\nreviewer = [\"bob\"]\n",
            "zzz = 1\n",
            "\nchecks = \"make test\"\n",
            "who = \"read\"\n",
            "language = \"en\"\n",
            "branch = \"hob\"\n",
            "branch = \"a b/{issue}\"\n",
            "base = \"-x\"\n",
            "image = \"postgres:17\"\n",
            "agent = \"command\"\n",
            "agent = \"clod\"\n",
            "model = \"--yolo\"\n",
            "checks_network = true\n",
            "checks_network = [\"crates.io\", \"https://example.org\"]\n",
            "checks_network = 1\n",
            "check_retries = 99\n",
            "check_timeout = \"soon\"\n",
            "reviewers = [\"@bob\"]\n",
            "protected_paths = [\"a/[\"]\n",
            "prompt = \"../prompt.j2\"\n",
            "sub_issues = \"all\"\n",
            "draft = 1\n",
            "[budget]\nrun_used = 1\n",
            "[budget]\nrun_usd = -1\n",
            "label = \n",
            "label = \"a\"\nlabel = \"b\"\n",
        ];
        let all: Vec<String> = faults.iter().map(|text| said(text)).collect();
        insta::assert_snapshot!(all.join("\n"));
    }

    #[test]
    fn a_faulty_file_still_tells_its_label_and_who_may_steer_where_it_can_be_read() {
        let fault = parse("label = \"bot\"\nwho = \"maintain\"\ndraft = 1\n").unwrap_err();
        assert_eq!((fault.label.as_deref(), fault.who), (Some("bot"), SettingsPermission::Maintain));
        assert_eq!(parse("who = \"everybody\"\n").unwrap_err().who, SettingsPermission::Admin);
        assert_eq!(parse("what\n").unwrap_err().who, SettingsPermission::Admin);
        assert_eq!(parse("draft = 1\n").unwrap_err().who, SettingsPermission::Write);
    }

    #[test]
    fn paths_are_added_and_caps_lowered_whatever_the_file_says() {
        let mut config = Config::default();
        config.agent.max_budget_usd = Some(3.0);
        let file = parse("protected_paths = [\"src/**\"]\n[budget]\nrun_usd = 5\n").unwrap();
        let paths = config.policy_of(&file).protected_paths;
        assert!(paths.matches("src/a") && paths.matches(".github/workflows/ci.yml"));
        assert!(paths.are_below("src"));
        assert_eq!(config.run_budget_of(&file), Some(3.0));
        assert_eq!(config.run_budget_of(&parse("[budget]\nrun_usd = 1\n").unwrap()), Some(1.0));
    }

    #[test]
    fn the_schema_in_the_repository_is_that_of_this_program() {
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let (kept, own) =
            (read(include_str!("../../deploy/hob.schema.json")), read(&repository_file_schema()));
        assert_eq!(kept, own, "write it again: hob schema > deploy/hob.schema.json");
    }
}
