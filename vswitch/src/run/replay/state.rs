//! What a replay keeps while it runs, and of buckets longer: never in the daemon's state directory.
//!
//! A directory shows which names are taken, so that the spool of a replay into directories is thrown away
//! with it. A bucket is never listed: which names were issued is remembered in the user's own state folder,
//! together with what the daemon has issued, or the same object would be written twice.

use crate::config::Plan;
use anyhow::{Context as _, Result};
use flowlog::{Access, Bucket, Delivery, LoggerSpec, Storage};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use uuid::Uuid;

/// Where a replay's spool lies.
pub(super) enum State {
    /// Nothing outlives the replay.
    Temporary(TempDir),
    /// Names, and what could not be delivered, do.
    Lasting(PathBuf),
}

impl State {
    pub(super) fn new(plan: &Plan) -> Result<Self> {
        // Which objects the loggers write.
        let objects: Vec<String> = buckets(plan)
            .map(|(logger, bucket)| format!("{} {} {}", bucket.endpoint, logger.storage, logger.id))
            .collect();
        if objects.is_empty() {
            let temporary = TempDir::with_prefix("vswitch-replay-");
            let temporary = temporary.context("cannot make a temporary directory")?;
            return Ok(Self::Temporary(temporary));
        }
        let name = Uuid::new_v5(&Uuid::NAMESPACE_URL, objects.join(" ").as_bytes());
        let folder = user_state()?.join("vswitch").join("replay");
        Ok(Self::Lasting(folder.join(name.to_string())))
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Temporary(directory) => directory.path(),
            Self::Lasting(path) => path,
        }
    }

    /// The way to the stores, in place.
    pub(super) fn delivery(&self, plan: &Plan) -> Result<Delivery> {
        let delivery = Delivery::open(self.path(), plan.spool_max_bytes, access(plan))?.in_place();
        if let Self::Lasting(_) = self {
            let loggers: Vec<Uuid> = buckets(plan).map(|(logger, _)| logger.id).collect();
            let learned = delivery.learn_names(&plan.state_dir, &loggers);
            learned.context(
                "names that the daemon has issued in the bucket must not be written again; \
                 run as a user that may read its state, or replay into a directory by --out",
            )?;
        }
        Ok(delivery)
    }

    /// What becomes of files that could not be delivered.
    pub(super) fn outlook(&self) -> String {
        match self {
            Self::Temporary(_) => "are not written; mend it and replay again".to_owned(),
            Self::Lasting(path) => format!(
                "wait in the spool of {} and are delivered by the next replay",
                path.display()
            ),
        }
    }
}

/// Who may read what a replay writes: root gives it to the readers' group, as the daemon does; the files of
/// a user who replays are that user's.
fn access(plan: &Plan) -> Access {
    match rustix::process::geteuid().is_root() {
        true => plan.access,
        false => Access::default(),
    }
}

/// The loggers whose objects go into buckets.
fn buckets(plan: &Plan) -> impl Iterator<Item = (&LoggerSpec, &Bucket)> {
    plan.loggers
        .iter()
        .filter_map(|logger| match &logger.storage {
            Storage::Bucket(bucket) => Some((logger, bucket)),
            _ => None,
        })
}

/// The user's folder for state (XDG Base Directory Specification).
fn user_state() -> Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let folder = match set("XDG_STATE_HOME").map(PathBuf::from) {
        Some(folder) if folder.is_absolute() => Some(folder),
        _ => set("HOME").map(|home| PathBuf::from(home).join(".local/state")),
    };
    folder.context(
        "a replay into a bucket remembers which names it has issued; set HOME or XDG_STATE_HOME to a \
         folder for that, or replay into a directory by --out",
    )
}
