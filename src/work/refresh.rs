//! Before a run in a workspace that is not fresh: commits that people have pushed to the story
//! branch are brought in, and the files by which a repository configures agents are put back to
//! what the base branch has, where they may not be otherwise (`agent_files.rs`). Without that, an
//! agent could plant a hook for the next run, or somebody could push one. Both happen in a
//! container, without network and keys, since the workspace's `.git` is the agent's; where there is
//! nothing to do, none is started.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context as _;

use super::agent_files::{self, SETTINGS};
use super::concurrent_push::moved;
use super::start::{WORKSPACE, blocking, docker_error, mount, remote_error};
use super::{Job, StepError, Worker};
use crate::container::{AttachLimits, AttachedEnd, ContainerSpec, Log, Network};
use crate::git::{Mirror, RemoteError};
use crate::ids::Sha;
use crate::message::{self, Detail};
use crate::paths;
use crate::prompt::{Merged, WorkspaceChanges};
use crate::story::{Outcome, Run, Story};

/// Where the base branch's settings are in the container, and the list of what others have put on
/// the story branch.
const TRUSTED: &str = "/run/hob/settings";
/// The parts of that folder.
const FILES: &str = "files";
const PUT_BY_OTHERS: &str = "put-by-others";

/// Arguments: the commit to bring in, or `-`, then the paths of the settings. Prints how the merge
/// went and the settings that were put back. A tracked file that is put back is marked so that git
/// does not take the difference for a change of the agent's, and what was in its place is kept.
/// Files are compared and copied by no program of git's, so that nothing planted in its
/// configuration can have a say in it.
const SCRIPT: &str = r#"
export HOME=/tmp GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0 GIT_LFS_SKIP_SMUDGE=1
git() { command git -c core.hooksPath=/dev/null -c core.fsmonitor=false "$@"; }
theirs=$1; shift
# Nothing else runs here: what holds a lock was ended with an earlier container.
git_dir=$(git rev-parse --git-dir) && find "$git_dir" -name objects -prune -o -name '*.lock' -type f -exec rm -f -- {} +
for name do
  git ls-files -v -- "$name" | sed -n 's/^S //p' | while IFS= read -r file; do
    git update-index --no-skip-worktree -- "$file" && git checkout-index --force -- "$file"
  done
done
merged=none
if [ "$theirs" != - ] && ! git merge-base --is-ancestor "$theirs" HEAD; then
  if git merge --quiet --no-edit "$theirs" >&2; then merged=done
  elif [ -n "$(git ls-files --unmerged)" ]; then merged=conflict
  else merged=refused; fi
