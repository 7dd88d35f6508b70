//! A disk of its own for a data folder: small, so that it can be full, and to be made read-only or
//! broken. Needs root; who is not root is told loudly that the test did not run.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A mounted file system. Unmounted with this value.
pub struct Disk {
    folder: tempfile::TempDir,
    image: Option<tempfile::NamedTempFile>,
}

impl Disk {
    /// A tmpfs of so many MiB.
    pub fn tmpfs(mib: u32) -> Option<Disk> {
        let disk = Disk::unmounted()?;
        let size = format!("size={mib}m");
        run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", disk.root()]);
        Some(disk)
    }

    /// An ext4 of so many MiB, which turns read-only at its first error, as distributions set it
    /// up.
    pub fn ext4(mib: u64) -> Option<Disk> {
        let mut disk = Disk::unmounted()?;
        let image = tempfile::NamedTempFile::new().expect("an image");
        image.as_file().set_len(mib << 20).expect("an image");
        run("mkfs.ext4", &["-q", path(image.path())]);
        disk.image = Some(image);
        disk.mount_ext4();
        Some(disk)
    }

    fn unmounted() -> Option<Disk> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("*** SKIPPED: only root can mount a disk for this test ***");
            return None;
        }
        Some(Disk { folder: tempfile::tempdir().expect("a folder"), image: None })
    }

    fn mount_ext4(&self) {
        let image = self.image.as_ref().expect("an ext4").path();
        run("mount", &["-o", "loop,errors=remount-ro", path(image), self.root()]);
    }

    fn root(&self) -> &str {
        path(self.folder.path())
    }

    /// A folder on it.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Takes all space that is left, to the last page.
    pub fn fill(&self) {
        let mut ballast = std::fs::OpenOptions::new();
        let mut ballast = ballast.create(true).append(true).open(self.ballast()).expect("a file");
        for piece in [1 << 16, 1 << 12, 1] {
            while ballast.write_all(&vec![b'x'; piece]).is_ok() {}
        }
    }

    /// Gives it back.
    pub fn make_room(&self) {
        std::fs::remove_file(self.ballast()).expect("the ballast is there");
    }

    fn ballast(&self) -> PathBuf {
        self.folder.path().join("ballast")
    }

    /// Makes it read-only, or no longer. Nobody may have a file open for writing.
    pub fn remount(&self, how: &str) {
        run("mount", &["-o", &format!("remount,{how}"), self.root()]);
    }

    /// Reports an error of the disk to the kernel, which makes the file system read-only under
    /// everybody's hands.
    pub fn break_ext4(&self) {
        std::fs::write(self.in_kernel().join("trigger_fs_error"), "1").expect("an ext4 in the kernel");
    }

    /// Where the kernel shows what it knows of a mounted ext4.
    fn in_kernel(&self) -> PathBuf {
        let source = Command::new("findmnt").args(["-n", "-o", "SOURCE", self.root()]).output();
        let source = String::from_utf8(source.expect("findmnt").stdout).expect("text");
        Path::new("/sys/fs/ext4").join(source.trim().strip_prefix("/dev/").expect("a device"))
    }

    /// Repairs it and mounts it again.
    pub fn repair_ext4(&self) {
        let in_kernel = self.in_kernel();
        run("umount", &[self.root()]);
        // A container that is just being started elsewhere holds the mount for a moment longer, and
        // with it the error.
        let began = Instant::now();
        while in_kernel.exists() {
            assert!(began.elapsed() < Duration::from_secs(60), "the disk is still mounted somewhere");
            std::thread::sleep(Duration::from_millis(50));
        }
        // Exit code 1 says that there was something to repair.
        let image = path(self.image.as_ref().expect("an ext4").path());
        let repaired = Command::new("e2fsck").args(["-f", "-y", image]).output().expect("e2fsck");
        assert!(repaired.status.code().is_some_and(|code| code <= 1), "{repaired:?}");
        self.mount_ext4();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["--lazy", self.root()]).status();
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
