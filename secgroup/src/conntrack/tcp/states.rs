//! Which segment leads where: Linux's table, laid out as in `nf_conntrack_proto_tcp.c`.

use crate::conntrack::{State, Way};
use packet::tcp_flags::{ACK, FIN, RST, SYN, URG};

/// What a legal flag set amounts to; the table's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Segment {
    Syn,
    SynAck,
    Fin,
    Ack,
    Rst,
}

impl Segment {
    /// `None` for a flag set that no TCP sends (`tcp_valid_flags`). PSH, ECE and CWR do not count.
    #[inline]
    pub(super) const fn of(flags: u8) -> Option<Self> {
        const SYN_URG: u8 = SYN | URG;
        const SYN_ACK: u8 = SYN | ACK;
        const RST_ACK: u8 = RST | ACK;
        const FIN_ACK: u8 = FIN | ACK;
        const FIN_ACK_URG: u8 = FIN | ACK | URG;
        const ACK_URG: u8 = ACK | URG;
        match flags & (FIN | SYN | RST | ACK | URG) {
            SYN | SYN_URG => Some(Self::Syn),
            SYN_ACK => Some(Self::SynAck),
            FIN_ACK | FIN_ACK_URG => Some(Self::Fin),
            ACK | ACK_URG => Some(Self::Ack),
            RST | RST_ACK => Some(Self::Rst),
            _ => None,
        }
    }
}

/// What the table says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It does not belong to the connection.
    Invalid,
    /// It passes and changes nothing: the ends may know better than the table.
    Ignore,
    /// A new connection on the tuple of a finished one.
    Reopen,
    /// If it lies within the window, the connection goes there.
    To(State),
}

const IV: Step = Step::Invalid;
const IG: Step = Step::Ignore;
const RO: Step = Step::Reopen;
const SS: Step = Step::To(State::SynSent);
const S2: Step = Step::To(State::SynSent2);
const SR: Step = Step::To(State::SynRecv);
const ES: Step = Step::To(State::Established);
const FW: Step = Step::To(State::FinWait);
const CW: Step = Step::To(State::CloseWait);
const LA: Step = Step::To(State::LastAck);
const TW: Step = Step::To(State::TimeWait);
const CL: Step = Step::To(State::Close);

/// Row: [`Segment`]. Column: state before. Differs from Linux in one place: a SYN of the other side
/// reopens a reset connection too (there it is invalid); the rules are asked again in any case.
#[rustfmt::skip]
const TABLE: [[[Step; 9]; 5]; 2] = [
    [ // the way of the first packet
        //         SS  S2  SR  ES  FW  CW  LA  TW  CL
        /*syn*/    [SS, S2, IG, IG, IG, IG, IG, RO, RO],
        /*synack*/ [IV, SR, SR, IV, IV, IV, IV, IV, IV],
        /*fin*/    [IV, IV, FW, FW, LA, LA, LA, TW, CL],
        /*ack*/    [IV, IV, ES, ES, CW, CW, TW, TW, CL],
        /*rst*/    [CL, CL, CL, CL, CL, CL, CL, CL, CL],
    ],
    [ // against it
        //         SS  S2  SR  ES  FW  CW  LA  TW  CL
        /*syn*/    [S2, S2, IV, IV, IV, IV, IV, RO, RO],
        /*synack*/ [SR, SR, IG, IG, IG, IG, IG, IG, IG],
        /*fin*/    [IV, IV, FW, FW, LA, LA, LA, TW, CL],
        /*ack*/    [IG, IG, SR, ES, CW, CW, TW, TW, CL],
        /*rst*/    [CL, CL, CL, CL, CL, CL, CL, CL, CL],
    ],
];

/// Where a segment that goes this way leads from `state`.
#[inline]
pub(super) const fn step(state: State, way: Way, segment: Segment) -> Step {
    let column = match state {
        State::SynSent => 0,
        State::SynSent2 => 1,
        State::SynRecv => 2,
        State::Established => 3,
        State::FinWait => 4,
        State::CloseWait => 5,
        State::LastAck => 6,
        State::TimeWait => 7,
        State::Close => 8,
        // No state of TCP.
        State::Counted | State::New | State::Replied | State::Stream => return Step::Invalid,
    };
    TABLE[way as usize][segment as usize][column]
}

#[cfg(test)]
mod tests {
    use super::*;
    use packet::tcp_flags::{CWR, ECE, PSH};

    #[test]
    fn nine_flag_sets_are_legal_and_no_other() {
        let counted = FIN | SYN | RST | ACK | URG;
        let legal = (0..=u8::MAX).filter(|f| f & !counted == 0 && Segment::of(*f).is_some());
        assert_eq!(legal.count(), 9);
        for illegal in [
            0,
            FIN,
            URG,
            SYN | FIN,
            SYN | RST,
            FIN | RST,
            FIN | PSH | URG,
            RST | URG,
        ] {
            assert_eq!(Segment::of(illegal), None, "{illegal:#x}");
        }
        assert_eq!(Segment::of(SYN | ECE | CWR), Some(Segment::Syn));
        assert_eq!(Segment::of(ACK | PSH), Some(Segment::Ack));
    }
}
