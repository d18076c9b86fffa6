//! What waits, kept beside the switch: fragments ahead of their first, and what becomes of them.

use crate::laboratory::{Lab, receiver};
use packet::{Basis, Reason, VNET_HDR_LEN, Verdict};
use secgroup::PortId;
use std::collections::BTreeMap;
use std::net::IpAddr;
use vswitch::switch::{Fate, FragmentStep, Frame, Judged, PortCounters, Step, Tracked, Upper};

type Counters = BTreeMap<PortId, PortCounters>;

/// A frame that waited, and who gets it.
pub(crate) type Freed = (Vec<u8>, Vec<PortId>);

/// Sender, receiver, addresses, protocol (not of IPv6), number.
type Key = (PortId, Option<PortId>, IpAddr, IpAddr, u8, u32);

/// The fragments of one datagram, in the order in which they came.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    key: Key,
    deadline_ms: u32,
    frames: Vec<Vec<u8>>,
}

pub(crate) fn read(whole: &[u8]) -> Frame<'_> {
    let (vnet, bytes) = whole.split_first_chunk::<VNET_HDR_LEN>().unwrap();
    Frame::parse(vnet, bytes).unwrap()
}

fn key_of(rx: PortId, frame: &Frame<'_>, step: &Step) -> Option<Key> {
    let ip = frame.headers.ip()?;
    let to = match step.fragment {
        FragmentStep::Waits { receiver } => receiver,
        _ => receiver(step),
    };
    let protocol = if ip.src.is_ipv4() { ip.protocol } else { 0 };
    Some((rx, to, ip.src, ip.dst, protocol, ip.fragment?.id))
}

impl Lab {
    /// Fragments that wait.
    pub(crate) fn waiting(&self, port: &str) -> usize {
        let number = self.number(port);
        let of_port = self
            .waiting
            .iter()
            .filter(|waiting| waiting.key.0 == number);
        of_port.map(|waiting| waiting.frames.len()).sum()
    }

    /// What `steps`, foretold of a frame, do to those that wait; who gets which.
    pub(crate) fn foretell_waiting(
        &mut self,
        counters: &mut Counters,
        rx: PortId,
        whole: &[u8],
        steps: &[Step],
    ) -> Vec<Freed> {
        let frame = read(whole);
        let Some(key) = steps.first().and_then(|step| key_of(rx, &frame, step)) else {
            return Vec::new();
        };
        let mut freed = Vec::new();
        match steps[0].fragment {
            FragmentStep::Waits { .. } => {
                let waiting = self.take(counters, key);
                let mut waiting = waiting.unwrap_or_else(|| Waiting {
                    key,
                    deadline_ms: self
                        .now
                        .ms
                        .wrapping_add(self.setup.config.settings.timeouts.frag * 1000),
                    frames: Vec::new(),
                });
                waiting.frames.push(whole.to_vec());
                self.waiting.push(waiting);
                let sender = counters.entry(rx).or_default();
                sender.rx += 1;
                sender.rx_bytes += u64::from(frame.headers.wire.bytes);
            }
            FragmentStep::First => {
                let tuple = frame.headers.tuple().unwrap();
                let upper = Upper {
                    protocol: tuple.protocol,
                    ports: (tuple.src_port, tuple.dst_port),
                    ends: frame
                        .headers
                        .ip()
                        .and_then(secgroup::conntrack::ends)
                        .unwrap_or_default(),
                };
                for whole in self
                    .take(counters, key)
                    .into_iter()
                    .flat_map(|waiting| waiting.frames)
                {
                    let steps = self.behind(rx, &read(&whole), steps, upper);
                    let to = self.foretell_freed(counters, rx, &whole, &steps);
                    if !to.is_empty() {
                        freed.push((whole, to));
                    }
                }
            }
            FragmentStep::Overlaps(upper) => {
                for whole in self
                    .take(counters, key)
                    .into_iter()
                    .flat_map(|waiting| waiting.frames)
                {
                    let mut step = self.in_vain(key, Reason::FragOverlap);
                    step.fragment = FragmentStep::Refused(upper);
                    self.foretell_freed(counters, rx, &whole, &[step]);
                }
            }
            FragmentStep::None | FragmentStep::Follows(_) | FragmentStep::Refused(_) => {}
        }
        freed
    }

    /// What waits for a first fragment with this key; if its time is over, that is foretold.
    fn take(&mut self, counters: &mut Counters, key: Key) -> Option<Waiting> {
        let place = self.waiting.iter().position(|waiting| waiting.key == key)?;
        let waiting = self.waiting.swap_remove(place);
        if !self.is_over(&waiting) {
            return Some(waiting);
        }
        self.foretell_timeout(counters, &waiting);
        None
    }

