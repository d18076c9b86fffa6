//! A closed interval becomes objects in the spool.

use super::outlet::Outlet;
use crate::{
    LoggerSpec, NameMemoryError, Ports,
    delivery::Kept,
    interval::{Naming, Sorted},
    spool::{Destination, SpoolError},
};
use std::{
    io,
    path::{Path, PathBuf},
};

/// Why an interval, or a part of it, could not be written.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// No name could be issued.
    #[error(transparent)]
    Names(#[from] NameMemoryError),
    /// The spool did not take an object.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// An object could not be filled.
    #[error("cannot write to the spool {}: {source}", spool.display())]
    Write {
        /// The spool's folder.
        spool: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What reached the spool.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Where each will be in its store.
    pub(super) files: Vec<PathBuf>,
    pub(super) rows: u64,
}

/// Hands over an interval of `rows` rows. `written` tells how far it came.
pub(super) fn hand_over(
    spec: &LoggerSpec,
    outlet: &mut Outlet,
    kept: &Kept,
    interval: &Sorted,
    ports: &dyn Ports,
    rows: u64,
    written: &mut Written,
) -> Result<(), DeliveryError> {
    let naming = Naming::of(&spec.fields, ports);
    match outlet {
        Outlet::Files(carrier) => {
            let look = carrier.is_in_place();
            let spooled = spool(spec, look, kept, interval, naming, rows, written);
            carrier.wake();
            spooled
        }
        Outlet::Messages(exporter) => {
            exporter.export(interval.records(naming));
            written.rows = rows;
            Ok(())
        }
        Outlet::Closed => Ok(()),
    }
}

/// Encodes an interval into the spool, under the names that its objects keep. `look`: names that a directory
/// has already are passed over here, where the caller waits for the disk anyway; else the courier finds
/// them taken.
fn spool(
    spec: &LoggerSpec,
    look: bool,
    kept: &Kept,
    interval: &Sorted,
    naming: Naming<'_>,
    rows: u64,
    written: &mut Written,
) -> Result<(), DeliveryError> {
    let start_s = interval.window().start_s;
    let stem = spec.layout.stem(spec.id, start_s);
    let rows_per_file = u64::from(spec.layout.rows_per_file.get());
    let files = u32::try_from(rows.div_ceil(rows_per_file).max(1)).unwrap_or(u32::MAX);
    let destination = Destination::of(&spec.storage);
    let extension = spec.format.extension();
    let parts = loop {
        let parts = kept.names().issue(spec.id, stem.civil_s, files)?;
        let is_there = |part| {
            let root = spec.storage.directory();
            root.is_some_and(|root| root.join(stem.object(part, extension)).exists())
        };
        if !look || !parts.numbers().any(is_there) {
            break parts;
        }
    };
    let mut records = interval.records(naming);
    for part in parts.numbers() {
        let name = stem.object(part, extension);
        let failed = |source| failed(kept.spool.root(), source);
        let mut draft = kept.spool.draft(spec.id, &destination, &name)?;
        let mut encoder = spec
            .format
            .encoder(&spec.fields, &mut draft)
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
        draft.commit(start_s, rows)?;
        written.files.push(spec.storage.location(&name));
        written.rows += rows;
    }
    Ok(())
}

fn failed(spool: &Path, source: io::Error) -> DeliveryError {
    DeliveryError::Write {
        spool: spool.to_owned(),
        source,
    }
}
