//! Classic pcap: a header of 24 bytes, then records of 16 bytes and a frame.

use super::{
    Captured, FRAME_MAX, Macs, Problem,
    link::LinkType,
    source::{Order, Source},
};

const MICROSECONDS: u32 = 0xa1b2_c3d4;
pub(super) const NANOSECONDS: u32 = 0xa1b2_3c4d;

/// What the file's header says.
#[derive(Debug)]
pub(super) struct Classic {
    order: Order,
    /// Nanoseconds in the unit of a record's second time field.
    unit_ns: u64,
    link: LinkType,
}

impl Classic {
    /// Reads the rest of the header behind its magic number.
    pub(super) fn open(magic: [u8; 4], source: &mut Source<'_>) -> Result<Self, Problem> {
        let (order, unit_ns) = match (u32::from_le_bytes(magic), u32::from_be_bytes(magic)) {
            (MICROSECONDS, _) => (Order::Little, 1000),
            (NANOSECONDS, _) => (Order::Little, 1),
            (_, MICROSECONDS) => (Order::Big, 1000),
            (_, NANOSECONDS) => (Order::Big, 1),
            _ => return Err(Problem::NotACapture),
        };
        let header: [u8; 20] = source.take("the file header")?;
        // The upper 16 bits tell of a frame check sequence, not of the link type.
        let link_type = order.u32_at(&header, 16) & 0xffff;
        match LinkType::of(link_type) {
            Some(link) => Ok(Self {
                order,
                unit_ns,
                link,
            }),
            None => Err(Problem::LinkType(link_type)),
        }
    }

    /// The next record, `None` at the end of the file.
    pub(super) fn next(&mut self, source: &mut Source<'_>) -> Result<Option<Captured>, Problem> {
        let mut header = [0; 16];
        if !source.fill(&mut header, "a record")? {
            return Ok(None);
        }
        let [seconds, fraction, kept, wire_len] =
            [0, 4, 8, 12].map(|at| self.order.u32_at(&header, at));
        if kept as usize > FRAME_MAX {
            return Err(Problem::Length {
                what: "a frame",
                len: kept.into(),
                max: FRAME_MAX as u64,
            });
        }
        let frame = source.take_vec(kept as usize, "a frame")?;
        // At most 2^32 seconds: far from the end of u64.
        let time_ns = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.unit_ns;
        Ok(Some(self.link.into_ethernet(Captured {
            time_ns,
            frame,
            wire_len: wire_len.max(kept),
            macs: Macs::Both,
        })))
    }
}
