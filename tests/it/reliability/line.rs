//! A line to the Docker daemon that can be cut: a socket that hands everything on to the real one.
//! A cut closes what is open and refuses what is new, as a daemon that is being restarted does; the
//! containers go on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;

use crate::world::docker_address;

/// The line.
pub struct Line {
    path: PathBuf,
    cut: Arc<AtomicBool>,
    hang_up: Arc<Notify>,
}

impl Line {
    /// Lays a line whose near end lies in a folder.
    pub fn lay(folder: &Path) -> Line {
        let path = folder.join("docker.sock");
        let listener = UnixListener::bind(&path).expect("a socket");
        let (cut, hang_up) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
        let far = docker_address();
        let far = PathBuf::from(far.strip_prefix("unix://").expect("a daemon on a socket of this machine"));
        let (is_cut, hung_up) = (cut.clone(), hang_up.clone());
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                if is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                let (far, hung_up) = (far.clone(), hung_up.clone());
                tokio::spawn(async move {
                    let Ok(mut far) = UnixStream::connect(far).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        () = hung_up.notified() => {}
                    }
                });
            }
        });
        Line { path, cut, hang_up }
    }

    /// The address of the near end.
    pub fn address(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// Cuts it for a while.
    pub async fn cut(&self, time: Duration) {
        self.cut.store(true, Ordering::SeqCst);
        self.hang_up.notify_waiters();
        tokio::time::sleep(time).await;
        self.cut.store(false, Ordering::SeqCst);
    }
}
