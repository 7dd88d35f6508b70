//! What folders take up on disk, measured again only where it can have changed: a workspace can
//! hold a million files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::blocking;
use crate::paths;

/// What was measured before.
#[derive(Debug, Default)]
pub(super) struct MeasuredSizes {
    known: HashMap<PathBuf, (String, u64)>,
}

impl MeasuredSizes {
    /// The bytes below a folder. `stamp` changes whenever they can have changed; without one they
    /// are measured.
    pub(super) async fn measure(&mut self, folder: &Path, stamp: Option<String>) -> anyhow::Result<u64> {
        if let Some((at, size)) = self.known.get(folder)
            && stamp.as_ref() == Some(at)
        {
            return Ok(*size);
        }
        let path = folder.to_owned();
        let size = blocking(move || Ok(paths::measure(&path).bytes)).await?;
        if let Some(stamp) = stamp {
            self.known.insert(folder.to_owned(), (stamp, size));
        }
        Ok(size)
    }

    /// Forgets a folder that is gone.
    pub(super) fn forget(&mut self, folder: &Path) {
        self.known.remove(folder);
    }
}
