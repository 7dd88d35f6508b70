//! hob's own program as a folder that any Linux image can run it from: the program, the libraries
//! that it has loaded, and the loader. A process of hob's own does this (`hob lay-out-proxy`, the
//! folder on standard input): what it has loaded itself is what is needed.

use std::collections::BTreeSet;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The command of hob's program that lays itself out. For hob alone.
pub const COMMAND: &str = "lay-out-proxy";
/// The program in that folder.
pub const PROGRAM: &str = "hob";
const LOADER: &str = "loader";
const LIBRARIES: &str = "lib";

/// Copies this program and what it has loaded into a folder that is not there yet.
pub fn run() -> anyhow::Result<()> {
    lay_out(Path::new(std::io::read_to_string(std::io::stdin())?.trim()))
}

fn lay_out(folder: &Path) -> anyhow::Result<()> {
    let make = |path: &Path| {
        std::fs::DirBuilder::new()
            .mode(0o755)
            .create(path)
            .with_context(|| format!("making {}", path.display()))
    };
    make(folder)?;
    make(&folder.join(LIBRARIES))?;
    // Older C libraries load what finds names when it is first needed.
    let _ = std::net::ToSocketAddrs::to_socket_addrs("localhost:1");
    let maps = std::fs::read_to_string("/proc/self/maps").context("reading the memory map")?;
    for library in libraries(&maps) {
        let name = library.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let target = if is_loader(&name) { folder.join(LOADER) } else { folder.join(LIBRARIES).join(name) };
        copy(&library, &target)?;
    }
    copy(Path::new("/proc/self/exe"), &folder.join(PROGRAM))
}

/// How the program is started from such a folder, seen at `at` in a container.
pub fn start_line(folder: &Path, at: &str) -> Vec<String> {
    let program = format!("{at}/{PROGRAM}");
    if folder.join(LOADER).exists() {
        vec![format!("{at}/{LOADER}"), "--library-path".to_owned(), format!("{at}/{LIBRARIES}"), program]
    } else {
        vec![program]
    }
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::copy(from, to).with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// The shared libraries among what is mapped into a process, the loader among them.
fn libraries(maps: &str) -> BTreeSet<PathBuf> {
    let paths = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..]));
    let is_library = |path: &&str| path.rsplit('/').next().is_some_and(|name| name.contains(".so"));
    paths.filter(is_library).map(PathBuf::from).collect()
}

fn is_loader(name: &str) -> bool {
    name.starts_with("ld-") || name.starts_with("ld.so")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_loaded_is_read_off_the_maps() {
        let maps = "55d0-55d1 r--p 00000000 08:01 11 /usr/local/bin/hob\n\
                    7f00-7f01 r-xp 00000000 08:01 12 /usr/lib/x86_64-linux-gnu/libc.so.6\n\
                    7f01-7f02 r--p 00000000 08:01 12 /usr/lib/x86_64-linux-gnu/libc.so.6\n\
                    7f03-7f04 r--p 00000000 08:01 13 /usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2\n\
                    7f05-7f06 rw-p 00000000 00:00 0\n7f07-7f08 r-xp 00000000 00:00 0 [vdso]\n";
        let found: Vec<_> = libraries(maps).into_iter().map(|path| path.display().to_string()).collect();
        assert_eq!(
            found,
            ["/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "/usr/lib/x86_64-linux-gnu/libc.so.6"]
        );
        assert!(is_loader("ld-linux-aarch64.so.1") && !is_loader("libld.so"));
    }

    #[test]
    fn a_program_without_libraries_is_started_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(start_line(folder.path(), "/p"), ["/p/hob"]);
        std::fs::write(folder.path().join(LOADER), "").unwrap();
        assert_eq!(start_line(folder.path(), "/p"), ["/p/loader", "--library-path", "/p/lib", "/p/hob"]);
    }
}
