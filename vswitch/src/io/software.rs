//! The fallback for ports that take no virtio headers: checksums are finished and segments cut here.
//! Slow, counted ([`Sent::finished_in_software`]), and never on the way between two TAPs.

use super::{Frame, Sent};
use packet::segment::{finish_checksum, segments};

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM` of the header's first byte.
const NEEDS_CHECKSUM: u8 = 1;

/// Hands the finished wire packets of `frame` to `out`, which tells whether it delivered each, and
/// counts them in `sent`. Whatever becomes of the frame, delivered and lost together grow by what the
/// caller counted for it, so that the books balance. A frame whose header contradicts it is lost.
pub(super) fn send_finished(
    frame: Frame<'_>,
    scratch: &mut Vec<u8>,
    sent: &mut Sent,
    mut out: impl FnMut(&[u8]) -> bool,
) {
    let [flags, gso, ..] = *frame.vnet();
    if flags & NEEDS_CHECKSUM == 0 && gso == 0 {
        let delivered = out(frame.bytes());
        return sent.count(frame.packets(), delivered);
    }
    sent.finished_in_software += 1;
    if gso == 0 {
        scratch.clear();
        scratch.extend_from_slice(frame.bytes());
        let delivered = finish_checksum(scratch, frame.vnet()).is_ok() && out(scratch);
        return sent.count(frame.packets(), delivered);
    }
    let mut delivered = 0;
    // An error calls `out` not once: all is lost, which the counts below say.
    let _ = segments(frame.vnet(), frame.bytes(), |packet| {
        delivered += u32::from(out(packet));
    });
    let delivered = delivered.min(frame.packets());
    sent.count(delivered, true);
    sent.count(frame.packets() - delivered, false);
}
