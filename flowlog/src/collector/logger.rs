//! One logger at work.

use super::{
    Closed, DeliveryError, LoggerStatus, State, TAIL_RECORDS_MAX,
    deliver::{Written, write},
};
use crate::{
    Details, Directory, EmptyIntervals, Field, Limits, LoggerSpec, NameMemory, Observation,
    PortInfo, Ports, Skipped, Store, Window, interval::Interval,
};
use std::sync::Arc;

/// Intervals a logger keeps open; only a clock that jumps about makes it more than two. The earliest
/// is written ahead of its end when there are more.
const OPEN_INTERVALS_MAX: usize = 4;

/// A logger with its open intervals.
pub(super) struct Logger {
    pub(super) spec: LoggerSpec,
    pub(super) limits: Limits,
    name: Arc<str>,
    store: Box<dyn Store>,
    /// Those of its fields that tell records apart.
    splitting: Vec<Field>,
    open: Vec<Interval>,
    totals: Totals,
}

/// What a logger did since it was configured.
#[derive(Default)]
struct Totals {
    files: u64,
    rows: u64,
    rows_lost: u64,
    skipped: Skipped,
    last_interval: Option<Window>,
    cause: Option<String>,
    last_error: Option<String>,
}

impl Logger {
    pub(super) fn new(spec: LoggerSpec, limits: Limits) -> Self {
        let mut logger = Self {
            limits,
            name: spec.name.as_str().into(),
            store: store(&spec),
            splitting: splitting(&spec),
            open: Vec::new(),
            totals: Totals::default(),
            spec,
        };
        logger.prepare();
        logger
    }

    /// Goes on under another definition of the same logger.
    pub(super) fn adopt(&mut self, spec: LoggerSpec) {
        self.name = spec.name.as_str().into();
        self.store = store(&spec);
        self.splitting = splitting(&spec);
        self.spec = spec;
        self.prepare();
    }

    fn prepare(&mut self) {
        if self.spec.admin_state_up {
            let prepared = self.store.prepare().map_err(DeliveryError::from);
            self.totals.note(prepared.as_ref().err());
        }
    }

    /// Takes an observation, if it is this logger's.
    pub(super) fn observe(
        &mut self,
        window: Window,
        directory: &dyn Ports,
        port: &PortInfo,
        o: &Observation,
    ) {
        if self.is_collecting(port) && self.spec.wants(o) {
            let details = Details::of(o, &self.splitting, directory);
            self.interval(window).observe(window, port, o, details);
        }
    }

    /// Notes packets that the switch could not record, whatever their verdict may have been.
    pub(super) fn skip(&mut self, window: Window, port: &PortInfo, skipped: Skipped) {
        if self.is_collecting(port) {
            self.interval(window).skip(port, skipped);
        }
    }

    fn is_collecting(&self, port: &PortInfo) -> bool {
        self.spec.admin_state_up && self.spec.resource.covers(port)
    }

    /// The open interval that a base window belongs to.
    fn interval(&mut self, window: Window) -> &mut Interval {
        let wanted = Window::of(window.start_s, self.spec.interval_s());
        let place = match self.open.iter().position(|open| open.window() == wanted) {
            Some(place) => place,
            None => {
                self.open.push(Interval::new(
                    wanted,
                    self.limits.within(self.spec.flow_limit),
                ));
                self.open.len() - 1
            }
        };
        &mut self.open[place]
    }

    /// The intervals that a base window ends, in order of time; an empty one where nothing was
    /// observed and a file is wanted all the same.
    pub(super) fn take_due(&mut self, window: Window, names: &NameMemory) -> Vec<Interval> {
        self.open.sort_by_key(Interval::window);
        let ended = |open: &Interval| open.window().end_s() <= window.end_s();
        let ended = self.open.iter().filter(|open| ended(open)).count();
        let excess = self.open.len().saturating_sub(OPEN_INTERVALS_MAX);
        let mut due: Vec<Interval> = self.open.drain(..ended.max(excess)).collect();
        if let Some(empty) = self.empty_interval(window)
            && !due.iter().any(|interval| interval.window() == empty)
            && !names.is_issued(
                self.spec.id,
                self.spec.layout.stem(self.spec.id, empty.start_s).civil_s,
            )
        {
            due.push(Interval::new(
                empty,
                self.limits.within(self.spec.flow_limit),
            ));
        }
        due
    }

