//! The virtio-net header of a frame.

use crate::{Gso, GsoKind, Headers, L4, Offload, VNET_HDR_LEN};

/// The header that a guest's kernel would put before the frame: flags, segmentation, and where
/// the checksum starts and stands (zeros where the upper layer has none that is left to devices).
#[must_use]
pub fn vnet_header(frame: &[u8], offload: Offload) -> [u8; VNET_HDR_LEN] {
    let mut header = [0; VNET_HDR_LEN];
    header[0] = u8::from(offload.needs_checksum) | (u8::from(offload.data_valid) << 1);
    let place = Headers::parse(frame, Offload::default())
        .ok()
        .and_then(|headers| {
            let ip = *headers.ip()?;
            match ip.l4 {
                L4::Tcp(tcp) => Some((ip.l4_offset, 16, ip.end - tcp.payload_len)),
                L4::Udp { .. } => Some((ip.l4_offset, 6, u32::from(ip.l4_offset) + 8)),
                _ => None,
            }
        });
    let (start, offset, headers_end) = place.unwrap_or_default();
    if offload.needs_checksum {
        header[6..8].copy_from_slice(&start.to_le_bytes());
        header[8..10].copy_from_slice(&u16::to_le_bytes(offset));
    }
    if let Some(Gso { kind, size }) = offload.gso {
        header[1] = match kind {
            GsoKind::Tcp4 => 1,
            GsoKind::Tcp6 => 4,
            GsoKind::Udp => 5,
        };
        header[2..4].copy_from_slice(&(headers_end as u16).to_le_bytes());
        header[4..6].copy_from_slice(&size.to_le_bytes());
    }
    header
}
