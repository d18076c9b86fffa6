//! pcapng: sections of blocks. Of the blocks those with packets and interfaces are read, all others
//! are passed over, as the format wants it.

use super::{
    Captured, FRAME_MAX, Macs, Problem,
    link::LinkType,
    source::{Order, Source},
};
use std::collections::BTreeMap;

/// Interfaces that are kept of one section; captures of whole hosts stay below a hundred.
pub(super) const INTERFACES_MAX: usize = 4096;
/// Interfaces of link types that are not read whose frames are counted one by one; those of further ones
/// are added to the last.
const FOREIGN_MAX: usize = 256;
/// Longest block that is read: a frame with its options.
const BLOCK_MAX: usize = FRAME_MAX + 64 * 1024;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
/// Type and length in front of a block's body, and the length again behind it.
const FRAMING: u32 = 12;

/// What was read of the current section.
#[derive(Debug)]
pub(super) struct Ng {
    order: Order,
    interfaces: Vec<Interface>,
    /// For simple packets, which carry no time.
    last_time_ns: u64,
    /// Frames that were not read, by interface and link type; of all sections.
    foreign: BTreeMap<(u32, u32), u64>,
}

/// Frames of an interface whose link type is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreign {
    /// Number of the interface in its section, from 0.
    pub interface: u32,
    /// Its link type.
    pub link_type: u32,
    /// How many frames it had.
    pub frames: u64,
}

#[derive(Debug, Clone, Copy)]
struct Interface {
    link_type: u32,
    snap_len: u32,
    resolution: Resolution,
    offset_s: i64,
}

/// Unit of an interface's time stamps (option `if_tsresol`).
#[derive(Debug, Clone, Copy)]
enum Resolution {
    /// 10^-n seconds.
    Decimal(u8),
    /// 2^-n seconds.
    Binary(u8),
}

impl Ng {
    /// Reads the first section header behind its block type.
    pub(super) fn open(source: &mut Source<'_>) -> Result<Self, Problem> {
        let mut ng = Self {
            order: Order::Little,
            interfaces: Vec::new(),
            last_time_ns: 0,
            foreign: BTreeMap::new(),
        };
        ng.section(source)?;
        Ok(ng)
    }

    /// The next packet, `None` at the end of the file.
    pub(super) fn next(&mut self, source: &mut Source<'_>) -> Result<Option<Captured>, Problem> {
        loop {
            let mut kind = [0; 4];
            if !source.fill(&mut kind, "a block")? {
                return Ok(None);
            }
            // A section's type reads the same in both byte orders.
            let kind = self.order.u32(kind);
            if kind == SECTION {
                self.section(source)?;
                continue;
            }
            let len = self.body_len(source)?;
            if !matches!(
                kind,
                INTERFACE | OBSOLETE_PACKET | SIMPLE_PACKET | ENHANCED_PACKET
            ) {
                source.skip(u64::from(len) + 4, "a block")?;
                continue;
            }
            if len as usize > BLOCK_MAX {
                return Err(Problem::Length {
                    what: "a block",
                    len: len.into(),
                    max: BLOCK_MAX as u64,
                });
            }
            let body = source.take_vec(len as usize, "a block")?;
            let _len_again: [u8; 4] = source.take("a block")?;
            let packet = match kind {
                INTERFACE => {
                    self.interface(&body)?;
                    continue;
                }
                SIMPLE_PACKET => self.simple(&body)?,
                _ => self.packet(kind, &body)?,
            };
            if packet.is_some() {
                return Ok(packet);
            }
        }
    }

    /// What was not read, by interface.
    pub(super) fn foreign(&self) -> impl Iterator<Item = Foreign> {
        let foreign = self.foreign.iter();
        foreign.map(|(&(interface, link_type), &frames)| Foreign {
            interface,
            link_type,
            frames,
        })
    }

    /// A section header: fixes the byte order and forgets the interfaces.
    fn section(&mut self, source: &mut Source<'_>) -> Result<(), Problem> {
        let len: [u8; 4] = source.take("a section header")?;
        let magic: [u8; 4] = source.take("a section header")?;
        self.order = match (u32::from_le_bytes(magic), u32::from_be_bytes(magic)) {
            (BYTE_ORDER_MAGIC, _) => Order::Little,
            (_, BYTE_ORDER_MAGIC) => Order::Big,
            _ => return Err(Problem::NotACapture),
        };
        self.interfaces.clear();
        let len = self.order.u32(len);
        // Of the block, 12 bytes are read: type, length and magic.
        match len.checked_sub(12) {
            Some(rest) if len >= 28 => source.skip(rest.into(), "a section header"),
            _ => Err(Problem::Length {
                what: "a section header",
                len: len.into(),
                max: u32::MAX.into(),
            }),
        }
    }

    fn body_len(&self, source: &mut Source<'_>) -> Result<u32, Problem> {
        let len = self.order.u32(source.take("a block")?);
        let body = len.checked_sub(FRAMING).filter(|_| len.is_multiple_of(4));
        body.ok_or(Problem::Length {
            what: "a block",
            len: len.into(),
            max: u32::MAX.into(),
        })
    }

