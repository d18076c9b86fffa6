//! What the audience sees: narration, and the records of every interval as it closes.

use super::Interrupted;
use crate::cli::{LineColumns, LiveLine, Output, Paint, line_heading};
use crate::control::LogRow;
use crate::run::{Shared, Subscriber};
use anyhow::{Context, Result, bail};
use flowlog::Closed;
use std::io::Write;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// Longest uninterrupted wait.
const PULSE: Duration = Duration::from_millis(50);

/// The stage.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) out: Output,
    intervals: Subscriber,
    interrupted: Interrupted,
    totals: Totals,
}

/// What was recorded so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Totals {
    pub(super) intervals: usize,
    pub(super) records: u64,
    pub(super) accepted: u64,
    pub(super) refused: u64,
    pub(super) last_file: Option<PathBuf>,
}

impl Stage {
    /// A stage that follows the daemon's log.
    pub(super) fn open(out: Output, shared: &Shared, interrupted: Interrupted) -> Result<Self> {
        let intervals = shared.tail.subscribe().context("too many follow the log")?;
        Ok(Self {
            out,
            intervals,
            interrupted,
            totals: Totals::default(),
        })
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.is_set()
    }

    pub(super) fn totals(&self) -> Totals {
        self.totals.clone()
    }

    /// A heading.
    pub(super) fn chapter(&mut self, title: &str) -> Result<()> {
        let title = self.out.style().paint(Paint::Strong, title);
        writeln!(self.out, "\n{title}")?;
        Ok(self.out.flush()?)
    }

    /// One scene in one line: what was done, what came of it, and why.
    pub(super) fn scene(&mut self, who: &str, came: &str, good: bool, why: &str) -> Result<()> {
        let came = self.out.style().paint(Paint::of_verdict(good), came);
        writeln!(self.out, "  {who:<33}  {came:<16}  {why}")?;
        self.out.flush()?;
        self.pause(Duration::from_millis(300))
    }

    /// Gives the audience time; records that become known meanwhile are told.
    pub(super) fn pause(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        loop {
            self.tell_intervals()?;
            if self.is_interrupted() {
                bail!("interrupted");
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(PULSE));
        }
    }

    /// Waits until something has come true; `false` where it does not within `time`.
    pub(super) fn wait_for(
        &mut self,
        time: Duration,
        mut is_true: impl FnMut(&Self) -> bool,
    ) -> Result<bool> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            if is_true(self) {
                return Ok(true);
            }
            self.pause(PULSE)?;
        }
        Ok(is_true(self))
    }

    /// Tells the records of the intervals that have closed.
    pub(super) fn tell_intervals(&mut self) -> Result<()> {
        while let Some(closed) = self.intervals.interval() {
            self.tell(&closed)?;
        }
        Ok(self.out.flush()?)
    }

    fn tell(&mut self, closed: &Closed) -> Result<()> {
        if let Some(error) = &closed.error {
            bail!("the flow log could not be written: {error}");
        }
        if closed.records.is_empty() {
            return Ok(());
        }
        let style = self.out.style();
        let length_s = closed.window.length_s;
        let title = format!(
            "  the flow log of {length_s} seconds, {} records:",
            closed.records.len()
        );
        writeln!(self.out, "\n{}", style.paint(Paint::Faint, title))?;
        writeln!(self.out, "  {}", line_heading(LineColumns::BRIEF, style))?;
        for record in &closed.records {
            let row = LogRow::of(&closed.logger, record);
            writeln!(
                self.out,
                "  {}",
                LiveLine::of(&row, LineColumns::BRIEF, style)
            )?;
            if let Some(flow) = &record.flow {
                let sum = if flow.verdict.is_accept() {
                    &mut self.totals.accepted
                } else {
                    &mut self.totals.refused
                };
                *sum += flow.packets;
            }
        }
        writeln!(self.out)?;
        self.totals.intervals += 1;
        self.totals.records += closed.records.len() as u64;
        self.totals.last_file = closed
            .files
            .last()
            .cloned()
            .or(self.totals.last_file.take());
        Ok(())
    }
}