    fn is_over(&self, waiting: &Waiting) -> bool {
        self.now.ms.wrapping_sub(waiting.deadline_ms) as i32 >= 0
    }

    fn foretell_timeout(&mut self, counters: &mut Counters, waiting: &Waiting) {
        for whole in &waiting.frames {
            let step = self.in_vain(waiting.key, Reason::FragTimeout);
            self.foretell_freed(counters, waiting.key.0, whole, &[step]);
        }
    }

    /// The steps of a fragment that has waited for the first one, about which `first` was decided.
    fn behind(&self, rx: PortId, frame: &Frame<'_>, first: &[Step], upper: Upper) -> Vec<Step> {
        let sender = self.switch.port(rx).unwrap();
        if let Err(reason) = sender.guard.admit(frame.bytes, &frame.headers) {
            let egress = Some(Judged::refused(reason));
            return vec![Step {
                egress,
                ..Step::new(Fate::Nowhere)
            }];
        }
        let behind = |step: &Step| {
            let mut step = Step {
                fragment: FragmentStep::Follows(upper),
                tracked: Tracked::No,
                ..*step
            };
            let receiver = receiver(&step).and_then(|to| self.switch.port(to));
            if let Some(port) = receiver.filter(|_| step.is_accept()) {
                let refused = if frame.largest_packet() > u32::from(port.config.mtu) {
                    Some(Reason::Mtu)
                } else if port.filters() {
                    port.guard.receives(frame.bytes, &frame.headers).err()
                } else {
                    None
                };
                if let Some(reason) = refused {
                    step.ingress = Some(Judged::refused(reason));
                }
            }
            step
        };
        first.iter().map(behind).collect()
    }

    /// The step of a fragment whose first does not come.
    fn in_vain(&self, key: Key, reason: Reason) -> Step {
        let filters = |port: PortId| self.switch.port(port).is_some_and(|port| port.filters());
        let to = key.1.filter(|&to| self.switch.port(to).is_some());
        let refused = Some(Judged::refused(reason));
        let step = Step::new(to.map_or(Fate::Nowhere, Fate::To));
        if filters(key.0) || !to.is_some_and(filters) {
            return Step {
                egress: refused,
                ..step
            };
        }
        let unfiltered = Judged::plain(Verdict::Accept(Basis::Unfiltered));
        Step {
            egress: Some(unfiltered),
            ingress: refused,
            ..step
        }
    }

    fn foretell_freed(
        &mut self,
        counters: &mut Counters,
        rx: PortId,
        whole: &[u8],
        steps: &[Step],
    ) -> Vec<PortId> {
        let headers = read(whole).headers;
        let sender = counters.entry(rx).or_default();
        // It arrived before, and arrives again.
        sender.rx -= 1;
        sender.rx_bytes -= u64::from(headers.wire.bytes);
        let (window, everything) = (self.last_window, self.setup.config.recording.everything);
        let mut who = Vec::new();
        for step in steps {
            let to = receiver(step);
            self.foretold
                .foresee(everything, window, rx, &headers, to, step);
            who.extend(self.foretell(counters, rx, &headers, to, step));
        }
        who
    }

    /// Looks whether the switch has found that the time of some is over. That was counted in the window
    /// that was open when it last was looked at.
    pub(crate) fn look(&mut self) {
        self.note_timeouts();
        self.last_window = self.window();
    }

    pub(crate) fn note_timeouts(&mut self) {
        let gone = |key: &Key| self.switch.port(key.0).is_none();
        let (there, _): (Vec<_>, Vec<_>) = self
            .waiting
            .drain(..)
            .partition(|waiting| !gone(&waiting.key));
        self.waiting = there;
        let ports: Vec<(PortId, usize)> = self
            .switch
            .ports()
            .map(|port| (port.number(), port.held() as usize))
            .collect();
        for (number, held) in ports {
            let (of_port, others): (Vec<_>, Vec<_>) = self
                .waiting
                .drain(..)
                .partition(|waiting| waiting.key.0 == number);
            let sum = |all: &[Waiting]| all.iter().map(|one| one.frames.len()).sum::<usize>();
            self.waiting = others;
            if sum(&of_port) == held {
                self.waiting.extend(of_port);
                continue;
            }
            let (over, waiting): (Vec<_>, Vec<_>) = of_port
                .into_iter()
                .partition(|waiting| self.is_over(waiting));
            assert_eq!(sum(&waiting), held, "what waits at {}", self.name(number));
            self.waiting.extend(waiting);
            let mut counters = self.counters();
            for over in over {
                self.foretell_timeout(&mut counters, &over);
            }
        }
    }
}
