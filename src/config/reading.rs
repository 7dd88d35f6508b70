//! From the text of a settings file to settings. Everything that is wrong with the text is found at
//! once: a value that cannot be read is told of and taken out, and the rest is read without it.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ConfigError;
use super::error;
use super::reference::{EXAMPLE, NO_DEFAULT};

/// More mistakes than this in one file are those of another kind of file.
const MAX_MISTAKES: usize = 50;

/// A settings file, as far as it is TOML.
pub(super) struct Document<'a> {
    text: &'a str,
    path: &'a Path,
    table: Spanned<DeTable<'a>>,
}

impl<'a> Document<'a> {
    /// Reads the form of a text; `path` is used in errors only.
    ///
    /// # Errors
    /// Every line that is not TOML.
    pub(super) fn parse(text: &'a str, path: &'a Path) -> Result<Self, Vec<ConfigError>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Ok(Self { text, path, table });
        }
        let mut mistakes: Vec<ConfigError> = Vec::new();
        for mistake in errors.iter().map(|mistake| error::of_form(text, path, mistake)) {
            // What follows on the same line follows from the first.
            if mistakes.iter().all(|known| known.line() != mistake.line()) {
                mistakes.push(mistake);
            }
        }
        mistakes.sort_by_key(ConfigError::line);
        mistakes.truncate(MAX_MISTAKES);
        Err(mistakes)
    }

    /// Reads the values. What cannot be read is left out of the result, and is one mistake each.
    pub(super) fn read<T: DeserializeOwned>(&self) -> (Option<T>, Vec<ConfigError>) {
        let (mut table, mut mistakes) = (self.table.clone(), Vec::new());
        while mistakes.len() < MAX_MISTAKES {
            let read = serde_path_to_error::deserialize(toml::de::Deserializer::from(table.clone()));
            let error = match read {
                Ok(value) => return (Some(value), mistakes),
                Err(error) => error,
            };
            let keys = keys_of(error.path());
            let found = value_at(self.table.get_ref(), &keys).map(Spanned::get_ref);
            mistakes.push(error::of_value(self.text, self.path, &keys, found, error.inner()));
            if !remove(table.get_mut(), &keys) {
                break;
            }
        }
        (None, mistakes)
    }

    /// The same mistake with its line, if the key that it names stands in the file.
    pub(super) fn with_line(&self, mistake: ConfigError) -> ConfigError {
        let ConfigError::Invalid { key, what, wanted } = &mistake else { return mistake };
        match self.line_of(key) {
            Some(line) => ConfigError::InFile {
                path: self.path.to_owned(),
                line,
                key: key.clone(),
                what: format!("`{key}` {what}"),
                hint: Some(format!("use {wanted}")),
            },
            None => mistake,
        }
    }

    /// The line of a key, as `work.parallel` or `repositories."acme/tool".image`.
    fn line_of(&self, key: &str) -> Option<usize> {
        let mut at = None;
        let mut table = Some(self.table.get_ref());
        for part in parts_of(key) {
            let (name, value) = table?.get_key_value(part.as_str())?;
            at = Some(name.span().start);
            table = value.get_ref().as_table();
        }
        at.map(|at| error::line_at(self.text, at))
    }
}

