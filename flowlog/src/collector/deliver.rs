//! A closed interval becomes files.

use crate::{
    Draft, LoggerSpec, NameMemory, NameMemoryError, Store, StoreError, interval::Sorted,
    layout::Stem,
};
use std::{io, path::PathBuf};

/// Names tried for one file. More than one is needed only where the memory of names was lost.
const NAMES_TRIED_MAX: usize = 256;

/// Why an interval, or a part of it, could not be written.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// No name could be issued.
    #[error(transparent)]
    Names(#[from] NameMemoryError),
    /// The store did not take a file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file could not be filled.
    #[error("cannot write to {}: {source}", directory.display())]
    Write {
        /// The logger's directory.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What reached the store.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) files: Vec<PathBuf>,
    pub(super) rows: u64,
}

/// Writes the files of an interval of `rows` rows, at least one. `written` tells how far it came.
pub(super) fn write(
    spec: &LoggerSpec,
    store: &dyn Store,
    names: &mut NameMemory,
    interval: &Sorted,
    rows: u64,
    written: &mut Written,
) -> Result<(), DeliveryError> {
    let stem = spec.layout.stem(spec.id, interval.window().start_s);
    let rows_per_file = u64::from(spec.layout.rows_per_file.get());
    let files = u32::try_from(rows.div_ceil(rows_per_file).max(1)).unwrap_or(u32::MAX);
    let parts = names.issue(spec.id, stem.civil_s, files)?;
    let mut records = interval.records();
    for part in parts.numbers() {
        let failed = |source| DeliveryError::Write {
            directory: spec.directory.clone(),
            source,
        };
        let mut draft = store.draft()?;
        let mut encoder = spec
            .format
            .encoder(&spec.fields, &mut *draft)
            .map_err(failed)?;
        let mut rows = 0;
        for record in records
            .by_ref()
            .take(spec.layout.rows_per_file.get() as usize)
        {
            encoder.row(&record).map_err(failed)?;
            rows += 1;
        }
        encoder.finish().map_err(failed)?;
        written
            .files
            .push(publish(spec, names, &mut *draft, &stem, part)?);
        written.rows += rows;
    }
    Ok(())
}

/// Publishes under the part's name, or under the next that is free.
fn publish(
    spec: &LoggerSpec,
    names: &mut NameMemory,
    draft: &mut dyn Draft,
    stem: &Stem,
    mut part: Option<u32>,
) -> Result<PathBuf, DeliveryError> {
    for _ in 1..NAMES_TRIED_MAX {
        match draft.publish(&stem.object(part, spec.format.extension())) {
            Err(StoreError::Taken(_)) => {
                part = names
                    .issue(spec.id, stem.civil_s, 1)?
                    .numbers()
                    .next()
                    .flatten();
            }
            published => return Ok(published?),
        }
    }
    Ok(draft.publish(&stem.object(part, spec.format.extension()))?)
}
