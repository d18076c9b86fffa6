//! What a receiver's TAP does not take as it came: partial checksums and segmentation offload,
//! done in software.
//!
//! ```text
//!   vnet header + frame ──▶ [headers₀ part₀] [headers₁ part₁] … with lengths, ids, sequence
//!                           numbers, flags and checksums of their own
//! ```
//!
//! The fall-back where two ports differ in what they negotiated; the packet path between equal
//! ports passes frames through untouched.

use crate::{
    Defect, Gso, Headers, IP_PACKET_MAX, Ip, L4, Offload, VNET_HDR_LEN, checksum::Sum, protocol,
    tcp_flags,
};

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`.
const F_NEEDS_CSUM: u8 = 1;
/// The longest frame that is segmented: the longest packet behind a tagged Ethernet header.
const FRAME_MAX: usize = 18 + IP_PACKET_MAX;

/// Segments of one frame: 64 KiB in segments of 48 bytes, the smallest that Linux makes of TCP
/// (`TCP_MIN_SND_MSS`). Fewer bytes in each would let a guest turn one frame into 65,536.
pub const SEGMENTS_MAX: u32 = 1366;

/// Completes a partial checksum in place, as a device does: the sum from `csum_start` to the
/// frame's end is written at `csum_start + csum_offset`, where the sender has left the
/// pseudo-header's sum. Without the flag the frame stays as it is.
///
/// # Errors
/// [`Defect::Offload`] where the header points outside the frame, which then is unchanged.
pub fn finish_checksum(frame: &mut [u8], vnet: &[u8; VNET_HDR_LEN]) -> Result<(), Defect> {
    let [flags, _, _, _, _, _, s0, s1, o0, o1] = *vnet;
    if flags & F_NEEDS_CSUM == 0 {
        return Ok(());
    }
    let start = usize::from(u16::from_le_bytes([s0, s1]));
    let offset = usize::from(u16::from_le_bytes([o0, o1]));
    let covered = frame.get_mut(start..).ok_or(Defect::Offload)?;
    if offset + 2 > covered.len() {
        return Err(Defect::Offload);
    }
    let sum = Sum::new().bytes(covered).finish_nonzero();
    put(covered, offset, &sum.to_be_bytes());
    Ok(())
}

/// Hands the wire packets that a frame stands for to `out`, each complete: one, with its checksum
/// finished, where no segmentation is asked for. Returns how many there were. One buffer is
/// allocated per frame.
///
/// # Errors
/// The [`Defect`] of a frame that cannot be segmented as its header asks, [`Defect::Offload`]
/// beyond [`SEGMENTS_MAX`]; `out` is not called then.
pub fn segments(
    vnet: &[u8; VNET_HDR_LEN],
    frame: &[u8],
    mut out: impl FnMut(&[u8]),
) -> Result<u32, Defect> {
    let offload = Offload::parse(vnet).ok_or(Defect::Offload)?;
    let Some(gso) = offload.gso else {
        let mut whole = frame.to_vec();
        finish_checksum(&mut whole, vnet)?;
        out(&whole);
        return Ok(1);
    };
    if frame.len() > FRAME_MAX {
        return Err(Defect::Offload);
    }
    let cut = Cut::new(frame, offload, gso)?;
    let mut segment = Vec::with_capacity(cut.headers.len() + cut.size);
    for index in 0..cut.count {
        let begin = index * cut.size;
        let end = cut.payload.len().min(begin + cut.size);
        segment.clear();
        segment.extend_from_slice(cut.headers);
        segment.extend_from_slice(cut.payload.get(begin..end).unwrap_or_default());
        cut.finish(&mut segment, index);
        out(&segment);
    }
    Ok(cut.count as u32)
}

/// How a frame is cut up.
struct Cut<'a> {
    headers: &'a [u8],
    payload: &'a [u8],
    size: usize,
    count: usize,
    ip_at: usize,
    ip: Ip,
}

impl<'a> Cut<'a> {
    fn new(frame: &'a [u8], offload: Offload, gso: Gso) -> Result<Self, Defect> {
        let parsed = Headers::parse(frame, offload).map_err(|_| Defect::Offload)?;
        if let Some(defect) = parsed.defect {
            return Err(defect);
        }
        if parsed.wire.packets > SEGMENTS_MAX {
            return Err(Defect::Offload);
        }
        let ip = *parsed.ip().ok_or(Defect::Offload)?;
        let payload_len = match ip.l4 {
            L4::Tcp(tcp) => tcp.payload_len as usize,
            _ => ip.upper(frame).len().saturating_sub(8),
        };
        let packet = frame.get(..ip.end as usize).ok_or(Defect::Offload)?;
        let headers_len = packet.len().saturating_sub(payload_len);
        let (headers, payload) = packet
            .split_at_checked(headers_len)
            .ok_or(Defect::Offload)?;
        Ok(Self {
            headers,
            payload,
            size: usize::from(gso.size),
            count: parsed.wire.packets as usize,
            ip_at: parsed.eth.header_len(),
            ip,
        })
    }

    /// Makes the copied headers those of segment `index`.
    fn finish(&self, segment: &mut [u8], index: usize) {
        let l4_at = usize::from(self.ip.l4_offset);
        let Some((before, upper)) = segment.split_at_mut_checked(l4_at) else {
            return;
        };
        if let Some(ip) = before.get_mut(self.ip_at..) {
            if self.ip.src.is_ipv4() {
                finish_ipv4(ip, upper.len(), index);
            } else {
                let extensions = ip.len().saturating_sub(40);
                put(ip, 4, &((extensions + upper.len()) as u16).to_be_bytes());
            }
        }
        let checksum_at = match self.ip.l4 {
            L4::Tcp(tcp) => {
                let seq = tcp.seq.wrapping_add((index * self.size) as u32);
                put(upper, 4, &seq.to_be_bytes());
                put(upper, 13, &[self.flags(tcp.flags, index)]);
                16
            }
            _ => {
                put(upper, 4, &(upper.len() as u16).to_be_bytes());
                6
            }
        };
        put(upper, checksum_at, &[0, 0]);
        let Ip {
            src, dst, protocol, ..
        } = self.ip;
        let sum = Sum::new()
            .pseudo_header(src, dst, protocol, upper.len())
            .bytes(upper);
        let sum = match protocol {
            protocol::UDP => sum.finish_nonzero(),
            _ => sum.finish(),
        };
        put(upper, checksum_at, &sum.to_be_bytes());
    }

    /// FIN and PSH are the last segment's, CWR is the first one's (RFC 3168, section 6.1.2).
    fn flags(&self, flags: u8, index: usize) -> u8 {
        let not_last = if index + 1 < self.count {
            tcp_flags::FIN | tcp_flags::PSH
        } else {
            0
        };
        let not_first = if index > 0 { tcp_flags::CWR } else { 0 };
        flags & !not_last & !not_first
    }
}

fn finish_ipv4(header: &mut [u8], upper_len: usize, index: usize) {
    let total = (header.len() + upper_len) as u16;
    put(header, 2, &total.to_be_bytes());
    if let Some(&[i0, i1]) = header.get(4..6) {
        let id = u16::from_be_bytes([i0, i1]).wrapping_add(index as u16);
        put(header, 4, &id.to_be_bytes());
    }
    put(header, 10, &[0, 0]);
    let sum = Sum::new().bytes(header).finish();
    put(header, 10, &sum.to_be_bytes());
}

/// Overwrites bytes at a place that the parse has found; one that is not there stays unwritten.
fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}
