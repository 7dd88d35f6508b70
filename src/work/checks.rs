//! The checks that a repository names in its settings, run before a pull request: each in a clean
//! container of the task's image, on exactly the commit that would be pushed, in a checkout that
//! hob makes from its mirror and the quarantine and no agent has seen. What follows from them is
//! decided in `story/checks.rs`. May be repeated from the top.

use std::collections::VecDeque;
use std::io::Write;
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::checkout::NewCheckout;
use super::egress::Fenced;
use super::import_child::ImportedCommits;
use super::start::{HOME, WORKSPACE, blocking, docker_error, make_private_folder, mount};
use super::{Job, StepError, Worker};
use crate::config::ChecksNetwork;
use crate::container::{AttachLimits, AttachedEnd, ContainerError, ContainerSpec, Log, Network};
use crate::fail_point::around;
use crate::ids::Sha;
use crate::paths;
use crate::redact::{CONTEXT, Redactor};
use crate::story::Run;
use crate::story::checks::{CheckEnd, CheckResult, Checked, Refused};

/// Both streams go to standard output, in their order. The set-up command comes first, as for the
/// agent.
const ENTRY: &str = r#"
exec 2>&1 </dev/null
if [ -n "${HOB_SETUP:-}" ]; then
  /bin/sh -c "$HOB_SETUP" || { code=$?; echo "the set-up command ended with $code"; exit "$code"; }
fi
exec /bin/sh -c "$HOB_CHECK"
"#;

/// As much of the end of what a check prints as an agent needs to see what is wrong.
const TAIL: usize = 8 << 10;
/// More than any check prints that is worth its time.
const MAX_OUTPUT: u64 = 256 << 20;

/// The folders of one check.
struct Place {
    workspace: PathBuf,
    home: PathBuf,
}

impl Worker {
    /// What came of the repository's checks on what was handed over; nothing where it has none.
    /// Where they have run on this commit before, that counts.
    pub(super) async fn check(
        &self,
        job: &Job,
        run: &Run,
        taken: &ImportedCommits,
    ) -> Result<Option<Checked>, StepError> {
        if job.file.checks.is_empty() {
            return Ok(None);
        }
        if let Some(checked) = self.store.checked(job.task.id, &taken.tip).await? {
            return Ok(Some(checked));
        }
        let checked = Box::pin(self.run_checks(job, run, &taken.tip)).await?;
        self.store.keep_checked(&job.task, run.id, &checked).await?;
        Ok(Some(checked))
    }

    /// Runs all checks on a commit that lies in the mirror or in the run's quarantine.
    pub(super) async fn run_checks(&self, job: &Job, run: &Run, tip: &Sha) -> Result<Checked, StepError> {
        let image = self.settings(job).image;
        let image_id = self.docker.image_id(&image).await.map_err(docker_error)?;
        let image_id = image_id.ok_or_else(|| docker_error(ContainerError::NoImage(image.clone())))?;
        let (network, hosts) = match job.file.checks_network.within(&self.config.container.checks_network) {
            ChecksNetwork::Nothing => (false, Vec::new()),
            ChecksNetwork::Everything => (true, Vec::new()),
            ChecksNetwork::Only(hosts) => (true, hosts),
        };
        let mut checked = Checked { tip: tip.clone(), image, image_id, network, hosts, results: Vec::new() };
        for (at, command) in job.file.checks.iter().enumerate() {
            // Boxed, as the others here: all of it in one future is too much for a thread's stack.
            let result = Box::pin(self.check_with(job, run, &checked, at, command)).await?;
            tracing::info!(command, end = ?result.end, "check ended");
            checked.results.push(result);
        }
        self.clear_checks(run).await?;
        Ok(checked)
    }

    /// Removes what checks leave with a run.
    pub(super) async fn clear_checks(&self, run: &Run) -> Result<(), StepError> {
        let folder = self.data.run(run.id).checks;
        blocking(move || around("disk", "checks-removal", || paths::remove_tree(&folder))).await??;
        Ok(())
    }