fi
printf 'hob-refresh 1\nmerged %s\n' "$merged"
for name do
  [ -e "$name" ] || [ -L "$name" ] || continue
  find "$name" ! -type d -exec sh -c '
    is_text() {
      case $1 in
        CLAUDE.md|CLAUDE.local.md|GEMINI.md|AGENTS.md) ;;
        .claude/skills/*|.codex/skills/*|.gemini/skills/*|.opencode/skills/*) ;;
        .claude/*.md|.codex/*.md|.gemini/*.md|.opencode/*.md) ;;
        .claude|.claude/*|.codex|.codex/*|.gemini|.gemini/*|.opencode|.opencode/*|.husky|.husky/*) return 1 ;;
        .claude.json|.mcp.json|opencode.json|opencode.jsonc|.gitmodules|.ripgreprc) return 1 ;;
      esac
    }
    is_same() {
      if [ -L "$1" ] || [ -L "$2" ]; then
        [ -L "$1" ] && [ -L "$2" ] && [ "$(readlink -- "$1")" = "$(readlink -- "$2")" ]
        return
      fi
      [ -f "$1" ] && [ -f "$2" ] || return 1
      cmp -s -- "$1" "$2" || [ "$(tr -d "\r" <"$1" | cksum)" = "$(tr -d "\r" <"$2" | cksum)" ]
    }
    kept=$0
    for file do
      trusted=/run/hob/settings/files/$file
      if is_same "$file" "$trusted"; then continue; fi
      if is_text "$file" && ! grep -qxF -e "$file" /run/hob/settings/put-by-others; then continue; fi
      git ls-files --error-unmatch -- "$file" >/dev/null 2>&1 && git update-index --skip-worktree -- "$file"
      if [ -f "$file" ] && [ ! -L "$file" ]; then
        mkdir -p -- "$kept/$(dirname -- "$file")" && cp -p -- "$file" "$kept/$file"
      fi
      rm -f -- "$file"
      if [ -e "$trusted" ] || [ -L "$trusted" ]; then cp -RpP -- "$trusted" "$file"; fi
      printf "restored %s\n" "$file"
    done' "$git_dir/hob" {} +
done
echo end
"#;

/// More output than this is not read: a name a line, and few names.
const MAX_OUTPUT: u64 = 64 * 1024;
/// As much of git's complaints as the log needs.
const MAX_STDERR: usize = 16 * 1024;
/// More names than this are not told to the agent.
const MAX_NAMES: usize = 20;

impl Worker {
    /// Brings a kept workspace up to date. Gives back what the agent has to be told, and the commit
    /// that the story branch on the remote is at. Where a task goes on in it, commits that people
    /// have taken off the branch meanwhile are not brought back with what comes of that; a new task
    /// is what brings them back.
    pub(super) async fn refresh(
        &self,
        job: &Job,
        run: &Run,
        kept: WorkspaceState,
    ) -> Result<(WorkspaceChanges, Option<Sha>), StepError> {
        let story = &job.story;
        let path = self.data.mirror(&story.mirror);
        let (branch, base_branch, id) = (story.branch.clone(), story.base_branch.clone(), story.id);
        let (known, start) = (story.remote_head.clone(), story.base.clone());
        let root = story.root_on_base().cloned();
        let settings = self.data.story(id).settings;
        // What is on somebody else's branch is nobody's of the story's own, no matter who committed
        // it.
        let own = if story.is_adopted() { String::new() } else { self.config.git.author_email.clone() };
        let goes_on = kept == WorkspaceState::GoesOn;
        let there = settings.clone();
        let found = blocking(move || {
            // Fetched a moment ago.
            let mirror = Mirror::ensure(&path).map_err(RemoteError::Other)?;
            let head = mirror.branch(&branch).map_err(RemoteError::Other)?;
            let took_back = match (&head, known.as_ref().filter(|_| goes_on)) {
                // What the mirror does not have any more is on no branch.
                (Some(head), Some(known)) if !mirror.holds(head, known).unwrap_or(false) => {
                    Some(message::theirs_took_back())
                }
                (None, Some(_)) => Some(message::theirs_removed()),
                _ => None,
            };
            if let Some(detail) = took_back {
                return Ok(Err(detail));
            }
            if let Some(new) = head.as_ref().filter(|head| known.as_ref() != Some(head)) {
                mirror.pin(id, new).map_err(RemoteError::Other)?;
            }
            let base = mirror.branch(&base_branch).map_err(RemoteError::Other)?;
            let trusted = Trusted::write(&mirror, (base.as_ref(), head.as_ref()), &own, &there);
            let trusted = trusted.map_err(RemoteError::Other)?;
            let base_moved = moved_base(&mirror, head.as_ref().or(start.as_ref()), root.as_ref(), base);
            if let Some(base) = &base_moved {
                // The agent may merge it, and then borrows from it.
                mirror.pin(id, base).map_err(RemoteError::Other)?;
            }
            Ok::<_, RemoteError>(Ok((head, base_moved, trusted)))
        });
        let (head, base_moved, trusted) = found.await?.map_err(remote_error)?.map_err(moved)?;
        let theirs = head.clone().filter(|head| story.remote_head.as_ref() != Some(head));
        let is_clean =
            theirs.is_none() && (kept == WorkspaceState::Not || self.has_ended_by_itself(job).await?);
        let news = match is_clean && self.has_nothing_to_put_back(job, &trusted).await? {
            true => WorkspaceChanges {
                commit: None,
                merged: Merged::Done,
                restored: Vec::new(),
                base_moved: None,
            },
            false => {
                Box::pin(self.refresh_inside(job, run, theirs.as_ref(), &settings, &trusted.paths)).await?
            }
        };
        Ok((WorkspaceChanges { base_moved, ..news }, head))
    }

    /// Whether the last run in a story's workspace was ended by nobody. One that was may have left
    /// locks of git's.
    async fn has_ended_by_itself(&self, job: &Job) -> Result<bool, StepError> {
        let last = self.store.last_started_run(job.story.id).await?;
        let outcome = last.and_then(|(_, run)| run.end).map(|end| end.outcome);
        Ok(matches!(outcome, Some(Outcome::Completed { .. } | Outcome::Blocked { .. })))
    }

    async fn has_nothing_to_put_back(&self, job: &Job, trusted: &Trusted) -> Result<bool, StepError> {
        let paths = self.data.story(job.story.id);
        let (workspace, files) = (paths.workspace, paths.settings.join(FILES));
        let trusted = trusted.clone();
        let looked = blocking(move || {
            agent_files::are_as_they_may_be(&workspace, &files, &trusted.paths, &trusted.put_by_others)
        });
        Ok(looked.await?.unwrap_or(false))
    }

    async fn refresh_inside(
        &self,
        job: &Job,
        run: &Run,
        theirs: Option<&Sha>,
        settings: &Path,
        paths: &[String],
    ) -> Result<WorkspaceChanges, StepError> {
        let mut command: Vec<String> = ["/bin/sh", "-c", SCRIPT, "hob"].map(str::to_owned).to_vec();
        command.push(theirs.map_or("-", Sha::as_str).to_owned());
        command.extend_from_slice(paths);
        let spec = ContainerSpec {
            name: format!("{}-refresh", run.container_name()),
            image: self.settings_for(job, run.agent).image,
            command,
            env: self.author_environment(),
            labels: self.labels(job.story.id, run),
            mounts: vec![
                mount(&self.data.story(job.story.id).workspace, WORKSPACE, false),
                mount(settings, TRUSTED, true),
                self.mirror_mount(&job.story),
            ],
            user: self.user,
            workdir: WORKSPACE.to_owned(),
            network: Network::None,
            limits: self.limits(),
            log: Log::None,
        };
        let limits = AttachLimits {
            max_stdout_bytes: MAX_OUTPUT,
            max_stderr_bytes: MAX_STDERR,
            timeout: self.config.container.hand_over_timeout,
        };
        let mut output = Vec::new();
        let attached = self.docker.run_attached(&spec, &mut output, limits).await.map_err(docker_error)?;
        let complaints = String::from_utf8_lossy(&attached.stderr);
        let read = match &attached.end {
            AttachedEnd::Exited(exit) if exit.code == 0 => read_news(&output, theirs),
            _ => None,
        };
        let Some(news) = read else {
            tracing::warn!(end = ?attached.end, %complaints, "updating the workspace failed");
            return Err(super::export::refused(Detail::NotRefreshed));
        };
        if theirs.is_some() || !news.restored.is_empty() {
            tracing::info!(?news, %complaints, "workspace updated");
        }
        Ok(news)
    }

    /// Records what a refresh found, once its run is about to start: the agent's work must build on
    /// what people have pushed.
    pub(super) async fn record_refresh(
        &self,
        job: &Job,
        news: &WorkspaceChanges,
        head: Option<Sha>,
    ) -> Result<Story, StepError> {
        let mut story = job.story.clone();
        let base = news.commit.clone().or(story.base.clone()).context("loading the workspace's base")?;
        let change = crate::store::StoryUpdate {
            base: Some((base.clone(), head.clone())),
            ..crate::store::StoryUpdate::default()
        };
        self.store.change_story(&job.task, &change).await?;
        (story.base, story.remote_head) = (Some(base), head);
        Ok(story)
    }
}

/// The base branch's commit, where the story's does not have it. A base that was rewritten, so that
/// it does not have what the work builds on (`root`), is not offered: merged, it would bring back
/// what people took off it. Nor is what cannot be compared.
fn moved_base(mirror: &Mirror, story: Option<&Sha>, root: Option<&Sha>, base: Option<Sha>) -> Option<Sha> {
    let (story, base) = (story?, base?);
    let is_rewritten = root.is_some_and(|root| !mirror.holds(&base, root).unwrap_or(false));
    (!is_rewritten && !mirror.holds(story, &base).unwrap_or(true)).then_some(base)
}

/// What there is of a workspace that a run begins in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WorkspaceState {
    /// Nothing but the story branch: hob has just made it.
    Not,
    /// An earlier task has left it.
    FromBefore,
    /// The task goes on in it.
    GoesOn,
}

/// What the files that configure agents may be.
#[derive(Debug, Clone)]
struct Trusted {
    /// Where such files lie.
    paths: Vec<String>,
    /// Those on the story branch that neither the base nor hob has put there.
    put_by_others: BTreeSet<String>,
}

impl Trusted {
    /// Writes what the base has of them into a folder, and the list beside it.
    fn write(
        mirror: &Mirror,
        (base, head): (Option<&Sha>, Option<&Sha>),
        own: &str,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        paths::remove_tree(folder)?;
        let files = folder.join(FILES);
        std::fs::create_dir_all(&files).context("creating the folder for settings")?;
        let paths = match base {
            Some(base) => mirror.export(base, SETTINGS, &files)?,
            None => SETTINGS.iter().map(|name| (*name).to_owned()).collect(),
        };
        let put_by_others = match (base, head) {
            (Some(base), Some(head)) => mirror.put_by_others(head, base, &paths, own)?,
            _ => Vec::new(),
        };
        let mut list = put_by_others.join("\n");
        list.push('\n');
        std::fs::write(folder.join(PUT_BY_OTHERS), list).context("writing the list of settings")?;
        Ok(Self { paths, put_by_others: put_by_others.into_iter().collect() })
    }
}

/// What the script printed, if it is what the script prints.
fn read_news(output: &[u8], theirs: Option<&Sha>) -> Option<WorkspaceChanges> {
    let text = String::from_utf8_lossy(output);
    let mut lines = text.lines();
    if lines.next()? != "hob-refresh 1" {
        return None;
    }
    let merged = match lines.next()?.strip_prefix("merged ")? {
        "none" | "done" => Merged::Done,
        "conflict" => Merged::Conflict,
        "refused" => Merged::Refused,
        _ => return None,
    };
    let mut news =
        WorkspaceChanges { commit: theirs.cloned(), merged, restored: Vec::new(), base_moved: None };
    for line in lines {
        match line.strip_prefix("restored ") {
            Some(name) if news.restored.len() < MAX_NAMES => news.restored.push(name.to_owned()),
            Some(_) => {}
            None if line == "end" => return Some(news),
            None => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_script_prints_is_believed() {
        let theirs: Sha = "a".repeat(40).parse().unwrap();
        let news =
            read_news(b"hob-refresh 1\nmerged conflict\nrestored .mcp.json\nend\n", Some(&theirs)).unwrap();
        assert_eq!(
            (news.merged, news.restored.as_slice()),
            (Merged::Conflict, &[".mcp.json".to_owned()][..])
        );
        assert_eq!(news.commit, Some(theirs));
        for output in ["", "pwned\n", "hob-refresh 1\nmerged yes\nend\n", "hob-refresh 1\nmerged none\n"] {
            assert_eq!(read_news(output.as_bytes(), None), None, "{output:?}");
        }
    }
}
