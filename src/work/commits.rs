//! Whose commits they are: author, who took part, the story, and hob's signature. The commits are
//! written again in the process that reads a hand-over (`import_child.rs`); signed they are here,
//! for that process reads what an agent made, and never has the key.

use super::import_child::ImportedCommits;
use super::start::blocking;
use super::{Job, StepError, Worker};
use crate::config::Config;
use crate::fail_point::around;
use crate::git::{self, Author, Authorship, Mirror, STORY_TRAILER, SigningKey, Squash};
use crate::story::{Run, TaskKind, TaskRequest};

/// The key with which commits are signed, where the settings name one.
///
/// # Errors
/// If it cannot be used, with what is wrong with it.
pub fn signing_key(config: &Config) -> anyhow::Result<Option<SigningKey>> {
    use secrecy::ExposeSecret as _;
    let (Some(file), Some(text)) = (&config.git.signing_key_file, &config.git.signing_key) else {
        return Ok(None);
    };
    let key = SigningKey::parse(text.expose_secret()).map_err(|error| {
        anyhow::anyhow!(
            "`git.signing_key_file` names {}, which {error}; make one with: ssh-keygen -t ed25519 -N '' -f FILE",
            file.display()
        )
    })?;
    Ok(Some(key))
}

impl Worker {
    /// How the commits of a task are written again. `is_wip`: the last of them is of work that was
    /// cut short, and says so.
    pub(super) fn authorship(&self, job: &Job, is_wip: bool) -> Authorship {
        let config = &self.config;
        // Work that was pushed before has the issue's title already.
        let title = job.story.remote_head.is_none().then(|| job.task.ask.title.clone());
        let squash = (config.squash_of(&job.file) && !is_wip).then_some(Squash { title });
        let signer = self.author();
        let sign_off = config.signs_off(&job.file).then(|| signer.sign_off());
        if !config.git.rewrite_authors {
            return Authorship {
                squash,
                signer: Some(signer),
                trailers: sign_off.into_iter().collect(),
                ..Authorship::default()
            };
        }
        let (git_url, story) = (config.github.git_url.trim_end_matches('/'), &job.story);
        let link = format!("{STORY_TRAILER}: {git_url}/{}/issues/{}", story.repo, story.issue.0);
        let people = people(&job.task.ask).into_iter();
        let people = people.map(|(login, number)| format!("Co-authored-by: {}", co_author(&login, number)));
        Authorship {
            author: Some(signer.clone()),
            signer: Some(signer),
            trailers: std::iter::once(link).chain(people).chain(sign_off).collect(),
            squash,
        }
    }

    /// Whose name stands on commits of hob's.
    pub(super) fn author(&self) -> Author {
        Author { name: self.config.git.author_name.clone(), email: self.config.git.author_email.clone() }
    }

    /// The message of a commit that hob makes itself, signed off where the repository wants that.
    pub(super) fn signed_off(&self, job: &Job, message: &str) -> String {
        if !self.config.signs_off(&job.file) {
            return message.to_owned();
        }
        let message = message.trim_end();
        let is_trailer = |line: &str| line.starts_with("Co-authored-by: ");
        let gap = if message.lines().last().is_some_and(is_trailer) { "\n" } else { "\n\n" };
        format!("{message}{gap}{}\n", self.author().sign_off())
    }

    /// Signs what was taken over, where there is a key.
    pub(super) async fn signed(
        &self,
        job: &Job,
        run: &Run,
        taken: ImportedCommits,
    ) -> Result<ImportedCommits, StepError> {
        let Some(key) = self.signing_key.clone() else { return Ok(taken) };
        let (mirror, quarantine) = (self.data.mirror(&job.story.mirror), self.data.run(run.id).quarantine);
        let tip = taken.tip.clone();
        let signed = blocking(move || {
            around("git", "sign", || git::sign(&Mirror::ensure(&mirror)?, &quarantine, &tip, &key))
        });
        Ok(ImportedCommits { tip: signed.await??, ..taken })
    }
}

/// Who asked, and whose reviews the work answers: each with their account's number, where it is
/// known.
fn people(ask: &TaskRequest) -> Vec<(String, Option<u64>)> {
    let mut people = vec![(login(&ask.by), ask.by_id)];
    if let TaskKind::Review(round) = &ask.about {
        for review in &round.reviews {
            people.push((login(&review.by), review.by_id));
        }
    }
    let mut named: Vec<(String, Option<u64>)> = Vec::new();
    for (login, number) in people.into_iter().filter(|(login, _)| !login.is_empty()) {
        if !named.iter().any(|(known, _)| known.eq_ignore_ascii_case(&login)) {
            named.push((login, number));
        }
    }
    named
}

/// A login is letters, digits and hyphens, for bots also brackets; a line end would be a trailer of
/// its own.
pub(super) fn login(said: &str) -> String {
    said.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '[' | ']')).collect()
}

/// `login <address>`: the address by which GitHub knows the account whatever it is called.
pub(super) fn co_author(login: &str, number: Option<u64>) -> String {
    let number = number.map(|id| format!("{id}+")).unwrap_or_default();
    format!("{login} <{number}{login}@users.noreply.github.com>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Verdict;
    use crate::story::Choice;
    use crate::story::review::ReviewBatch;
    use crate::story::review::tests::review;

    fn ask(by: &str, by_id: Option<u64>, about: TaskKind) -> TaskRequest {
        let (title, body) = (String::new(), String::new());
        TaskRequest {
            by: by.to_owned(),
            by_id,
            title,
            body,
            text: None,
            choice: Choice::default(),
            on: None,
            about,
        }
    }

    fn named(ask: &TaskRequest) -> Vec<String> {
        people(ask).iter().map(|(login, number)| co_author(login, *number)).collect()
    }

    #[test]
    fn the_person_who_asked_is_named_by_number_and_login() {
        let of = |by: &str, by_id: Option<u64>| named(&ask(by, by_id, TaskKind::Issue));
        assert_eq!(of("alice", Some(7)), ["alice <7+alice@users.noreply.github.com>"]);
        assert_eq!(of("alice", None), ["alice <alice@users.noreply.github.com>"]);
        assert_eq!(of("a\n<b>", None), ["ab <ab@users.noreply.github.com>"]);
        assert!(of("", None).is_empty());
    }

    #[test]
    fn reviewers_are_named_once_each() {
        let review = |id: u64, by: &str| review(id, by, Verdict::Commented, "Shorter.", Vec::new());
        let round = ReviewBatch { reviews: vec![review(1, "bob"), review(2, "Alice"), review(3, "bob")] };
        assert_eq!(
            named(&ask("alice", Some(7), TaskKind::Review(round))),
            ["alice <7+alice@users.noreply.github.com>", "bob <1+bob@users.noreply.github.com>"]
        );
    }
}
