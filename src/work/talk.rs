//! Talking to an agent at work: its inbox, a file that only hob writes to and that a shell in the
//! container reads to the agent's standard input as it grows. The first line is the prompt, the
//! others are messages, and the last says that no more will come. What was written before a restart
//! of hob stands in the file and is not written again.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, lchown};
use std::path::Path;

use anyhow::Context as _;

use super::start::blocking;
use super::{Job, StepError, Worker};
use crate::agent;
use crate::fail_point::around;
use crate::ids::RunId;
use crate::prompt;
use crate::story::Run;
use crate::story::talk::{AgentInbox, InboxAction};

/// Where the shell in the container finds it.
pub(super) const INBOX: &str = "/run/hob/inbox";

/// The line after which the shell closes the agent's standard input.
pub(super) const END: &str = "end";

/// What one hob knows of the talk in a run.
#[derive(Debug, Default)]
pub(super) struct InboxProgress {
    /// The agent has come to the end of a turn, and was told nothing since.
    pub(super) is_answered: bool,
    is_over: bool,
}

impl Worker {
    /// Tells the agent what is to be told now, or that no more will come.
    pub(super) async fn talk(
        &self,
        job: &Job,
        run: &Run,
        talking: &mut InboxProgress,
    ) -> Result<(), StepError> {
        while run.agent.listens() && !talking.is_over {
            let wanted = self.store.messages_wanted(job.story.id).await?;
            let hearing = AgentInbox {
                is_ended: self.store.is_input_ended(run.id).await?,
                is_wanted: !wanted.is_empty(),
                is_answered: talking.is_answered,
            };
            match hearing.talk() {
                InboxAction::Wait => return Ok(()),
                InboxAction::Tell => {
                    for message in &wanted {
                        let id = message.id.to_string();
                        let text = prompt::message(&message.by, &message.text);
                        self.write_line(run.id, agent::input(&id, &text), id).await?;
                        self.store.message_told(&job.task, run.id, message).await?;
                        talking.is_answered = false;
                        tracing::info!(message = %message.id, by = message.by, "message sent to the agent");
                    }
                }
                // Something was said at this moment: it is told first.
                InboxAction::End if !hearing.is_ended && !self.store.end_input(&job.task, run.id).await? => {}
                InboxAction::End => {
                    self.write_line(run.id, END.to_owned(), END.to_owned()).await?;
                    talking.is_over = true;
                }
            }
        }
        Ok(())
    }

    async fn write_line(&self, run: RunId, line: String, mark: String) -> Result<(), StepError> {
        let inbox = self.data.run(run).inbox;
        Ok(blocking(move || around("disk", "inbox", || append(&inbox, &line, &mark))).await??)
    }
}

/// Makes the inbox with the prompt in it, for the agent's user to read.
pub(super) fn make_inbox(
    inbox: &Path,
    prompt: &str,
    id: RunId,
    (uid, gid): (u32, u32),
) -> anyhow::Result<()> {
    let mut open = std::fs::OpenOptions::new();
    let mut file = open
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(inbox)
        .context("creating the agent's inbox")?;
    let line = agent::input(&id.to_string(), prompt);
    file.write_all(format!("{line}\n").as_bytes()).context("writing the agent's inbox")?;
    lchown(inbox, Some(uid), Some(gid)).context("giving the inbox to the agent")
}

/// Adds a line, unless one with its mark is there: a hob that died may have written it.
fn append(inbox: &Path, line: &str, mark: &str) -> anyhow::Result<()> {
    let is_there = std::fs::read_to_string(inbox)
        .context("reading the agent's inbox")?
        .lines()
        .any(|line| line == mark || line.contains(&format!("\"uuid\":\"{mark}\"")));
    if is_there {
        return Ok(());
    }
    let mut file =
        std::fs::OpenOptions::new().append(true).open(inbox).context("opening the agent's inbox")?;
    // In one call, so that the reader never sees half of it after a kill.
    file.write_all(format!("{line}\n").as_bytes()).context("writing to the agent's inbox")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_written_once_however_often_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = folder.path().join("inbox.jsonl");
        let user = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
        make_inbox(&inbox, "do it\n\"end\"", RunId::new(), user).unwrap();
        for _ in 0..2 {
            append(&inbox, &agent::input("1", "also this\nend"), "1").unwrap();
        }
        append(&inbox, END, END).unwrap();
        append(&inbox, END, END).unwrap();
        let lines: Vec<String> =
            std::fs::read_to_string(&inbox).unwrap().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[1].contains(r#"also this\nend"#) && lines[2] == END);
    }
}
