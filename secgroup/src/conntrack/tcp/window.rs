//! Whether a segment lies where its sender may send: Linux's `tcp_in_window`, in 12 bytes per side.
//!
//! G. van Rooij, "Real stateful TCP packet filtering in IP Filter": a segment is inside if
//!
//! ```text
//!   I    seq  ≤  other.acked + other.window             what the other side has granted
//!   II   end  ≥  me.end − other.window                  else an old duplicate
//!   III  sack ≤  other.end                              no acknowledgement of what was never sent
//!   IV   sack ≥  other.end − max(me.window, 66000)      else overly delayed
//! ```
//!
//! Linux keeps the greatest right edge ever granted (`td_maxend`) for I. Here it is the sum of the
//! greatest acknowledgement and the greatest window: never less than any single edge, so at most more
//! liberal, and four bytes shorter. A segment that fails II or IV passes without effect, as in Linux:
//! the ends discard or answer it, and refusing it would call reordering invalid. So does one that
//! fails I alone and by less than a window: some ends send more than they were granted, and were its
//! end forgotten, the acknowledgement of it would fail III, and with it all that follows.

use super::{
    super::{Invalid, Way},
    Peer, TcpWindow,
};
use packet::{Ip, Tcp, tcp_flags};

/// Greatest window scale (RFC 7323, section 2.3).
const SCALE_MAX: u8 = 14;
/// How far an acknowledgement may lag whatever the window: Linux's `MAXACKWINCONST`.
const ACK_LAG: u32 = 66_000;

/// Most that a segment can hold beyond its first fragment, bytes.
const PART_MAX: u32 = u16::MAX as u32;

/// Has sent something: `end` and `max_win` hold.
pub(super) const SEEN: u8 = 0x01;
/// Has acknowledged something: `acked` holds. Before that it is the initial sequence number.
pub(super) const ACKED: u8 = 0x02;
/// More than `end` may have been sent: of a connection picked up in the middle, before; of a segment
/// in fragments, behind the first.
pub(super) const LOOSE: u8 = 0x04;
/// The last packet was its SYN, let pass without effect on a connection that stands.
pub(super) const SYN_AGAIN: u8 = 0x08;
/// Answered a SYN by an ACK of something older; `acked` is the sequence number of the RST to be expected.
pub(super) const CHALLENGED: u8 = 0x10;
/// Count of retransmissions in a row, 0 to 3.
const RETRANS: u8 = 0xc0;
const RETRANS_ONE: u8 = 0x40;

/// Where a segment lies.
pub(super) enum Place {
    /// Inside.
    Inside,
    /// Behind the window: an old duplicate.
    Behind,
    /// Beyond it, by less than a window; its end is remembered.
    Beyond,
}

/// Judges a segment of an established exchange, and makes of the window what it is afterwards: of one
/// that lies behind, or outside, nothing else.
#[inline]
pub(super) fn place(window: &mut TcpWindow, way: Way, tcp: &Tcp) -> Result<Place, Invalid> {
    let (mine, others) = (way as usize, way.opposite() as usize);
    let (mut me, mut other) = (window.peers[mine], window.peers[others]);
    let end = end_of(tcp);
    if !me.is(SEEN) {
        me.start_in_the_middle(tcp, end);
    }
    let ack = acknowledgement(tcp);
    let sack = ack.map_or(other.end, |ack| furthest(ack, other.sacked(tcp)));
    let granted = me.granted(tcp, sack.wrapping_sub(ack.unwrap_or(sack)));

    let too_old = other.is(SEEN) && is_after(me.end.wrapping_sub(other.window()), end);
    let too_late = is_after(other.end.wrapping_sub(me.window().max(ACK_LAG)), sack);
    let grant_end = other.grant_ends_at(me.end);
    if other.is(SEEN) && is_after(tcp.seq, grant_end) {
        let excess = end.wrapping_sub(grant_end).wrapping_add(1);
        if excess > other.window() || too_old || too_late || is_after(sack, other.end) {
            return Err(Invalid("seq"));
        }
        me.end = furthest(me.end, Some(end));
        window.peers[mine] = me;
        return Ok(Place::Beyond);
    }
    // Before a flow was picked up, its sender may have sent what this one had granted.
    let unseen = if other.is(LOOSE) {
        me.window().max(granted)
    } else {
        0
    };
    if is_after(sack, other.end.wrapping_add(unseen)) {
        return Err(Invalid("ack"));
    }
    if too_old || too_late {
        return Ok(Place::Behind);
    }
    me.count_retransmission(tcp, end, ack);
    me.sent(end, granted);
    if let Some(ack) = ack {
        me.acknowledge(ack);
    }
    other.was_acknowledged(sack);
    window.peers[mine] = me;
    window.peers[others] = other;
    Ok(Place::Inside)
}

