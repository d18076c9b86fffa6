//! One logger at work.

use super::{
    Closed, DeliveryError, LoggerStatus, State, TAIL_RECORDS_MAX,
    deliver::{Written, hand_over},
    outlet::{Left, Outlet},
};
use crate::{
    Cause, Delivery, Details, EmptyIntervals, Field, Limits, LoggerSpec, Observation, PortInfo,
    Ports, Skipped, Window,
    delivery::{Counts, Kept},
    interval::{Interval, Naming},
    spool::QueueId,
};
use std::sync::Arc;

/// A logger with its open intervals.
pub(super) struct Logger {
    pub(super) spec: LoggerSpec,
    pub(super) limits: Limits,
    name: Arc<str>,
    /// Those of its fields that tell records apart.
    splitting: Vec<Field>,
    pub(super) outlet: Outlet,
    /// What its couriers delivered, past ones too.
    pub(super) counts: Arc<Counts>,
    open: Vec<Interval>,
    totals: Totals,
}

/// What a logger did since it was configured.
#[derive(Default)]
struct Totals {
    rows_lost: u64,
    skipped: Skipped,
    last_interval: Option<Window>,
    /// Why the last interval did not reach the spool whole.
    trouble: Option<String>,
    last_error: Option<String>,
}

impl Logger {
    pub(super) fn new(
        spec: LoggerSpec,
        limits: Limits,
        delivery: &Delivery,
        left: &mut Vec<Left>,
    ) -> Self {
        let of_it = left
            .iter()
            .find(|left| left.carrier.queue().logger == spec.id);
        let counts = of_it.map(|left| Arc::clone(left.carrier.counts()));
        let counts = counts.unwrap_or_default();
        Self {
            limits,
            name: spec.name.as_str().into(),
            splitting: splitting(&spec),
            outlet: Outlet::new(&spec, &counts, delivery, left),
            counts,
            open: Vec::new(),
            totals: Totals::default(),
            spec,
        }
    }

    /// Goes on under another definition of the same logger.
    pub(super) fn adopt(&mut self, spec: LoggerSpec, delivery: &Delivery, left: &mut Vec<Left>) {
        self.name = spec.name.as_str().into();
        self.splitting = splitting(&spec);
        self.outlet
            .adopt(&self.spec, &spec, &self.counts, delivery, left);
        self.spec = spec;
    }

    /// Since when its observations are in memory alone; nothing for a logger without any.
    pub(super) fn open_since_s(&self) -> Option<u64> {
        self.open.iter().map(|open| open.window().start_s).min()
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
            let moment_s = match window.length_s > self.spec.interval_s() {
                // The base window is of before a reload that shortened it: it spans several intervals.
                true => window.start_s + o.tally.first().as_us() / 1_000_000,
                false => window.start_s,
            };
            self.interval_at(moment_s).observe(window, port, o, details);
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
        self.interval_at(window.start_s)
    }

    /// The open interval that a moment belongs to.
    fn interval_at(&mut self, moment_s: u64) -> &mut Interval {
        let wanted = Window::of(moment_s, self.spec.interval_s());
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

    /// The intervals that end where the base window `next` follows on `window`, in order of time: all
    /// that do not reach into it. That of `window` is among them even if nothing was observed in it,
    /// where a file is wanted all the same.
    pub(super) fn take_due(&mut self, window: Window, next: Window, kept: &Kept) -> Vec<Interval> {
        let is_over = |open: Window| !open.contains(next.start_s);
        let (mut due, open): (Vec<_>, Vec<_>) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|interval| is_over(interval.window()));
        self.open = open;
        let present = Window::of(window.start_s, self.spec.interval_s());
        // At the end of a process the last window is followed by itself.
        let is_over = is_over(present) || window.end_s() == present.end_s();
        let mut is_known = due.iter().chain(&self.open);
        if is_over
            && self.spec.admin_state_up
            && self.spec.empty_intervals == EmptyIntervals::Write
            && !is_known.any(|interval| interval.window() == present)
            && !kept.names().is_issued(
                self.spec.id,
                self.spec.layout.stem(self.spec.id, present.start_s).civil_s,
            )
        {
            let limits = self.limits.within(self.spec.flow_limit);
            due.push(Interval::new(present, limits));
        }
        due.sort_by_key(Interval::window);
        due
    }

    /// Writes every open interval as it is.
    pub(super) fn flush(&mut self, ports: &dyn Ports, kept: &Kept, tail: bool) -> Vec<Closed> {
        self.open.sort_by_key(Interval::window);
        let open = std::mem::take(&mut self.open);
        open.into_iter()
            .map(|interval| self.deliver(interval, ports, kept, tail))
            .collect()
    }

