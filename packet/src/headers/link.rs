//! Ethernet and 802.1Q.

use super::{Defect, Ethernet, Vlan, ethertype};
use crate::Mac;

/// The VLAN identifier's bits in a tag; the others are priority.
const VID_MASK: u16 = 0x0fff;

impl Ethernet {
    /// Bytes of the header, its tag included: where the network layer starts in the frame. A
    /// [`Vlan::Double`] frame is not looked into, and counts as untagged here.
    #[inline]
    #[must_use]
    pub const fn header_len(&self) -> usize {
        match self.vlan {
            Vlan::Untagged | Vlan::Double => 14,
            Vlan::Priority | Vlan::Tagged(_) => 18,
        }
    }
}

/// The header and what is wrong with it. `None` below 14 bytes.
#[inline]
pub(super) fn parse(frame: &[u8]) -> Option<(Ethernet, Option<Defect>)> {
    let (header, body) = frame.split_first_chunk::<14>()?;
    let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = *header;
    let mut eth = Ethernet {
        dst: Mac([d0, d1, d2, d3, d4, d5]),
        src: Mac([s0, s1, s2, s3, s4, s5]),
        vlan: Vlan::Untagged,
        ethertype: u16::from_be_bytes([t0, t1]),
    };
    let mut defect = None;
    match (eth.ethertype, body.first_chunk::<4>()) {
        (ethertype::VLAN, None) => defect = Some(Defect::Tag),
        (ethertype::VLAN, Some([c0, c1, t0, t1])) => {
            eth.ethertype = u16::from_be_bytes([*t0, *t1]);
            eth.vlan = match (eth.ethertype, u16::from_be_bytes([*c0, *c1]) & VID_MASK) {
                (ethertype::VLAN | ethertype::QINQ | ethertype::QINQ_BEFORE, _) => Vlan::Double,
                (_, 0) => Vlan::Priority,
                (_, vid) => Vlan::Tagged(vid),
            };
        }
        (ethertype::QINQ | ethertype::QINQ_BEFORE, _) => eth.vlan = Vlan::Double,
        _ => {}
    }
    Some((eth, defect))
}
