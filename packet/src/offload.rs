//! The virtio-net header that a TAP puts before a frame (`linux/virtio_net.h`), as meaning.
//!
//! The bytes pass through the switch unchanged; this is only for counting and checking.

/// Length of the header on our TAPs, bytes: `struct virtio_net_hdr`, set by `TUNSETVNETHDRSZ`. The longer forms
/// say nothing more here, and the kernel fills each of them up with zeros for every frame.
pub const VNET_HDR_LEN: usize = 10;

/// What the sender left for the device to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offload {
    /// The layer 4 checksum is partial: it must be neither verified nor judged.
    pub needs_checksum: bool,
    /// The kernel has verified the checksum already.
    pub data_valid: bool,
    /// A frame that stands for several packets.
    pub gso: Option<Gso>,
}

/// Segmentation left to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gso {
    /// Which protocol is segmented.
    pub kind: GsoKind,
    /// Layer 4 payload bytes in each segment but the last; never 0.
    pub size: u16,
}

/// The segmentation kinds that we negotiate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GsoKind {
    /// TCP over IPv4 (`VIRTIO_NET_HDR_GSO_TCPV4`).
    Tcp4,
    /// TCP over IPv6 (`VIRTIO_NET_HDR_GSO_TCPV6`).
    Tcp6,
    /// UDP segments (`VIRTIO_NET_HDR_GSO_UDP_L4`).
    Udp,
}

const F_NEEDS_CSUM: u8 = 1;
const F_DATA_VALID: u8 = 2;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

impl Offload {
    /// Reads a virtio-net header in little-endian layout (`TUNSETVNETLE`). `None` for a header that
    /// is too short or asks for a segmentation that we never negotiated.
    #[inline]
    #[must_use]
    pub fn parse(header: &[u8]) -> Option<Self> {
        let header: &[u8; VNET_HDR_LEN] = header.first_chunk()?;
        let kind = match header[1] & !GSO_ECN {
            0 => None,
            GSO_TCPV4 => Some(GsoKind::Tcp4),
            GSO_TCPV6 => Some(GsoKind::Tcp6),
            GSO_UDP_L4 => Some(GsoKind::Udp),
            _ => return None,
        };
        let size = u16::from_le_bytes([header[4], header[5]]);
        let gso = match kind {
            Some(kind) if size > 0 => Some(Gso { kind, size }),
            Some(_) => return None,
            None => None,
        };
        Some(Self {
            needs_checksum: header[0] & F_NEEDS_CSUM != 0,
            data_valid: header[0] & F_DATA_VALID != 0,
            gso,
        })
    }
}