    /// Writes an interval and accounts for it.
    pub(super) fn deliver(
        &mut self,
        mut interval: Interval,
        ports: &dyn Ports,
        kept: &Kept,
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
        let wanted = if tail { TAIL_RECORDS_MAX } else { 0 };
        let records = sorted.records(Naming::all(ports)).take(wanted).collect();
        let mut written = Written::default();
        let error = hand_over(
            &self.spec,
            &mut self.outlet,
            kept,
            &sorted,
            ports,
            rows,
            &mut written,
        )
        .err();
        self.totals.add(window, rows - written.rows, skipped);
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

    /// Notes what went wrong in a courier that is done: it is not asked any more.
    pub(super) fn note_past(&mut self, left: &Left) {
        if let Some(error) = left.carrier.progress().last_error {
            self.totals.last_error = Some(error);
        }
    }

    /// Gives up what is damaged in a queue of which no object says where it belongs.
    pub(super) fn lose_damaged(&mut self, queue: QueueId, delivery: &Delivery) {
        if let Some(error) = delivery.kept.spool.lose_damaged(queue) {
            self.totals.last_error = Some(error.to_string());
        }
    }

    pub(super) fn status(&self, delivery: &Delivery, left: &[Left]) -> LoggerStatus {
        let (totals, progress) = (&self.totals, self.outlet.progress());
        let elsewhere = || self.trouble_elsewhere(delivery, left);
        let trouble = progress.trouble.or_else(elsewhere);
        let cause = totals.trouble.clone();
        let cause = cause.or_else(|| trouble.as_ref().map(|(_, text)| text.clone()));
        let lost = delivery.kept.spool.lost(self.spec.id);
        LoggerStatus {
            id: self.spec.id,
            name: Arc::clone(&self.name),
            state: match &cause {
                _ if !self.spec.admin_state_up => State::Inactive,
                Some(_) => State::Error,
                None if !progress.answered => State::Build,
                None => State::Active,
            },
            cause,
            store: trouble.map(|(cause, _)| cause),
            last_interval: totals.last_interval,
            files: self.counts.files(),
            rows: self.counts.rows(),
            rows_lost: totals.rows_lost + lost.rows + self.counts.rows_lost(),
            lost,
            backlog: delivery.kept.spool.backlog(self.spec.id),
            skipped: totals.skipped,
            last_error: progress.last_error.or_else(|| totals.last_error.clone()),
            interrupted: delivery.interrupted(self.spec.id),
        }
    }

    /// Why something waits for a store that it was collected for, and that is not this logger's any
    /// more.
    fn trouble_elsewhere(&self, delivery: &Delivery, left: &[Left]) -> Option<(Cause, String)> {
        let spool = &delivery.kept.spool;
        let mut queues = spool.queues(self.spec.id).into_iter();
        queues.find_map(|queue| {
            if self.outlet.queue() == Some(queue) {
                return None;
            }
            let Some(place) = spool.destination(queue) else {
                return trouble_of_no_place(queue, delivery);
            };
            let at = left.iter().find(|left| left.carrier.queue() == queue);
            let Some(left) = at else {
                let text = "object_storage is not configured any more; it says how to get there";
                return Some((
                    Cause::Unreachable,
                    format!("what waits for {place}: {text}"),
                ));
            };
            let (cause, text) = left.carrier.progress().trouble?;
            Some((cause, format!("what waits for {place}: {text}")))
        })
    }
}

/// What is wrong with a queue in which no object says where it belongs, though the names of its files say
/// that each belongs to one store: the disk fails, or the files were changed.
fn trouble_of_no_place(queue: QueueId, delivery: &Delivery) -> Option<(Cause, String)> {
    let spool = &delivery.kept.spool;
    if queue.is_unplaced() || spool.is_empty(queue) {
        return None;
    }
    let text = format!(
        "files wait in {} for another store, and the first line of none can be read",
        spool.root().join(queue.logger.to_string()).display()
    );
    Some((Cause::Refused, text))
}

impl Totals {
    fn add(&mut self, window: Window, rows_lost: u64, skipped: Skipped) {
        self.rows_lost += rows_lost;
        self.skipped.add(skipped);
        self.last_interval = Some(window);
    }

    /// Notes how the last way to the spool went.
    fn note(&mut self, error: Option<&DeliveryError>) {
        self.trouble = error.map(ToString::to_string);
        if self.trouble.is_some() {
            self.last_error.clone_from(&self.trouble);
        }
    }
}

fn splitting(spec: &LoggerSpec) -> Vec<Field> {
    let splits = |field: &Field| field.splits();
    spec.fields.iter().copied().filter(splits).collect()
}
