//! Records of runs: those of runs that are long over, or too many, are removed, oldest first; and
//! what a hob that died left of a run, hand-overs and keys. Nothing of a story that waits or works
//! is touched.

use std::collections::HashSet;

use super::sizes::MeasuredSizes;
use super::{Sweep, age, blocking, is_over, remove};
use crate::ids::RunId;
use crate::paths;
use crate::store::StoredRun;

/// The beginning of the names of folders with keys; the run's id follows.
const KEYS_OF: &str = "hob-";

impl Sweep {
    pub(super) async fn records(&self, sizes: &mut MeasuredSizes) -> anyhow::Result<()> {
        // The folders first: a run has its row before it has a folder.
        let folder = self.data.runs();
        let there: HashSet<RunId> = blocking(move || paths::ids_in(&folder)).await?.into_iter().collect();
        let mut runs = Vec::new();
        for id in there {
            match self.store.kept_run(id).await? {
                Some(run) => runs.push(run),
                None => {
                    tracing::info!(run = %id, "removing the record of an unknown run");
                    remove(self.data.run(id).folder).await?;
                }
            }
        }
        runs.sort_by_key(|run| run.seq);
        let mut kept = Vec::new();
        for run in runs {
            let folder = self.data.run(run.id).folder;
            let half_removed = folder.clone();
            blocking(move || paths::remove_gone(&half_removed)).await?;
            if folder.exists() {
                self.clear_hand_over(&run).await?;
                let stamp = (run.is_over && !run.is_busy).then(|| "over".to_owned());
                let size = sizes.measure(&folder, stamp).await?;
                kept.push((run, size));
            }
        }
        self.forget_old(kept, sizes).await
    }

    async fn forget_old(&self, runs: Vec<(StoredRun, u64)>, sizes: &mut MeasuredSizes) -> anyhow::Result<()> {
        let keep = &self.config.keep;
        let mut total: u64 = runs.iter().map(|(_, size)| size).sum();
        for (run, size) in runs {
            let is_wanted = age(run.at) < keep.runs.0 && !is_over(total, keep.runs_size);
            if is_wanted || run.is_busy || !run.is_over {
                continue;
            }
            let folder = self.data.run(run.id).folder;
            tracing::info!(run = %run.id, size, "removing a run's record");
            sizes.forget(&folder);
            remove(folder).await?;
            total -= size;
        }
        Ok(())
    }

    /// Removes what a hand-over has left, where none can be under way.
    async fn clear_hand_over(&self, run: &StoredRun) -> anyhow::Result<()> {
        let paths = self.data.run(run.id);
        let is_left = paths.quarantine.exists() || paths.bundle.exists() || paths.checks.exists();
        if run.is_busy || !run.is_over || !is_left {
            return Ok(());
        }
        tracing::info!(run = %run.id, "removing leftovers of a hand-over");
        blocking(move || {
            paths::remove_tree(&paths.checks)?;
            paths::remove_tree(&paths.quarantine).and_then(|()| paths::remove_file(&paths.bundle))
        })
        .await
    }

    /// Removes the keys of runs that are over. The folder for keys may be shared with another hob,
    /// so those of runs that are not known here stay.
    pub(super) async fn keys(&self) -> anyhow::Result<()> {
        let folder = self.config.container.secrets_dir.clone();
        let listed = folder.clone();
        let names: Vec<String> = blocking(move || {
            let entries = std::fs::read_dir(&listed)?.flatten();
            Ok(entries.filter_map(|entry| entry.file_name().into_string().ok()).collect())
        })
        .await?;
        for name in names {
            let Some(run) = name.strip_prefix(KEYS_OF).and_then(|id| id.parse::<RunId>().ok()) else {
                continue;
            };
            if self.store.kept_run(run).await?.is_some_and(|run| run.is_over) {
                tracing::warn!(name, "removing keys of a finished run");
                let keys = folder.join(name);
                blocking(move || paths::remove_tree(&keys)).await?;
            }
        }
        Ok(())
    }
}