/// An acknowledgement and nothing else that the table minds. Selective acknowledgements are for [`place`].
#[inline]
pub(in super::super) const fn is_plain(tcp: &Tcp) -> bool {
    const COUNTED: u8 =
        tcp_flags::FIN | tcp_flags::SYN | tcp_flags::RST | tcp_flags::ACK | tcp_flags::URG;
    tcp.flags & COUNTED == tcp_flags::ACK && tcp.sack.is_none()
}

/// What is known of a sender after a segment as nearly all are: an ACK, no news but data and what it
/// acknowledges, in its place, between two ends of which nothing is remembered. `None` says nothing: ask
/// [`place`].
#[inline(always)]
pub(in super::super) fn in_step(window: &TcpWindow, way: Way, tcp: &Tcp) -> Option<Peer> {
    const IN_STEP: u8 = SEEN | ACKED;
    let (mine, others) = (way as usize, way.opposite() as usize);
    let (mut me, other) = (window.peers[mine], window.peers[others]);
    if !is_plain(tcp) || me.flags != IN_STEP || other.flags != IN_STEP {
        return None;
    }
    let end = end_of(tcp);
    let lag = me.window().max(ACK_LAG);
    let is_in_place = !is_after(tcp.seq, other.acked.wrapping_add(other.window()))
        && !is_after(tcp.ack, other.end)
        && !is_after(me.end.wrapping_sub(other.window()), end)
        && !is_after(other.end.wrapping_sub(lag), tcp.ack);
    let is_new = is_after(end, me.end) || is_after(tcp.ack, me.acked);
    if !is_in_place || (!is_new && tcp.payload_len > 0) {
        return None;
    }
    me.widen(me.granted(tcp, 0));
    me.end = furthest(me.end, Some(end));
    me.acked = furthest(me.acked, Some(tcp.ack));
    Some(me)
}

impl TcpWindow {
    /// The first SYN of a connection.
    pub(super) fn by_syn(tcp: &Tcp) -> Self {
        Self {
            peers: [Peer::by_syn(tcp), Peer::default()],
        }
    }

    /// A connection picked up in the middle: nothing is known of its scales, so the largest is assumed.
    pub(super) fn by_ack(tcp: &Tcp) -> Self {
        let mut first = Peer {
            scale: SCALE_MAX,
            flags: LOOSE,
            ..Peer::default()
        };
        let other = Peer {
            end: tcp.ack,
            ..first
        };
        first.start_in_the_middle(tcp, end_of(tcp));
        first.acknowledge(tcp.ack);
        Self {
            peers: [first, other],
        }
    }

