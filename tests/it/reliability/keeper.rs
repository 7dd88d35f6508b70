//! Keeps hob running as systemd would: starts the real program again whenever it has been killed.
//! The first lives can be given a place to die at.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::time::Duration;

use hob::config::Config;
use nix::sys::signal::Signal;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::world::hob::Program;
use crate::world::{SECRET, World, github::GitHub};

/// Variables of one life's environment.
pub type Life = Vec<(String, String)>;

/// What the keeper is told to do.
enum Order {
    /// SIGTERM, and no further life.
    Stop,
    /// SIGKILL, and another life.
    Kill,
    /// SIGSTOP for this long, then SIGCONT.
    Freeze(Duration),
    /// It has stopped itself at a place it was told: SIGCONT, when its leases are long over.
    Thaw,
}

/// How it went.
#[derive(Debug, Default)]
pub struct Kept {
    /// How often hob was started.
    pub lives: usize,
    /// How often it was killed.
    pub killed: usize,
    /// How often it had stopped at a place that it was told, and was let go on.
    pub thawed: usize,
    /// Ends that nobody wanted: hob has to live with whatever is done to it.
    pub unwanted: Vec<String>,
    /// Ends that nobody wanted, before hob listened. Where Docker or the disk is away at a start,
    /// an init system tries again.
    pub failed_starts: Vec<String>,
    /// The exit code of the stop.
    pub exit_code: Option<i32>,
}

/// The way to a keeper.
pub struct Keeper {
    orders: mpsc::UnboundedSender<Order>,
    running: JoinHandle<Kept>,
}

impl Keeper {
    /// Starts hob with the first life's variables and keeps it running; when `lives` are used up,
    /// further ones are plain, with `always`. Returns when hob first listens, or has died before.
    pub async fn start(w: &World, lives: Vec<Life>, always: Life) -> Keeper {
        let (orders, receiver) = mpsc::unbounded_channel();
        let (up, is_up) = oneshot::channel();
        let keeping = Keeping {
            github: w.github.clone(),
            folder: w.folder().to_owned(),
            config: w.config.clone(),
            is_app: w.is_app(),
            lives: lives.into(),
            always,
            up: Some(up),
            kept: Kept::default(),
        };
        let running = tokio::spawn(keeping.run(receiver));
        let _ = is_up.await;
        Keeper { orders, running }
    }

    /// SIGKILL; hob is started again.
    pub fn kill(&self) {
        let _ = self.orders.send(Order::Kill);
    }

    /// SIGSTOP for a while.
    pub fn freeze(&self, time: Duration) {
        let _ = self.orders.send(Order::Freeze(time));
    }

    /// SIGTERM, and the account of all lives.
    pub async fn stop(self) -> Kept {
        let _ = self.orders.send(Order::Stop);
        self.running.await.expect("the keeper does not panic")
    }
}

struct Keeping {
    github: GitHub,
    folder: PathBuf,
    config: Config,
    is_app: bool,
    lives: VecDeque<Life>,
    always: Life,
    up: Option<oneshot::Sender<()>>,
    kept: Kept,
}

impl Keeping {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) -> Kept {
        loop {
            let mut life = self.lives.pop_front().unwrap_or_default();
            life.extend(self.always.iter().cloned());
            self.kept.lives += 1;
            let mut program = match Program::try_start(&self.folder, &self.config, &life).await {
                Ok(program) => program,
                Err(status) => {
                    if status.signal() == Some(Signal::SIGKILL as i32) {
                        self.kept.killed += 1;
                    } else {
                        self.kept.failed_starts.push(status.to_string());
                    }
                    self.say_up();
                    // Anyone who has nothing to wait for any more; one that is down cannot be
                    // killed or frozen.
                    if matches!(orders.try_recv(), Ok(Order::Stop) | Err(TryRecvError::Disconnected)) {
                        return self.kept;
                    }
                    // As an init system does.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
            };
            if self.is_app {
                self.github.send_app_webhooks_to(&program.webhook(), SECRET);
            } else {
                self.github.send_webhooks_to(&program.webhook(), SECRET);
            }
            self.say_up();
            loop {
                let order = tokio::select! {
                    order = orders.recv() => order,
                    () = stopped_by_itself(program.pid()) => Some(Order::Thaw),
                    ended = program.wait() => {
                        self.note_end(ended);
                        break;
                    }
                };
                match order {
                    Some(Order::Kill) => program.signal(Signal::SIGKILL),
                    Some(Order::Freeze(time)) => {
                        program.signal(Signal::SIGSTOP);
                        tokio::time::sleep(time).await;
                        program.signal(Signal::SIGCONT);
                    }
                    Some(Order::Thaw) => {
                        tokio::time::sleep(self.config.work.lease * 2).await;
                        program.signal(Signal::SIGCONT);
                        self.kept.thawed += 1;
                    }
                    Some(Order::Stop) | None => {
                        self.kept.exit_code = program.terminate().await;
                        return self.kept;
                    }
                }
            }
        }
    }

    fn note_end(&mut self, (code, signal): (Option<i32>, Option<i32>)) {
        if signal == Some(Signal::SIGKILL as i32) {
            self.kept.killed += 1;
        } else {
            self.kept.unwanted.push(format!("exit code {code:?}, signal {signal:?}"));
        }
    }

    fn say_up(&mut self) {
        if let Some(up) = self.up.take() {
            let _ = up.send(());
        }
    }
}

/// Waits until a process is stopped, as SIGSTOP does it.
async fn stopped_by_itself(pid: u32) {
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // After the program's name, which is in parentheses, comes the state.
        if stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')) {
            return;
        }
    }
}