    /// Runs one check to its end.
    async fn check_with(
        &self,
        job: &Job,
        run: &Run,
        checked: &Checked,
        at: usize,
        command: &str,
    ) -> Result<CheckResult, StepError> {
        let place = Box::pin(self.make_place(job, run, checked)).await?;
        let spec = self.check_container(job, run, checked, (at, command), &place);
        let limits = AttachLimits {
            max_stdout_bytes: MAX_OUTPUT,
            max_stderr_bytes: 0,
            timeout: job.file.check_timeout(&self.config),
        };
        let mut tail = Tail::default();
        let began = Instant::now();
        // Docker knows nothing of leases: a worker that has lost the task starts nothing.
        self.store.still_holds(&job.task).await?;
        let ended = tokio::select! {
            ended = self.run_spec(job, run, checked, (&spec, limits), &mut tail) => Some(ended?),
            _ = self.until_too_much_disk(vec![place.workspace.clone(), place.home.clone()]) => None,
            () = self.stop.cancelled() => return Err(StepError::Stopping),
        };
        let (ended, refused) = ended.unzip();
        let refused = refused.unwrap_or_default();
        let end = match ended {
            Some(AttachedEnd::Exited(exit)) => CheckEnd::Exited(exit.code),
            Some(AttachedEnd::TimedOut) => CheckEnd::TimedOut,
            Some(AttachedEnd::TooMuchOutput) => CheckEnd::TookTooMuch,
            None => {
                // Before its folder goes, and anybody else who is about to remove it.
                self.docker.remove(&spec.name).await.map_err(docker_error)?;
                CheckEnd::TookTooMuch
            }
        };
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut output = tail.text(&self.secrets.redactor());
        // Programs say of this at most that a proxy said no.
        for one in &refused {
            output.push_str(&format!("\n[{}]", one.describe()));
        }
        Ok(CheckResult { command: command.to_owned(), end, duration_ms, output, refused })
    }

    /// Runs the container of one check: how it ended, and what it was not let at.
    async fn run_spec(
        &self,
        job: &Job,
        run: &Run,
        checked: &Checked,
        (spec, limits): (&ContainerSpec, AttachLimits),
        tail: &mut Tail,
    ) -> Result<(AttachedEnd, Vec<Refused>), StepError> {
        if checked.hosts.is_empty() {
            let ended = self.docker.run_attached(spec, tail, limits).await.map_err(docker_error)?;
            return Ok((ended.end, Vec::new()));
        }
        let fenced = Fenced { spec: spec.clone(), hosts: &checked.hosts, limits };
        let (ended, refused) = Box::pin(self.run_fenced(job, run, fenced, tail)).await?;
        Ok((ended.end, refused))
    }

    /// A checkout of the commit and an empty home.
    async fn make_place(&self, job: &Job, run: &Run, checked: &Checked) -> Result<Place, StepError> {
        self.clear_checks(run).await?;
        let paths = self.data.run(run.id);
        let place = Place { workspace: paths.checks.join("workspace"), home: paths.checks.join("home") };
        let (home, user) = (place.home.clone(), self.user);
        blocking(move || -> anyhow::Result<()> {
            make_private_folder(&paths.checks, None)?;
            make_private_folder(&home, Some(user))
        })
        .await??;
        let new = NewCheckout {
            folder: place.workspace.clone(),
            at: &checked.tip,
            // What hob has merged or made itself, and what is checked again, lies in the mirror.
            quarantine: Some(paths.quarantine).filter(|quarantine| quarantine.join("HEAD").exists()),
            image: checked.image_id.clone(),
        };
        Box::pin(self.check_out(job, run, new)).await?;
        Ok(place)
    }