/// The keys from the top of the file to the place of an error.
fn keys_of(path: &serde_path_to_error::Path) -> Vec<String> {
    let key = |segment: &Segment| match segment {
        Segment::Map { key } => Some(key.clone()),
        Segment::Seq { .. } | Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().map_while(key).collect()
}

fn value_at<'t, 'a>(table: &'t DeTable<'a>, keys: &[String]) -> Option<&'t Spanned<DeValue<'a>>> {
    let (first, rest) = keys.split_first()?;
    let value = table.get(first.as_str())?;
    match rest {
        [] => Some(value),
        rest => value_at(value.get_ref().as_table()?, rest),
    }
}

/// Whether there was something to remove.
fn remove(table: &mut DeTable<'_>, keys: &[String]) -> bool {
    match keys {
        [] => false,
        [last] => table.remove(last.as_str()).is_some(),
        [first, rest @ ..] => {
            let is_removed = match table.get_mut(first.as_str()).map(Spanned::get_mut) {
                Some(DeValue::Table(inner)) => remove(inner, rest),
                _ => false,
            };
            is_removed || table.remove(first.as_str()).is_some()
        }
    }
}

/// The mistake with what to write in its place, where it does not say that itself.
pub(super) fn with_example(mistake: ConfigError) -> ConfigError {
    let ConfigError::InFile { path, line, key, what, hint: None } = mistake else { return mistake };
    let hint = match example(&key) {
        Some(example) => format!("for example `{example}`"),
        None => {
            "write `key = \"text\"`, `key = 5`, `key = true` or `key = [\"a\", \"b\"]` below a `[section]`"
                .to_owned()
        }
    };
    ConfigError::InFile { path, line, key, what, hint: Some(hint) }
}

/// Lists and tables that are empty in the example.
const LISTS: [(&str, &str); 11] = [
    ("github.repositories", "repositories = [\"acme/tool\"]"),
    ("github.allow", "allow = [\"acme\", \"other/tool\"]"),
    ("agent.command", "command = [\"my-agent\", \"--fast\"]"),
    ("agent.fallback", "fallback = [\"codex\"]"),
    ("agent.key_files", "key_files = { ANTHROPIC_API_KEY = \"/etc/hob/anthropic-api-key\" }"),
    ("agent.sync_command", "sync_command = [\"renew-login\"]"),
    ("agent.env", "env = { RUST_BACKTRACE = \"1\" }"),
    ("container.images", "images = { codex = \"my-codex:1\" }"),
    ("container.allowed_images", "allowed_images = [\"my-image:1\"]"),
    ("container.checks_network", "checks_network = [\"crates.io\", \"*.npmjs.org\"]"),
    ("pull_request.labels", "labels = [\"bot\"]"),
];

/// How a key is written in the example that every key is in.
fn example(key: &str) -> Option<&'static str> {
    let parts = parts_of(key);
    let of_list = LISTS.iter().find(|(name, _)| parts.iter().take(2).eq(name.split('.')));
    if let Some((_, example)) = of_list {
        return Some(example);
    }
    let (section, name) = match parts.as_slice() {
        [section, _repository, name, ..] if section == "repositories" => (section, name),
        [section, name, ..] => (section, name),
        _ => return None,
    };
    let mut is_here = false;
    for line in EXAMPLE.lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        let line = line.split(NO_DEFAULT).next().unwrap_or(line).trim_end();
        if let Some(header) = line.strip_prefix('[') {
            is_here = header.split([']', '.']).next() == Some(section);
        } else if is_here && line.split_once(" = ").is_some_and(|(key, _)| key == name) {
            return Some(line);
        }
    }
    None
}

