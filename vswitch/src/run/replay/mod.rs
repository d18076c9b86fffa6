//! Captures through the same path as TAPs, with their own clock.
//!
//! ```text
//!   captures ─ sorted, merged by time ─▶ whose frame? ─▶ Switch::forward ─▶ Collector ─▶ files
//! ```
//! Of a capture given for a port, the frames that the port **sent** are replayed: those whose source MAC
//! belongs to no other port. A capture without a port is matched by source MAC; where the capture holds no
//! MAC, by source address. What matches no port has no port to take the view of and is recorded with
//! direction `unknown`, as accepted: no rule was applied to it.

mod owners;
mod session;
mod state;

use crate::config::Plan;
use crate::io::pcap::{Foreign, PcapError, PcapReader, WAITING_BYTES_MAX, merge, sorted};
use crate::switch::Audit;
use flowlog::Closed;
use session::Session;
use std::path::PathBuf;

/// A capture and whose it is.
#[derive(Debug, Clone)]
pub struct Input {
    /// The file; `-` is standard input.
    pub file: PathBuf,
    /// Name or UUID of the port that it was taken at, if it is one port's.
    pub port: Option<String>,
}

/// What a replay cannot begin or go on with.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A port that the configuration does not have.
    #[error("{}: the configuration has no port `{port}`; it has {known}", file.display())]
    NoSuchPort {
        /// The capture.
        file: PathBuf,
        /// The name given.
        port: String,
        /// The names there are.
        known: String,
    },
    /// Standard input was named twice.
    #[error("standard input (-) can be read as one capture only")]
    StdinTwice,
    /// A capture that cannot be read.
    #[error(transparent)]
    Capture(#[from] PcapError),
}

/// What a replay did.
#[derive(Debug, Default)]
pub struct Summary {
    /// Frames put through the switch.
    pub frames: u64,
    /// Frames of a port's capture that another port had sent.
    pub received: u64,
    /// Frames that matched no port, recorded with direction `unknown`.
    pub unknown: u64,
    /// Frames that matched no port, of a kind that the flow log does not record.
    pub unknown_unrecorded: u64,
    /// Frames too short for an Ethernet header; a port's own are counted there as malformed.
    pub runts: u64,
    /// Frames whose headers the capture does not hold (its snap length cut them off): not replayed.
    pub cut: u64,
    /// Frames that came later in their capture than the sorting by time reaches: replayed as they came.
    pub late: u64,
    /// Quiet intervals without files because a replay writes no more of them.
    pub unfilled: u64,
    /// Copies that would have been delivered.
    pub delivered: u64,
    /// Files written.
    pub files: Vec<PathBuf>,
    /// Rows in them.
    pub rows: u64,
    /// The conservation identity at the end.
    pub audit: Audit,
    /// Captures that end early or are damaged: what came before that was replayed.
    pub damaged: Vec<PcapError>,
    /// Captures without a packet.
    pub empty: Vec<PathBuf>,
    /// What was not read of captures for the link type of its interface.
    pub foreign: Vec<(PathBuf, Foreign)>,
}

/// Puts captures through a switch built from `plan`; calls `seen` with every interval that closes.
///
/// A capture that breaks off is replayed up to there, the others to their end: what was read is worth its
/// verdicts and its files. [`Summary::damaged`] holds its error. Where no capture holds a packet, nothing
/// is written.
///
/// # Errors
/// [`ReplayError`]; a policy beyond its limits; a store that cannot be used.
pub fn replay(
    plan: &Plan,
    inputs: &[Input],
    mut seen: impl FnMut(&Closed),
) -> anyhow::Result<Summary> {
    let owners = inputs
        .iter()
        .map(|input| owner(plan, input))
        .collect::<Result<Vec<_>, _>>()?;
    let is_stdin = |input: &&Input| input.file.as_os_str() == "-";
    if inputs.iter().filter(is_stdin).count() > 1 {
        return Err(ReplayError::StdinTwice.into());
    }
    let share = WAITING_BYTES_MAX / inputs.len().max(1);
    let captures = inputs
        .iter()
        .map(|input| PcapReader::open(&input.file).map(|reader| sorted(reader, share)))
        .collect::<Result<Vec<_>, _>>()?;
    let mut frames = merge(captures);
    let mut damaged = Vec::new();
    let mut session: Option<Session<'_>> = None;
    for frame in frames.by_ref() {
        let (index, captured) = match frame {
            Ok(frame) => frame,
            Err(error) => {
                damaged.push(error);
                continue;
            }
        };
        let session = match &mut session {
            Some(session) => session,
            None => session.insert(Session::new(plan, captured.time_ns)?),
        };
        session.frame(owners[index], &captured, &mut seen);
    }
    let mut summary = match session {
        Some(session) => session.finish(&mut seen)?,
        None => Summary::default(),
    };
    for capture in frames.captures() {
        let reader = capture.capture();
        let name = reader.name();
        summary.late += capture.late();
        let foreign = reader.foreign().map(|foreign| (name.to_owned(), foreign));
        summary.foreign.extend(foreign);
        if capture.frames() == 0 && damaged.iter().all(|error| error.file != name) {
            summary.empty.push(name.to_owned());
        }
    }
    Ok(Summary { damaged, ..summary })
}

/// The place in the plan of the port that a capture was taken at.
fn owner(plan: &Plan, input: &Input) -> Result<Option<usize>, ReplayError> {
    let Some(wanted) = &input.port else {
        return Ok(None);
    };
    let place = plan
        .ports
        .iter()
        .position(|port| port.name == *wanted || port.id.to_string() == *wanted);
    place.map(Some).ok_or_else(|| ReplayError::NoSuchPort {
        file: input.file.clone(),
        port: wanted.clone(),
        known: plan
            .ports
            .iter()
            .map(|port| port.name.as_str())
            .collect::<Vec<_>>()
            .join(", "),
    })
}