    fn check_container(
        &self,
        job: &Job,
        run: &Run,
        checked: &Checked,
        (at, command): (usize, &str),
        place: &Place,
    ) -> ContainerSpec {
        let quarantine = self.data.run(run.id).quarantine.join("objects");
        let mounted = |path: &Path| path.to_string_lossy().into_owned();
        let own = [
            ("HOME", HOME.to_owned()),
            ("CI", "true".to_owned()),
            ("HOB_CHECK", command.to_owned()),
            ("GIT_LFS_SKIP_SMUDGE", "1".to_owned()),
        ];
        let setup = self.settings(job).setup.map(|setup| ("HOB_SETUP", setup));
        let configured = self.config.agent.env.iter().map(|(name, value)| (name.clone(), value.clone()));
        let env = own.into_iter().chain(setup).map(|(name, value)| (name.to_owned(), value));
        ContainerSpec {
            name: format!("{}-check-{}", run.container_name(), at + 1),
            image: checked.image_id.clone(),
            command: ["/bin/sh", "-c", ENTRY, "hob"].map(str::to_owned).to_vec(),
            env: configured.chain(env).collect(),
            labels: self.labels(job.story.id, run),
            mounts: vec![
                mount(&place.workspace, WORKSPACE, false),
                mount(&place.home, HOME, false),
                self.mirror_mount(&job.story),
                mount(&quarantine, &mounted(&quarantine), true),
            ],
            user: self.user,
            workdir: WORKSPACE.to_owned(),
            // A check that may reach some servers only gets a network of its own.
            network: if checked.network && checked.hosts.is_empty() { self.network() } else { Network::None },
            limits: self.limits(),
            log: Log::None,
        }
    }
}

/// The end of what is written to it, with enough before that to know the secrets in it.
#[derive(Debug, Default)]
struct Tail {
    kept: VecDeque<u8>,
    is_cut: bool,
}

impl Write for Tail {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        const MAX_KEPT: usize = TAIL + CONTEXT;
        let last = &bytes[bytes.len().saturating_sub(MAX_KEPT)..];
        self.kept.extend(last);
        let over = self.kept.len().saturating_sub(MAX_KEPT);
        self.kept.drain(..over);
        self.is_cut |= over > 0 || last.len() < bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Tail {
    /// As text without secrets, from the beginning of a line where something was cut off.
    fn text(self, secrets: &Redactor) -> String {
        let bytes: Vec<u8> = self.kept.into();
        let text = String::from_utf8_lossy(&bytes);
        let begin = text.len().saturating_sub(TAIL);
        let clean = secrets.redact_from(&text, begin);
        match clean.split_once('\n').filter(|_| self.is_cut || begin > 0) {
            Some((_, rest)) => format!("…\n{rest}"),
            None => clean,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_long_output_is_kept_from_the_beginning_of_a_line() {
        let none = Redactor::new([]);
        let mut tail = Tail::default();
        tail.write_all(b"short\n").unwrap();
        assert_eq!(tail.text(&none), "short\n");
        let mut tail = Tail::default();
        for line in 0..10_000 {
            tail.write_all(format!("line {line}\n").as_bytes()).unwrap();
        }
        let text = tail.text(&none);
        assert!(text.starts_with("…\nline ") && text.ends_with("line 9999\n"), "{}", &text[..40]);
        assert!(text.len() <= TAIL + 4);
        let mut tail = Tail::default();
        tail.write_all(&[b'x'; 3 * TAIL]).unwrap();
        assert_eq!(tail.text(&none).len(), TAIL);
    }

    #[test]
    fn no_part_of_a_secret_is_in_the_end_wherever_that_begins() {
        const KEY: &str = "sk-ant-0123456789-abcdefghij";
        let secrets = Redactor::new([KEY]);
        for after in (0..KEY.len() + 2).flat_map(|n| [TAIL - n, TAIL + CONTEXT - n]) {
            let mut tail = Tail::default();
            let (first, second) = KEY.split_at(12);
            let text = format!("{}\n> {first}\n> {second}{}", "y".repeat(5000), "x".repeat(after));
            text.as_bytes().chunks(700).for_each(|piece| tail.write_all(piece).unwrap());
            let text = tail.text(&secrets);
            assert!(text.ends_with('x') && !text.contains("sk-") && !text.contains("ghij"), "{after}");
        }
        let mut tail = Tail::default();
        for _ in 0..10_000 {
            tail.write_all(KEY.as_bytes()).unwrap();
        }
        let text = tail.text(&secrets);
        assert!(text.starts_with("[secret]") && !text.contains("ghij"), "{text}");
    }
}