/// The parts of a key, which stand in quotes where they have a dot or a slash.
fn parts_of(key: &str) -> Vec<String> {
    let (mut parts, mut part, mut in_quotes) = (Vec::new(), String::new(), false);
    for c in key.chars() {
        match c {
            '"' => in_quotes = !in_quotes,
            '.' if !in_quotes => parts.push(std::mem::take(&mut part)),
            c => part.push(c),
        }
    }
    parts.push(part);
    parts
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::Config;

    /// What libraries say, and people do not.
    const NOT_FOR_PEOPLE: [&str; 21] = [
        "invalid type",
        "invalid value",
        "unknown variant",
        "unknown field",
        "expected",
        "usize",
        "u64",
        "u32",
        "i64",
        "f64",
        "friendly",
        "unexpected",
        "untagged",
        "RawSize",
        "sequence",
        "struct ",
        "eseriali",
        "socket address",
        "without a base",
        "os error",
        "overflow",
    ];

    fn mistakes(text: &str) -> Vec<String> {
        match Config::parse(text, Path::new("hob.toml")) {
            Ok(_) => Vec::new(),
            Err(error) => error.each().iter().map(ToString::to_string).collect(),
        }
    }

    fn check_words(mistake: &str) {
        for words in NOT_FOR_PEOPLE {
            assert!(!mistake.contains(words), "{words:?} in {mistake}");
        }
    }

    /// Every key of the example, with its section.
    fn keys() -> Vec<(String, String)> {
        let (mut section, mut keys) = (String::new(), Vec::new());
        for line in EXAMPLE.lines() {
            let line = line.strip_prefix('#').unwrap_or(line);
            if let Some(header) = line.strip_prefix('[') {
                section = header.split(']').next().unwrap().to_owned();
            } else if let Some((key, _)) = line.split_once(" = ")
                && !key.contains(' ')
            {
                keys.push((section.clone(), key.to_owned()));
            }
        }
        keys
    }

    #[test]
    fn every_setting_tells_of_a_wrong_value_in_words_with_its_line_and_what_to_write() {
        let keys = keys();
        assert!(keys.len() > 90, "{keys:?}");
        let values = [
            "\"\"",
            "\"nonsense \\u0007 of \\\\ a text\"",
            "0",
            "-1",
            "99999999999999999999",
            "1.5",
            "nan",
            "true",
            "[]",
            "[1]",
            "[\"a b\", \"~\"]",
            "{}",
            "{ zzz = 1 }",
            "{ codex = 1 }",
            "1979-05-27",
            "-9223372036854775808",
        ];
        let mut told = 0;
        for (section, key) in &keys {
            let mut of_key = 0;
            for value in values {
                let text = format!("# A settings file.\n[{section}]\n\n{key} = {value}\n");
                for mistake in mistakes(&text) {
                    of_key += 1;
                    check_words(&mistake);
                    assert!(mistake.starts_with("hob.toml:4: "), "{mistake}");
                    assert!(mistake.contains(key.as_str()), "{mistake}");
                    let has_remedy =
                        ["; for example `", "; did you mean `", "; known keys: ", "; known values: "];
                    assert!(has_remedy.iter().any(|remedy| mistake.contains(remedy)), "{mistake}");
                    // A secret is never shown, whatever was written in its place.
                    assert!(!mistake.contains("nonsense") || !key.contains("secret"), "{mistake}");
                }
            }
            assert!(of_key >= 5, "[{section}] {key} takes almost everything");
            told += of_key;
        }
        assert!(told > 900, "{told}");
    }

    #[test]
    fn what_is_told_to_be_written_can_be() {
        for (key, example) in LISTS {
            let section = key.split('.').next().unwrap();
            assert_eq!(mistakes(&format!("[{section}]\n{example}\n")), Vec::<String>::new());
        }
        let told = mistakes("[container]\nimages = { codex = 5 }\n");
        let wanted = "hob.toml:2: `container.images` contains an integer, but must be a string; for example `images = { codex = \"my-codex:1\" }`";
        assert_eq!(told, [wanted]);
    }

    #[test]
    fn all_mistakes_are_told_at_once_and_in_words() {
        let text = "[server]\nlisten = \"localhost\"\n[work]\nparallel = \"two\"\npoll = 5\n[agent]\nkind = \"codx\"\n\
                    timeout = \"soon\"\nmax_turns = -1\nenv = { A = 1, B = \"x\" }\n[container]\nmemory = \"5 GB\"\n\
                    images = { cladue = \"x\" }\ncpus = \"many\"\n[githbu]\nlabel = \"x\"\n[policy]\nprotected_paths = \"a\"\n";
        insta::assert_snapshot!(mistakes(text).join("\n"));
    }

    #[test]
    fn what_is_not_toml_is_told_in_words() {
        let texts = [
            "[github]\nlabel = \n",
            "[github]\nlabel = hob\n",
            "[github]\nlabel = \"hob\nbranch = \"x\"\n",
            "[github]\nlabel = \"a\"\nlabel = \"b\"\n",
            "[github]\n[work]\n[github]\n",
            "[github\nlabel = \"a\"\n",
            "[github]\nlabel\n",
            "[github]\nlabel: \"hob\"\n",
            "[github]\nrepositories = [\"a\", \"b\"\n",
            "[agent]\nenv = { A = \"x\"\n",
            "= 5\n",
            "[work]\nparallel = 05\n",
            "[work]\nparallel = 2 # two\u{7}\n",
            "what\n",
            "[github]\nlabel = 'a\n'\n",
        ];
        let told: Vec<String> = texts.iter().map(|text| mistakes(text).join(" | ")).collect();
        for (text, told) in texts.iter().zip(&told) {
            assert!(told.starts_with("hob.toml:"), "{text:?}: {told}");
            check_words(told);
        }
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn what_cannot_work_is_told_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let (file, secret) = (folder.path().join("hob.toml"), folder.path().join("secret"));
        std::fs::write(&secret, "a secret of many letters\n").unwrap();
        let set_mode = |mode: u32| {
            std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        set_mode(0o640);
        let start = format!("[github]\ntoken = \"t\"\nwebhook_secret_file = {secret:?}\n");
        let look = |more: &str| {
            std::fs::write(&file, format!("{start}{more}")).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
            let (config, mistakes) = Config::look(Some(&file), &|_| None);
            let shown = |text: String| text.replace(&folder.path().display().to_string(), "");
            let mistakes: Vec<String> = mistakes.iter().map(|mistake| shown(mistake.to_string())).collect();
            (mistakes, config.unwrap().warnings.into_iter().map(shown).collect::<Vec<String>>())
        };
        assert_eq!(look(""), (vec![], vec![]));
        for (more, told) in [
            (
                "label = \"\"\n",
                "/hob.toml:4: `github.label` is empty; use a GitHub label of 1 to 50 characters",
            ),
            (
                "api_url = \"github.example\"\n",
                "/hob.toml:4: `github.api_url` is not the URL of a server; use https://HOST, with a path if there is one",
            ),
            (
                "git_url = \"https://\"\n",
                "/hob.toml:4: `github.git_url` is not the URL of a server; use https://HOST, with a path if there is one",
            ),
            (
                "allow = [\"a b\"]\n",
                "/hob.toml:4: `github.allow` contains `a b`; use an owner, or owner/name",
            ),
            (
                "repositories = [\"tool\"]\n",
                "/hob.toml:4: `github.repositories` contains `tool`; use owner/name",
            ),
            (
                "token_file = \"/nowhere\"\n",
                "/hob.toml:4: `github.token_file` is set together with github.token; use only one of the two",
            ),
            (
                "[data]\ndir = \"~/hob\"\n",
                "/hob.toml:5: `data.dir` is ~/hob, but hob does not expand `~`; use the full path",
            ),
            (
                "writes_per_hour = 59\n",
                "/hob.toml:4: `github.writes_per_hour` is 59; use 60 or more; GitHub.com accepts about 500",
            ),
            ("[work]\nparallel = 0\n", "/hob.toml:5: `work.parallel` is 0; use 1 or more"),
            ("[work]\npoll = \"0s\"\n", "/hob.toml:5: `work.poll` is 0; use for example \"5s\""),
            ("[container]\ncpus = 0\n", "/hob.toml:5: `container.cpus` is 0; use 0.01 or more"),
            ("[container]\ncpus = inf\n", "/hob.toml:5: `container.cpus` is inf; use 0.01 or more"),
            ("[container]\npids = -1\n", "/hob.toml:5: `container.pids` is -1; use 1 or more"),
            (
                "[container]\nmemory = 5\n",
                "/hob.toml:5: `container.memory` is 5 B, but Docker requires at least 6 MiB; use for example \"4 GiB\"",
            ),
            (
                "[container]\ndocker = \"/run/docker.sock\"\n",
                "/hob.toml:5: `container.docker` is `/run/docker.sock`, which is not an address of Docker; use unix:///path/to/socket, tcp://host:port or http://host:port",
            ),
            (
                "[agent]\nsync_timeout = \"0s\"\n",
                "/hob.toml:5: `agent.sync_timeout` is 0; use for example \"60s\"",
            ),
            (
                "[agent]\nkey_files = { A = \"/nowhere\" }\n",
                "`agent.key_files.A` names /nowhere: the file does not exist; use a file that hob's user can read",
            ),
            (
                "[repositories.tool]\nmodel = \"x\"\n",
                "/hob.toml:4: `repositories.\"tool\"` is not a repository name; use owner/name",
            ),
        ] {
            let (mistakes, _) = look(more);
            let found = mistakes.iter().any(|mistake| mistake == told || mistake.ends_with(told));
            assert!(found, "{more}: {mistakes:?}");
            mistakes.iter().for_each(|mistake| check_words(mistake));
        }
        // What follows from a mistake is none of its own.
        let (mistakes, _) = look("[agent]\nkind = \"command\"\ncommand = \"x\"\n");
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        // Others may not change a secret, and had better not read it.
        set_mode(0o666);
        let (mistakes, _) = look("");
        let wanted = "/hob.toml:3: `github.webhook_secret_file` names /secret, which every user of this machine can change (mode 0666)";
        assert!(mistakes.len() == 1 && mistakes[0].starts_with(wanted), "{mistakes:?}");
        set_mode(0o644);
        let readable = "`github.webhook_secret_file` names /secret, and every user of this machine can read it (mode 0644): `chmod o-rwx /secret`";
        assert_eq!(look(""), (vec![], vec![readable.to_owned()]));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_in_words() {
        let told = |path: &Path| Config::look(Some(path), &|_| None).1[0].to_string();
        assert_eq!(
            told(Path::new("/nowhere/hob.toml")),
            "cannot read /nowhere/hob.toml: the file does not exist"
        );
        assert_eq!(told(Path::new("/tmp")), "cannot read /tmp: it is a folder");
        let tilde = told(Path::new("~/hob.toml"));
        assert_eq!(
            tilde,
            "cannot read ~/hob.toml: the file does not exist; hob does not expand `~`, so write the full path"
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, b"label = \"\xff\"\n").unwrap();
        assert!(told(file.path()).ends_with(": it is not valid UTF-8"));
    }
}
