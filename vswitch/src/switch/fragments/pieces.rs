//! Which pieces of a datagram have come, and how another lies to them.

use packet::Fragment;

/// Pieces of one datagram that are remembered. A datagram of 64 KiB in packets of 576 bytes, the least
/// that every IPv4 host takes (RFC 791), has 119; Linux makes at most 53 of IPv6's least MTU.
pub(super) const PIECES: usize = 128;

/// A fragment's place in its datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    from: u16,
    to: u16,
    is_last: bool,
}

impl Piece {
    pub(super) fn of(fragment: Fragment) -> Self {
        Self {
            from: fragment.offset,
            // Longer than a datagram can be is malformed, and does not come here.
            to: fragment.offset.saturating_add(fragment.len),
            is_last: !fragment.more,
        }
    }
}

/// How a piece lies to those that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lies {
    /// Beside them all: it belongs there.
    Beside,
    /// On one of them, exactly: the network or the sender has doubled it.
    Repeats,
    /// On part of them, or against the datagram's end.
    Over,
    /// Beside them, but more than are remembered.
    TooMany,
}

/// The pieces that have come; none lies over another.
#[derive(Debug, Clone, Default)]
pub(super) struct Pieces {
    spans: Vec<(u16, u16)>,
    /// Sum of their lengths.
    sum: u32,
    /// Where the datagram ends; 0 until its last piece has come.
    end: u16,
}

impl Pieces {
    pub(super) fn lies(&self, piece: Piece) -> Lies {
        let Piece { from, to, is_last } = piece;
        let over = |&(start, end): &(u16, u16)| from < end && start < to;
        let beyond = self.end > 0 && (is_last || to > self.end);
        let cuts = is_last && self.spans.iter().any(|&(_, end)| end > to);
        if self.spans.contains(&(from, to)) && is_last == (self.end == to) {
            Lies::Repeats
        } else if beyond || cuts || self.spans.iter().any(over) {
            Lies::Over
        } else if self.spans.len() == PIECES {
            Lies::TooMany
        } else {
            Lies::Beside
        }
    }

    /// Adds a piece that lies beside the others.
    pub(super) fn add(&mut self, piece: Piece) {
        self.spans.push((piece.from, piece.to));
        self.sum += u32::from(piece.to - piece.from);
        if piece.is_last {
            self.end = piece.to;
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.end > 0 && self.sum == u32::from(self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn piece(from: u16, to: u16) -> Piece {
        Piece {
            from,
            to,
            is_last: false,
        }
    }

    const fn last(from: u16, to: u16) -> Piece {
        Piece {
            from,
            to,
            is_last: true,
        }
    }

    fn of(pieces: &[Piece]) -> Pieces {
        let mut of = Pieces::default();
        pieces.iter().for_each(|&piece| of.add(piece));
        of
    }

    #[test]
    fn a_datagram_is_whole_when_everything_before_its_end_is_there() {
        let mut pieces = of(&[piece(0, 8), last(16, 20)]);
        assert!(!pieces.is_whole());
        assert_eq!(pieces.lies(piece(8, 16)), Lies::Beside);
        pieces.add(piece(8, 16));
        assert!(pieces.is_whole());
    }

    #[test]
    fn an_exact_repetition_is_told_from_an_overlap() {
        let pieces = of(&[piece(0, 8), piece(8, 24), last(32, 36)]);
        for again in [piece(0, 8), piece(8, 24), last(32, 36)] {
            assert_eq!(pieces.lies(again), Lies::Repeats, "{again:?}");
        }
        for over in [
            piece(0, 16),
            piece(8, 16),
            piece(16, 32),
            piece(32, 36),
            last(8, 24),
        ] {
            assert_eq!(pieces.lies(over), Lies::Over, "{over:?}");
        }
    }

    #[test]
    fn a_datagram_has_one_end() {
        let pieces = of(&[piece(0, 8), last(16, 24)]);
        assert_eq!(pieces.lies(piece(24, 32)), Lies::Over, "behind its end");
        assert_eq!(pieces.lies(last(8, 16)), Lies::Over, "a second end");
        let pieces = of(&[piece(0, 8), piece(16, 24)]);
        assert_eq!(pieces.lies(last(8, 16)), Lies::Over, "before what is there");
    }

    #[test]
    fn more_pieces_than_any_real_datagram_has_are_too_many() {
        let mut pieces = Pieces::default();
        for index in 0..PIECES as u16 {
            pieces.add(piece(index * 16, index * 16 + 8));
        }
        assert_eq!(pieces.lies(piece(8, 16)), Lies::TooMany);
        assert_eq!(pieces.lies(piece(0, 8)), Lies::Repeats);
    }

    proptest! {
        /// The obvious way: an octet is there or not.
        #[test]
        fn pieces_lie_as_their_octets_say(places in prop::collection::vec((0_u16..8, 1_u16..4), 1..12)) {
            let mut pieces = Pieces::default();
            let (mut octets, mut known) = ([false; 96], Vec::new());
            for (from, len) in places {
                let (from, to) = (from * 8, from * 8 + len * 8);
                let covered = octets[usize::from(from)..usize::from(to)].contains(&true);
                let expected = match (known.contains(&(from, to)), covered) {
                    (true, _) => Lies::Repeats,
                    (false, true) => Lies::Over,
                    (false, false) => Lies::Beside,
                };
                prop_assert_eq!(pieces.lies(piece(from, to)), expected);
                if expected == Lies::Beside {
                    pieces.add(piece(from, to));
                    octets[usize::from(from)..usize::from(to)].fill(true);
                    known.push((from, to));
                }
            }
        }
    }
}
