//! What is wrong when the store does not do as it is told: something that may pass, so that a loop
//! waits and tries again, or something that will not, so that hob ends and says what the operator
//! can do.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Store;

/// How long a loop waits before it turns to a store that was in trouble again.
const PAUSE: Duration = Duration::from_secs(2);

/// SQLite's primary result codes, from <https://sqlite.org/rescode.html>.
const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const READ_ONLY: u32 = 8;
const IO_ERROR: u32 = 10;
const CORRUPT: u32 = 11;
const FULL: u32 = 13;
const CANNOT_OPEN: u32 = 14;
const NOT_A_DATABASE: u32 = 26;

/// What SQLite finds wrong with a file that it looked through.
#[derive(Debug, thiserror::Error)]
#[error("SQLite reports: {0}")]
pub(super) struct Damaged(pub(super) String);

/// A fault of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// Another process holds the file's lock.
    Busy,
    /// There is no room left.
    Full,
    /// The disk did not do a read or a write.
    Disk,
    /// The file, or its disk, cannot be written.
    ReadOnly,
    /// The file is damaged, or no database.
    Corrupt,
}

impl StoreFault {
    /// The fault behind an error, if the store or its disk is behind it.
    pub fn of(error: &anyhow::Error) -> Option<StoreFault> {
        error.chain().find_map(|cause| {
            if cause.is::<Damaged>() {
                return Some(Self::Corrupt);
            }
            match cause.downcast_ref::<io::Error>() {
                Some(error) => Self::of_disk(error),
                None => Self::of_sqlite(cause.downcast_ref()?),
            }
        })
    }

    /// The same for a store whose file is known. Of a disk that was made read-only under an open
    /// file SQLite says no more than that it does not write.
    pub(super) fn at(error: &anyhow::Error, file: &Path) -> Option<StoreFault> {
        match Self::of(error)? {
            Self::Disk if cannot_write_beside(file) => Some(Self::ReadOnly),
            fault => Some(fault),
        }
    }

    fn of_disk(error: &io::Error) -> Option<StoreFault> {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(Self::Full),
            io::ErrorKind::ReadOnlyFilesystem => Some(Self::ReadOnly),
            _ => None,
        }
    }

    fn of_sqlite(error: &sqlx::Error) -> Option<StoreFault> {
        let database = match error {
            sqlx::Error::PoolTimedOut => return Some(Self::Busy),
            sqlx::Error::Database(database) => database,
            _ => return None,
        };
        let code: u32 = database.code()?.parse().ok()?;
        // The lower byte is the primary code; the rest says more than hob needs.
        match code & 0xff {
            BUSY | LOCKED => Some(Self::Busy),
            FULL => Some(Self::Full),
            IO_ERROR | CANNOT_OPEN => Some(Self::Disk),
            READ_ONLY => Some(Self::ReadOnly),
            CORRUPT | NOT_A_DATABASE => Some(Self::Corrupt),
            _ => None,
        }
    }

    /// Whether waiting may help.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Busy | Self::Full | Self::Disk)
    }

    /// What happened and what the operator can do.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Busy => {
                "another process holds the store's lock; hob retries. `fuser hob.db` shows which process"
            }
            Self::Full => {
                "the disk of the data folder is full; no partial data was written, and hob continues as soon as there is \
                space"
            }
            Self::Disk => {
                "reading or writing the disk of the data folder fails; no partial data was written, and hob retries. \
                Check the system log"
            }
            Self::ReadOnly => {
                "the store cannot be written; check the permissions of the data folder and whether its disk is mounted \
                read-only, then restart hob. No partial data was written"
            }
            Self::Corrupt => {
                "the store's file is damaged. Stop hob, keep a copy of hob.db with its -wal and -shm files, restore the \
                last `hob backup` in its place, and start hob again; see docs/operations.md"
            }
        }
    }
}

/// Whether the folder of a file takes no new file. Asked only after something went wrong there.
fn cannot_write_beside(file: &Path) -> bool {
    let Some(folder) = file.parent() else { return false };
    tempfile::tempfile_in(folder).is_err_and(|error| {
        matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
    })
}

impl Store {
    /// Sits out a fault of the store that may pass, so that a loop can try again. Any other error
    /// is handed back: the one who runs the loop ends hob with it.
    pub async fn sit_out(&self, error: anyhow::Error, stop: &CancellationToken) -> anyhow::Result<()> {
        match StoreFault::at(&error, &self.file) {
            Some(fault) if fault.may_pass() => {
                tracing::error!(error = format!("{error:#}"), advice = fault.advice(), "store unavailable");
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(PAUSE) => {}
                }
                Ok(())
            }
            Some(fault) => Err(error.context(fault.advice())),
            None => Err(error),
        }
    }

    /// Tells of an error that somebody met who is no loop, and goes on without: a fault that will
    /// not pass ends hob, see [`Store::until_broken`]. An idle hob would not notice otherwise,
    /// since it only reads.
    pub fn report(&self, error: &anyhow::Error) {
        if let Some(fault) = StoreFault::at(error, &self.file).filter(|fault| !fault.may_pass()) {
            self.broken.send_replace(Some(fault));
        }
    }

    /// Waits for a report of a fault that will not pass.
    pub async fn until_broken(&self) -> StoreFault {
        let mut reports = self.broken.subscribe();
        loop {
            if let Some(fault) = *reports.borrow_and_update() {
                return fault;
            }
            // The sender lives as long as this store.
            let _ = reports.changed().await;
        }
    }
}
