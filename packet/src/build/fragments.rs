//! A datagram cut into fragments.

use crate::{Headers, Offload, checksum::Sum, protocol};

/// Cuts the IP packet of a frame into fragments of at most `size` bytes of payload each, which is
/// rounded down to a multiple of 8 (and up to 8). A frame without IP comes back as it is.
#[must_use]
pub fn fragments(frame: &[u8], size: usize, id: u32) -> Vec<Vec<u8>> {
    let headers = Headers::parse(frame, Offload::default());
    let Some((start, ip)) = headers
        .ok()
        .and_then(|h| Some((h.eth.header_len(), *h.ip()?)))
    else {
        return vec![frame.to_vec()];
    };
    let (before, payload) = (&frame[..usize::from(ip.l4_offset)], ip.upper(frame));
    let size = (size & !7).max(8);
    let count = payload.len().div_ceil(size);
    payload
        .chunks(size)
        .enumerate()
        .map(|(i, part)| {
            let place = Place {
                id,
                offset: i * size,
                more: i + 1 < count,
            };
            let mut fragment = before.to_vec();
            if ip.src.is_ipv4() {
                ipv4(&mut fragment[start..], &place, part.len());
            } else {
                ipv6(&mut fragment, start, &place, part.len(), ip.protocol);
            }
            fragment.extend(part);
            fragment
        })
        .collect()
}

struct Place {
    id: u32,
    offset: usize,
    more: bool,
}

fn ipv4(header: &mut [u8], place: &Place, len: usize) {
    let total = (header.len() + len) as u16;
    let offset = (place.offset / 8) as u16 | (u16::from(place.more) << 13);
    header[2..4].copy_from_slice(&total.to_be_bytes());
    header[4..6].copy_from_slice(&(place.id as u16).to_be_bytes());
    header[6..8].copy_from_slice(&offset.to_be_bytes());
    header[10..12].fill(0);
    let checksum = Sum::new().bytes(header).finish();
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
}

/// The fragment header goes behind the extension headers that are there.
fn ipv6(frame: &mut Vec<u8>, start: usize, place: &Place, len: usize, upper: u8) {
    let mut next_at = start + 6;
    let mut at = start + 40;
    while at + 1 < frame.len() {
        next_at = at;
        at += (usize::from(frame[at + 1]) + 1) * 8;
    }
    frame[next_at] = protocol::FRAGMENT;
    frame.extend([upper, 0]);
    frame.extend((place.offset as u16 | u16::from(place.more)).to_be_bytes());
    frame.extend(place.id.to_be_bytes());
    let payload = (frame.len() - start - 40 + len) as u16;
    frame[start + 4..start + 6].copy_from_slice(&payload.to_be_bytes());
}
