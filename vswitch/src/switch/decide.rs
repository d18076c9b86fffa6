//! The fate of one frame, on one screen.

use super::fdb::Destination;
use super::step::{Fate, Judged, Step};
use super::watch::{Observer, Stage};
use super::{Frame, Now, Switch};
use packet::Reason;
use secgroup::PortId;

impl Switch {
    /// The life of one frame, top to bottom; `copy` is the receiver of one copy of a flood, whose
    /// sender's side has been decided before. Changes nothing.
    #[inline]
    pub(super) fn decide(
        &self,
        now: Now,
        rx: PortId,
        frame: &Frame<'_>,
        copy: Option<PortId>,
        watch: &mut impl Observer,
    ) -> Step {
        let Some(sender) = self.port(rx) else {
            return Step::new(Fate::Nowhere);
        };
        let headers = &frame.headers;

        let destination = match copy {
            Some(to) => Destination::One(to),
            None => {
                watch.see(|| Stage::Received {
                    port: sender,
                    headers,
                });
                if let Err(reason) = sender.guard.admit(frame.bytes, headers) {
                    return Step {
                        egress: Some(Judged::refused(reason)),
                        ..Step::new(Fate::Nowhere)
                    };
                }
                watch.see(|| Stage::Admitted { port: sender });
                self.fdb
                    .destination(sender.config.segment, headers.eth.dst, rx)
            }
        };
        watch.see(|| Stage::Destined { destination });

        let (receiver, fate) = match destination {
            Destination::One(to) => (self.port(to), Fate::To(to)),
            Destination::All | Destination::Unknown => (None, Fate::Flood),
            Destination::None => (None, Fate::Nowhere),
        };
        let mut step = match (headers.ip(), receiver) {
            (Some(ip), _) if self.is_later_fragment(sender, receiver, ip) => {
                let fate = (fate, copy.is_some());
                return self.follow_first(now, (sender, receiver), frame, ip, fate, watch);
            }
            (Some(ip), Some(receiver)) if self.is_tracked(sender, receiver, headers) => {
                let step = self.track_any(now, (sender, receiver), frame, ip, watch);
                step.unwrap_or_else(|| Step::refused(sender, Some(receiver), Reason::Malformed))
            }
            _ => Self::judge_alone(&self.members, sender, receiver, frame),
        };
        if destination == Destination::Unknown
            && let Some((egress, tracked)) = self.side_towards_unknown(now, sender, frame)
        {
            (step.egress, step.tracked) = (Some(egress), tracked);
        }
        let is_copy = copy.is_some();
        self.begin_fragments(now, (sender, receiver), headers, is_copy, &mut step);
        if is_copy {
            step = step.as_copy(receiver, frame);
            if step.is_refused_by_rules() && secgroup::is_announcement(headers) {
                step.ingress = None;
            }
        }
        step.fate = fate;
        watch.see(|| Stage::Decided {
            sender,
            receiver,
            step,
        });
        step
    }
}
