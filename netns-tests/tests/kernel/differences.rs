//! Where the switch says other than the kernel, by name, and when a random conversation may end at
//! such a place.

use crate::{judged::Judged, pair::Answer};
use packet::{Headers, L4, Offload, Tcp, tcp_flags};

/// Every known difference; each has its paragraph in the decision record, and a script or the random
/// conversations show it.
pub(crate) const KNOWN: &[&str] = &[
    "refusal_lingers",
    "reset_before_an_answer",
    "reset_in_the_window",
    "reset_behind_own_data",
    "answer_to_a_stray_syn",
    "reopened_by_the_other_side",
    "reopened_after_a_reset",
    "first_answer_to_a_pickup",
    "unacknowledged_by_number",
    "retransmissions_by_progress",
    "zero_window",
    "edge_of_the_window",
    "sack_of_the_unsent",
    "window_of_a_pickup",
    "simultaneous_open",
    "old_answer_to_a_syn",
    "malformed_by_name",
    "malformed_options",
    "ip_checksum_by_name",
    "redirect",
    "port_zero",
];

/// What has happened in a conversation so far, as far as a difference can follow from it.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// State before the present segment, as both have it.
    state: String,
    picked_up: bool,
    simultaneous: bool,
    stray_syn: bool,
    /// A RST has passed and closed nothing.
    reset_in_the_window: bool,
    /// A RST has ended a handshake; what the ends would have counted from is not known.
    refused: bool,
    /// A segment has passed that began past what was granted.
    past_the_window: bool,
    /// Of what either end may send: the greatest edge the other has granted.
    edges: [Option<u32>; 2],
    scales: [Option<u8>; 2],
    /// Who sent the last RST that passed.
    reset_by: Option<usize>,
}

fn tcp(frame: &[u8]) -> Tcp {
    let headers = Headers::parse(frame, Offload::default()).unwrap();
    match headers.ip().map(|ip| ip.l4) {
        Some(L4::Tcp(tcp)) => tcp,
        other => panic!("a segment, not {other:?}"),
    }
}

const fn is_after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

fn state_of(answer: &Answer) -> &str {
    answer.entry.as_ref().map_or("", |entry| &entry.state)
}

impl Story {
    /// A segment of which both said the same.
    pub(crate) fn tell(&mut self, end: usize, frame: &[u8], both: &Answer) {
        let tcp = tcp(frame);
        if both.judged == Judged::Invalid {
            return;
        }
        let is = |flag: u8| tcp.flags & flag != 0;
        if both.judged == Judged::New && self.state != "SYN_SENT" {
            let picked_up = !is(tcp_flags::SYN) && (self.picked_up || self.state.is_empty());
            *self = Self {
                picked_up,
                ..Self::default()
            };
        }
        if is(tcp_flags::SYN) {
            self.scales[end] = tcp.window_scale;
            self.stray_syn |= !is(tcp_flags::ACK) && !self.state.is_empty();
        }
        self.past_the_window |= self.edges[end].is_some_and(|edge| is_after(tcp.seq, edge));
        if is(tcp_flags::RST) {
            self.reset_by = Some(end);
            self.refused |= self.state == "SYN_SENT";
            let closed = both
                .entry
                .as_ref()
                .is_none_or(|entry| entry.state == "CLOSE");
            self.reset_in_the_window |= !closed;
        }
        if is(tcp_flags::ACK) {
            let scale = match self.scales {
                [Some(_), Some(_)] if !is(tcp_flags::SYN) => self.scales[end].unwrap_or(0),
                _ => 0,
            };
            let edge = tcp.ack.wrapping_add(u32::from(tcp.window) << scale);
            let known = self.edges[1 - end].get_or_insert(edge);
            if is_after(edge, *known) {
                *known = edge;
            }
        }
        self.simultaneous |= state_of(both) == "SYN_SENT2";
        self.state = state_of(both).to_owned();
    }

    /// The known difference at which both parted, `None` where there is none.
    pub(crate) fn explain(
        &self,
        end: usize,
        frame: &[u8],
        kernel: &Answer,
        ours: &Answer,
    ) -> Option<&'static str> {
        let tcp = tcp(frame);
        let is = |flag: u8| tcp.flags & flag != 0;
        let (rst, syn, ack) = (is(tcp_flags::RST), is(tcp_flags::SYN), is(tcp_flags::ACK));
        let state = self.state.as_str();
        let is_beyond = self.edges[end].is_none_or(|edge| is_after(tcp.seq, edge));
        let passes = |answer: &Answer| answer.judged != Judged::Invalid;
        match state {
            _ if rst && kernel.entry.is_none() && passes(ours) => Some("refusal_lingers"),
            "CLOSE" if self.refused && !syn => Some("refusal_lingers"),
            "SYN_SENT" if rst && !passes(ours) => Some("reset_before_an_answer"),
            "CLOSE" if syn && !ack && self.reset_by == Some(end) => {
                Some("reopened_by_the_other_side")
            }
            "CLOSE" if syn && !ack && !passes(kernel) => Some("reopened_by_the_other_side"),
            "CLOSE" if syn && !ack => Some("reopened_after_a_reset"),
            _ if self.simultaneous => Some("simultaneous_open"),
            _ if self.stray_syn && (rst || syn && ack) => Some("answer_to_a_stray_syn"),
            "ESTABLISHED" if rst && passes(kernel) && passes(ours) => Some("reset_behind_own_data"),
            _ if self.picked_up => Some("window_of_a_pickup"),
            "SYN_SENT" if syn && ack => Some("old_answer_to_a_syn"),
            _ if is_beyond || self.past_the_window => Some("edge_of_the_window"),
            _ if self.reset_in_the_window => Some("reset_in_the_window"),
            _ => None,
        }
    }
}

#[test]
fn every_known_difference_is_explained_and_nothing_else_is() {
    let folder = netns_tests::binary::root().join("docs/decisions");
    let files = std::fs::read_dir(folder).unwrap();
    let record = files
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.to_string_lossy()
                .ends_with("differences-from-nf-conntrack.md")
        })
        .unwrap();
    let text = std::fs::read_to_string(record).unwrap();
    let explained: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(explained, KNOWN);
}
