//! Refused packets one by one, for a log of level `trace`.
//!
//! Off unless asked for; then every step that refuses leaves a copy of the frame's headers here, until the
//! caller takes them, which a worker does after each batch.

use super::step::{Fate, Step};
use super::{Frame, Switch};
use packet::{Direction, Headers, Reason, Verdict};
use secgroup::PortId;

/// Refusals kept between two calls of [`Switch::take_refusals`]: those of a batch that floods to a hundred
/// ports.
const KEPT_MAX: usize = 2048;

/// One refused packet.
#[derive(Debug, Clone, Copy)]
pub struct Refusal {
    /// The port that refused it: the sender's for egress, the receiver's for ingress.
    pub port: PortId,
    /// As the instance sees it.
    pub direction: Direction,
    /// Why.
    pub reason: Reason,
    /// The packet; `None` for a frame of fewer than 14 bytes.
    pub headers: Option<Headers>,
}

/// The refusals that wait to be taken.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    is_on: bool,
    kept: Vec<Refusal>,
    lost: u64,
}

impl Refusals {
    fn push(&mut self, refusal: Refusal) {
        if self.kept.len() < KEPT_MAX {
            self.kept.push(refusal);
        } else {
            self.lost += 1;
        }
    }
}

impl Switch {
    /// Begins to keep refused packets for [`Self::take_refusals`].
    pub fn keep_refusals(&mut self) {
        self.refusals.is_on = true;
    }

    /// The packets refused since the last call, in order, and how many more found no room here.
    #[must_use]
    pub fn take_refusals(&mut self) -> (Vec<Refusal>, u64) {
        let refusals = &mut self.refusals;
        (
            std::mem::take(&mut refusals.kept),
            std::mem::take(&mut refusals.lost),
        )
    }

    /// Keeps what a step refuses, if that is asked for.
    #[inline]
    pub(super) fn note_refusals(&mut self, rx: PortId, frame: &Frame<'_>, step: &Step) {
        if self.refusals.is_on {
            self.note(rx, frame, step);
        }
    }

    #[cold]
    fn note(&mut self, rx: PortId, frame: &Frame<'_>, step: &Step) {
        let to = match step.fate {
            Fate::To(to) => to,
            _ => rx,
        };
        let sides = [
            (Direction::Egress, rx, step.egress),
            (Direction::Ingress, to, step.ingress),
        ];
        for (direction, port, side) in sides {
            if let Some(Verdict::Drop(reason)) = side.map(|side| side.verdict) {
                self.refusals.push(Refusal {
                    port,
                    direction,
                    reason,
                    headers: Some(frame.headers),
                });
            }
        }
    }

    /// Keeps a frame of fewer than 14 bytes.
    pub(super) fn note_runt(&mut self, rx: PortId) {
        if self.refusals.is_on {
            self.refusals.push(Refusal {
                port: rx,
                direction: Direction::Egress,
                reason: Reason::Malformed,
                headers: None,
            });
        }
    }
}
