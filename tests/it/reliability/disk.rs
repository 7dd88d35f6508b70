//! The disk of a data folder, small enough to be filled. Needs root, for it is mounted; without root a schedule goes without it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A file system in memory, unmounted when this goes.
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts one; nothing where that is not allowed.
    pub fn mount(at: &Path, megabytes: u32) -> Option<SmallDisk> {
        std::fs::create_dir_all(at).expect("a folder");
        let size = format!("size={megabytes}m,mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        is_mounted.then(|| SmallDisk { at: at.to_owned() })
    }

    /// Fills it to the last byte for a while.
    pub async fn fill(&self, time: Duration) {
        let file = self.at.join("ballast");
        // Ends when there is no room left; a write that did not fit is what is wanted.
        let _ = std::fs::write(&file, vec![b'x'; 1 << 20]);
        if let Ok(mut ballast) = std::fs::OpenOptions::new().append(true).open(&file) {
            use std::io::Write as _;
            for piece in [1 << 20, 1 << 12, 1] {
                while ballast.write_all(&vec![b'x'; piece]).is_ok() {}
            }
        }
        tokio::time::sleep(time).await;
        let _ = std::fs::remove_file(&file);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).output();
    }
}