    /// The interval that ends with a base window, if it is to have a file even when empty.
    fn empty_interval(&self, window: Window) -> Option<Window> {
        let length_s = self.spec.interval_s();
        let ends = window.end_s().is_multiple_of(length_s.into());
        let wanted = self.spec.admin_state_up && self.spec.empty_intervals == EmptyIntervals::Write;
        (ends && wanted).then(|| Window::of(window.start_s, length_s))
    }

    /// Writes every open interval as it is.
    pub(super) fn flush(
        &mut self,
        ports: &dyn Ports,
        names: &mut NameMemory,
        tail: bool,
    ) -> Vec<Closed> {
        self.open.sort_by_key(Interval::window);
        let open = std::mem::take(&mut self.open);
        open.into_iter()
            .map(|interval| self.deliver(interval, ports, names, tail))
            .collect()
    }

    /// Writes an interval and accounts for it.
    pub(super) fn deliver(
        &mut self,
        mut interval: Interval,
        ports: &dyn Ports,
        names: &mut NameMemory,
        tail: bool,
    ) -> Closed {
        interval.resolve(ports);
        if self.spec.no_data_rows {
            ports.each(&mut |port| {
                if self.is_collecting(port) {
                    interval.note_port(port);
                }
            });
        }
        let (window, rows, skipped) = (interval.window(), interval.rows(), interval.skipped());
        let sorted = interval.sorted();
        let kept = if tail { TAIL_RECORDS_MAX } else { 0 };
        let records = sorted.records().take(kept).collect();
        let mut written = Written::default();
        let error = write(&self.spec, &*self.store, names, &sorted, rows, &mut written).err();
        self.totals
            .add(window, &written, rows - written.rows, skipped);
        self.totals.note(error.as_ref());
        let Written { files, rows } = written;
        Closed {
            logger: Arc::clone(&self.name),
            window,
            files,
            rows,
            records,
            error,
        }
    }

    pub(super) fn status(&self) -> LoggerStatus {
        let totals = &self.totals;
        let state = match totals {
            _ if !self.spec.admin_state_up => State::Inactive,
            Totals { cause: Some(_), .. } => State::Error,
            Totals {
                last_interval: None,
                ..
            } => State::Build,
            _ => State::Active,
        };
        LoggerStatus {
            id: self.spec.id,
            name: Arc::clone(&self.name),
            state,
            cause: totals.cause.clone(),
            last_interval: totals.last_interval,
            files: totals.files,
            rows: totals.rows,
            rows_lost: totals.rows_lost,
            skipped: totals.skipped,
            last_error: totals.last_error.clone(),
        }
    }
}

impl Totals {
    fn add(&mut self, window: Window, written: &Written, lost: u64, skipped: Skipped) {
        self.files += written.files.len() as u64;
        self.rows += written.rows;
        self.rows_lost += lost;
        self.skipped.add(skipped);
        self.last_interval = Some(window);
    }

    /// Notes how the last access to the store went.
    fn note(&mut self, error: Option<&DeliveryError>) {
        self.cause = error.map(ToString::to_string);
        if self.cause.is_some() {
            self.last_error.clone_from(&self.cause);
        }
    }
}

fn splitting(spec: &LoggerSpec) -> Vec<Field> {
    let splits = |field: &Field| field.splits();
    spec.fields.iter().copied().filter(splits).collect()
}

fn store(spec: &LoggerSpec) -> Box<dyn Store> {
    Box::new(Directory::new(spec.directory.clone(), spec.id))
}