    /// Whether the other end has said anything. A connection picked up in the middle is established by
    /// its state, and may yet be nobody's.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.peers[1].is(SEEN)
    }

    /// The sender of a packet that goes this way, and the other side.
    #[inline]
    pub(super) fn sides(&self, way: Way) -> (&Peer, &Peer) {
        let [first, second] = &self.peers;
        if way == Way::Original {
            (first, second)
        } else {
            (second, first)
        }
    }

    /// See [`Self::sides`].
    #[inline]
    pub(super) fn sides_mut(&mut self, way: Way) -> (&mut Peer, &mut Peer) {
        let [first, second] = &mut self.peers;
        if way == Way::Original {
            (first, second)
        } else {
            (second, first)
        }
    }

    /// Puts the window scales in force once both SYNs are known: both or none (RFC 7323, section 1.3).
    pub(super) fn agree_on_scales(&mut self) {
        let both = self.peers.iter().all(|peer| peer.offered().is_some());
        for peer in &mut self.peers {
            peer.set_scale(peer.offered().filter(|_| both).unwrap_or(0));
        }
    }

    /// The first fragment of a segment does not say how long the segment is: its sender may be
    /// acknowledged more than is known of it.
    #[inline]
    pub(in super::super) fn reckon_with_parts(&mut self, way: Way, ip: &Ip) {
        if ip.fragment.is_some() {
            self.sides_mut(way).0.flags |= LOOSE;
        }
    }

    /// Whether one side has sent something that the other has not acknowledged, or not answered at all.
    #[inline]
    pub(in super::super) fn is_unacknowledged(&self) -> bool {
        let waits =
            |me: &Peer, other: &Peer| me.is(SEEN) && !(other.is(ACKED) && other.acked == me.end);
        let [first, second] = &self.peers;
        waits(first, second) || waits(second, first)
    }

    /// Whether one side has retransmitted three times in a row (Linux's `tcp_max_retrans`).
    #[inline]
    pub(in super::super) fn is_retransmitting(&self) -> bool {
        self.peers
            .iter()
            .any(|peer| peer.flags & RETRANS == RETRANS)
    }
}

impl Peer {
    /// The sender of this SYN or SYN|ACK. Its window is not scaled yet (RFC 7323, section 2.2).
    pub(super) fn by_syn(tcp: &Tcp) -> Self {
        let mut peer = Self {
            end: end_of(tcp),
            acked: tcp.seq,
            max_win: tcp.window.max(1),
            scale: 0,
            flags: SEEN,
        };
        peer.offer(tcp);
        if tcp.flags & tcp_flags::ACK != 0 {
            peer.acknowledge(tcp.ack);
        }
        peer
    }

    #[inline]
    pub(super) const fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether `ack` acknowledges the SYN of a side that has sent no more than that and its data.
    pub(super) const fn is_syn_acknowledged_by(&self, ack: u32) -> bool {
        let unseen = if self.is(LOOSE) { PART_MAX } else { 0 };
        self.is(SEEN) && is_after(ack, self.acked) && !is_after(ack, self.end.wrapping_add(unseen))
    }

    /// Whether `ack` acknowledges what came before this side's SYN, its first so far.
    pub(super) const fn is_overtaken(&self, ack: u32) -> bool {
        !is_after(ack, self.acked)
    }

    /// Answers a SYN by what makes its sender reset an older connection.
    pub(super) const fn challenge(&mut self, tcp: &Tcp) {
        self.acked = tcp.ack;
        self.flags |= CHALLENGED;
    }

    /// What a segment of the other side acknowledges selectively. A block past what this side has sent
    /// counts for nothing, as its receiver ignores it: firewalls that renumber segments forget the blocks.
    #[inline]
    fn sacked(&self, tcp: &Tcp) -> Option<u32> {
        let is_sent = |edge: &u32| self.is(LOOSE) || !is_after(*edge, self.end);
        tcp.sack.filter(is_sent)
    }

    /// Greatest window offered, bytes.
    #[inline]
    pub(super) fn window(&self) -> u32 {
        u32::from(self.max_win) << (self.scale & 0x0f)
    }

    /// Remembers the scale that a SYN offers: one more than it, in the upper half.
    pub(super) fn offer(&mut self, tcp: &Tcp) {
        let offered = tcp.window_scale.map_or(0, |scale| scale.min(SCALE_MAX) + 1);
        self.scale = self.scale & 0x0f | offered << 4;
    }

