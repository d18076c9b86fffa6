//! The log thread's half: every logger with its open intervals.
//!
//! A logger has its own intervals, so none can disturb another. An interval opens with the first
//! thing observed in it and closes with the base window that ends it. Two may be open at once: the
//! sweep that ends a window is still under way when the next one's first connections end. More are
//! open after the clock stepped back; an interval that closed before then gets a further file.

mod deliver;
mod logger;
mod status;

pub use deliver::DeliveryError;
pub use status::{LoggerStatus, State};

use crate::{
    Limits, LoggerSpec, NameMemory, Observation, PortInfo, Ports, Record, Skipped, Window,
};
use logger::Logger;
use std::{path::PathBuf, sync::Arc};

/// Records of one closed interval that the live tail gets at most.
pub const TAIL_RECORDS_MAX: usize = 65_536;

/// Owns the loggers and their open intervals; lives on the log thread.
pub struct Collector {
    loggers: Vec<Logger>,
    names: NameMemory,
    limits: Limits,
    tail: bool,
}

/// What became of one interval of one logger.
#[derive(Debug)]
pub struct Closed {
    /// The logger's name.
    pub logger: Arc<str>,
    /// The interval.
    pub window: Window,
    /// The files written, in order of their parts.
    pub files: Vec<PathBuf>,
    /// Rows in these files, headers not counted.
    pub rows: u64,
    /// The records, in order of the rows; the first [`TAIL_RECORDS_MAX`], and only if
    /// [`Collector::keep_records`] asked for them.
    pub records: Vec<Record>,
    /// Why rows are missing, if any are.
    pub error: Option<DeliveryError>,
}

impl Collector {
    /// A collector for these loggers. Prepares their directories; what is wrong there is told by
    /// [`Self::status`].
    #[must_use]
    pub fn new(specs: Vec<LoggerSpec>, names: NameMemory) -> Self {
        let limits = Limits::default();
        let loggers = specs
            .into_iter()
            .map(|spec| Logger::new(spec, limits))
            .collect();
        Self {
            loggers,
            names,
            limits,
            tail: false,
        }
    }

    /// The same with other bounds for the intervals yet to be opened.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self.loggers
            .iter_mut()
            .for_each(|logger| logger.limits = limits);
        self
    }

    /// Whether [`Closed`] carries records, for a live tail.
    pub fn keep_records(&mut self, keep: bool) {
        self.tail = keep;
    }

    /// Takes what left an entry in the base window `window`.
    pub fn observe(&mut self, window: Window, ports: &dyn Ports, o: &Observation) {
        if o.tally.is_empty() {
            return;
        }
        with_port(ports, o.port, |port| {
            self.loggers
                .iter_mut()
                .for_each(|logger| logger.observe(window, ports, port, o));
        });
    }

    /// Ends a base window, of which everything was observed: the loggers whose interval ends with
    /// it (or ended before, where the clock jumped) write their files.
    pub fn close(
        &mut self,
        window: Window,
        ports: &dyn Ports,
        skipped: &[(u16, Skipped)],
    ) -> Vec<Closed> {
        self.note_skipped(window, ports, skipped);
        let mut closed = Vec::new();
        for logger in &mut self.loggers {
            for interval in logger.take_due(window, &self.names) {
                closed.push(logger.deliver(interval, ports, &mut self.names, self.tail));
            }
        }
        closed
    }

    /// The final flush: the open intervals as they are. Those without anything leave no file.
    pub fn finish(
        &mut self,
        window: Window,
        ports: &dyn Ports,
        skipped: &[(u16, Skipped)],
    ) -> Vec<Closed> {
        self.note_skipped(window, ports, skipped);
        let mut closed = Vec::new();
        for logger in &mut self.loggers {
            closed.extend(logger.flush(ports, &mut self.names, self.tail));
        }
        closed
    }

    /// Takes over a new configuration. A logger that stays, by its id, keeps its open interval,
    /// unless what it collects has changed; that of the others is flushed.
    pub fn reconfigure(&mut self, specs: Vec<LoggerSpec>) -> Vec<Closed> {
        let mut old = std::mem::take(&mut self.loggers);
        let mut closed = Vec::new();
        for spec in specs {
            let staying = old.iter().position(|logger| logger.spec.id == spec.id);
            self.loggers
                .push(match staying.map(|place| old.remove(place)) {
                    None => Logger::new(spec, self.limits),
                    Some(mut logger) => {
                        if !logger.spec.collects_as(&spec) {
                            closed.extend(logger.flush(&NoPorts, &mut self.names, self.tail));
                        }
                        logger.adopt(spec);
                        logger
                    }
                });
        }
        for mut logger in old {
            closed.extend(logger.flush(&NoPorts, &mut self.names, self.tail));
        }
        closed
    }

    /// How every logger fares, in order of the configuration.
    #[must_use]
    pub fn status(&self) -> Vec<LoggerStatus> {
        self.loggers.iter().map(Logger::status).collect()
    }

    fn note_skipped(&mut self, window: Window, ports: &dyn Ports, skipped: &[(u16, Skipped)]) {
        for (port, skipped) in skipped.iter().filter(|(_, skipped)| !skipped.is_none()) {
            with_port(ports, *port, |port| {
                self.loggers
                    .iter_mut()
                    .for_each(|logger| logger.skip(window, port, *skipped));
            });
        }
    }
}

/// Calls `then` with who a port is, be it unknown.
fn with_port(ports: &dyn Ports, port: u16, then: impl FnOnce(&PortInfo)) {
    match ports.get(port) {
        Some(info) => then(info),
        None => then(&PortInfo::unknown(port)),
    }
}

/// A directory that knows nobody: records keep the ports as they were met.
struct NoPorts;

impl Ports for NoPorts {
    fn get(&self, _: u16) -> Option<&PortInfo> {
        None
    }
}