    fn interface(&mut self, body: &[u8]) -> Result<(), Problem> {
        if body.len() < 8 {
            return Err(Problem::CutOff("an interface description"));
        }
        if self.interfaces.len() == INTERFACES_MAX {
            return Err(Problem::TooManyInterfaces);
        }
        let mut interface = Interface {
            link_type: self.order.u16_at(body, 0).into(),
            snap_len: self.order.u32_at(body, 4),
            resolution: Resolution::Decimal(6),
            offset_s: 0,
        };
        for (code, value) in options(self.order, &body[8..]) {
            match (code, value) {
                (9, &[resolution, ..]) if resolution & 0x80 == 0 => {
                    interface.resolution = Resolution::Decimal(resolution);
                }
                (9, &[resolution, ..]) => {
                    interface.resolution = Resolution::Binary(resolution & 0x7f);
                }
                (14, value) if value.len() >= 8 => {
                    let (first, second) =
                        (self.order.u32_at(value, 0), self.order.u32_at(value, 4));
                    let (high, low) = if self.order == Order::Big {
                        (first, second)
                    } else {
                        (second, first)
                    };
                    interface.offset_s = (u64::from(high) << 32 | u64::from(low)).cast_signed();
                }
                _ => {}
            }
        }
        self.interfaces.push(interface);
        Ok(())
    }

    /// An enhanced packet, or the obsolete form, whose interface is 16 bits and a drop count. `None` of a
    /// link type that is not read.
    fn packet(&mut self, kind: u32, body: &[u8]) -> Result<Option<Captured>, Problem> {
        if body.len() < 20 {
            return Err(Problem::CutOff("a packet"));
        }
        let id = if kind == OBSOLETE_PACKET {
            self.order.u16_at(body, 0).into()
        } else {
            self.order.u32_at(body, 0)
        };
        let Some((interface, link)) = self.readable(id)? else {
            return Ok(None);
        };
        let [high, low, kept, wire_len] = [4, 8, 12, 16].map(|at| self.order.u32_at(body, at));
        let frame = frame(&body[20..], kept)?;
        self.last_time_ns = interface.time_ns(u64::from(high) << 32 | u64::from(low));
        Ok(Some(link.into_ethernet(Captured {
            time_ns: self.last_time_ns,
            frame,
            wire_len: wire_len.max(kept),
            macs: Macs::Both,
        })))
    }

    /// A packet of the first interface, without time: it takes that of the packet before.
    fn simple(&mut self, body: &[u8]) -> Result<Option<Captured>, Problem> {
        if body.len() < 4 {
            return Err(Problem::CutOff("a packet"));
        }
        let Some((interface, link)) = self.readable(0)? else {
            return Ok(None);
        };
        let wire_len = self.order.u32_at(body, 0);
        let limit = if interface.snap_len == 0 {
            u32::MAX
        } else {
            interface.snap_len
        };
        let frame = frame(&body[4..], wire_len.min(limit))?;
        Ok(Some(link.into_ethernet(Captured {
            time_ns: self.last_time_ns,
            frame,
            wire_len,
            macs: Macs::Both,
        })))
    }

    /// An interface and how its frames are read; `None`, and counted, where they are not.
    fn readable(&mut self, id: u32) -> Result<Option<(Interface, LinkType)>, Problem> {
        let interface = self.interfaces.get(id as usize).copied();
        let interface = interface.ok_or(Problem::NoInterface(id))?;
        let link = LinkType::of(interface.link_type);
        if link.is_none() {
            let key = (id, interface.link_type);
            let is_full = self.foreign.len() >= FOREIGN_MAX && !self.foreign.contains_key(&key);
            let counted = match self.foreign.last_entry() {
                Some(last) if is_full => last.into_mut(),
                _ => self.foreign.entry(key).or_default(),
            };
            *counted += 1;
        }
        Ok(link.map(|link| (interface, link)))
    }
}

impl Interface {
    /// A time stamp in nanoseconds since the epoch, kept within what 64 bits hold.
    fn time_ns(self, stamp: u64) -> u64 {
        const SECOND_NS: u128 = 1_000_000_000;
        let ns = match self.resolution {
            Resolution::Decimal(n) => {
                // 10^38 is the last power that 128 bits hold, and any time in that unit is 0.
                let units = 10u128.checked_pow(n.into()).unwrap_or(u128::MAX);
                u128::from(stamp) * SECOND_NS / units
            }
            Resolution::Binary(n) => (u128::from(stamp) * SECOND_NS) >> n,
        };
        let ns = i128::try_from(ns).unwrap_or(i128::MAX);
        let offset_ns = i128::from(self.offset_s) * 1_000_000_000;
        u64::try_from(ns.saturating_add(offset_ns).max(0)).unwrap_or(u64::MAX)
    }
}

fn frame(bytes: &[u8], kept: u32) -> Result<Vec<u8>, Problem> {
    if kept as usize > FRAME_MAX {
        return Err(Problem::Length {
            what: "a frame",
            len: kept.into(),
            max: FRAME_MAX as u64,
        });
    }
    bytes
        .get(..kept as usize)
        .map(<[u8]>::to_vec)
        .ok_or(Problem::CutOff("a packet"))
}

/// Walks options (code, length, value, padding to 4); stops at the first that lies about its length.
fn options(order: Order, mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (code, len) = (order.u16_at(bytes, 0), usize::from(order.u16_at(bytes, 2)));
        if code == 0 {
            return None;
        }
        let value = bytes.get(4..4 + len)?;
        bytes = bytes.get(4 + len.next_multiple_of(4)..).unwrap_or_default();
        Some((code, value))
    })
}