    /// Widens the greatest window; stored rounded up, at least one unit, so that a probe of a closed
    /// window passes.
    #[inline]
    pub(super) fn widen(&mut self, bytes: u32) {
        let scale = self.scale & 0x0f;
        let floor = bytes >> scale;
        let units = floor + u32::from(floor << scale != bytes);
        self.max_win = self.max_win.max(units.clamp(1, u16::MAX.into()) as u16);
    }

    fn set_scale(&mut self, scale: u8) {
        let bytes = self.window();
        self.scale = self.scale & 0xf0 | scale;
        self.max_win = 0;
        self.widen(bytes);
    }

    fn offered(&self) -> Option<u8> {
        (self.scale >> 4).checked_sub(1)
    }

    /// The first that is seen of a sender is not its SYN.
    pub(super) fn start_in_the_middle(&mut self, tcp: &Tcp, end: u32) {
        self.end = end;
        self.flags |= SEEN;
        self.widen(self.granted(tcp, 0));
    }

    /// The window this segment grants, bytes. What was received selectively lies behind the
    /// acknowledgement, so it widens the window (Linux's `swin`).
    #[inline]
    fn granted(&self, tcp: &Tcp, sacked: u32) -> u32 {
        let scale = if tcp.flags & tcp_flags::SYN != 0 {
            0
        } else {
            self.scale & 0x0f
        };
        (u32::from(tcp.window) << scale).saturating_add(sacked)
    }

    /// Up to where the other side, which has sent up to `end`, may start a segment.
    #[inline]
    fn grant_ends_at(&self, end: u32) -> u32 {
        let from = if self.is(ACKED) { self.acked } else { end };
        from.wrapping_add(self.window())
    }

    #[inline]
    fn sent(&mut self, end: u32, granted: u32) {
        self.widen(granted);
        self.end = furthest(self.end, Some(end));
        self.flags &= !SYN_AGAIN;
    }

    #[inline]
    fn acknowledge(&mut self, ack: u32) {
        let before = if self.is(ACKED) { self.acked } else { ack };
        self.acked = furthest(before, Some(ack));
        self.flags |= ACKED;
    }

    #[inline]
    fn was_acknowledged(&mut self, sack: u32) {
        // Beyond `end` only if this flow was picked up.
        self.end = furthest(self.end, Some(sack));
        self.flags &= !(SYN_AGAIN | RETRANS);
    }

    #[inline]
    fn count_retransmission(&mut self, tcp: &Tcp, end: u32, ack: Option<u32>) {
        // Until it has acknowledged something there is nothing to repeat.
        let acknowledges = ack.is_some_and(|ack| !self.is(ACKED) || is_after(ack, self.acked));
        if is_after(end, self.end) || acknowledges {
            self.flags &= !RETRANS;
        } else if tcp.payload_len > 0 && self.flags & RETRANS != RETRANS {
            self.flags += RETRANS_ONE;
        }
    }
}

/// Sequence number behind a segment; SYN and FIN count one each. GSO frames count all their payload.
#[inline]
pub(super) const fn end_of(tcp: &Tcp) -> u32 {
    let flags = (tcp.flags & tcp_flags::SYN != 0) as u32 + (tcp.flags & tcp_flags::FIN != 0) as u32;
    tcp.seq.wrapping_add(tcp.payload_len).wrapping_add(flags)
}

/// Whether `a` is after `b` in sequence space (RFC 9293, section 3.4).
#[inline]
pub(super) const fn is_after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

/// The acknowledgement of a segment. Some stacks send RST|ACK with zero and mean none.
#[inline]
const fn acknowledgement(tcp: &Tcp) -> Option<u32> {
    let has_ack = tcp.flags & tcp_flags::ACK != 0;
    let is_rst = tcp.flags & tcp_flags::RST != 0;
    if has_ack && !(is_rst && tcp.ack == 0) {
        Some(tcp.ack)
    } else {
        None
    }
}

#[inline]
const fn furthest(a: u32, b: Option<u32>) -> u32 {
    match b {
        Some(b) if is_after(b, a) => b,
        _ => a,
    }
}
