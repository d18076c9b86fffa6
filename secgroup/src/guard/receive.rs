//! The receiver's side: is this frame for the port, and fit to be taken?

use super::{Guard, is_group_address, shape};
use packet::{Headers, Ip, Net, Reason};

impl Guard {
    /// Whether the port takes this frame. A port that filters nothing takes all.
    ///
    /// # Errors
    /// The reason to refuse it. A frame for another MAC is `spoof_mac`, and with `strict_rx` a
    /// packet for another address `spoof_ip`: the closed list has no words of its own for them,
    /// and these name the identity that is not the port's.
    #[inline]
    pub fn receives(&self, frame: &[u8], h: &Headers) -> Result<(), Reason> {
        if self.unfiltered {
            return Ok(());
        }
        if h.ordinary
            && let Net::Ip(ip) = &h.net
        {
            return self.receives_ordinary(h, ip);
        }
        shape::link(frame, &h.eth, &self.permitted_ethertypes)?;
        if !h.eth.dst.is_group() && !self.couples.owns_mac(h.eth.dst) {
            return Err(Reason::SpoofMac);
        }
        shape::headers(h)?;
        let Net::Ip(ip) = &h.net else { return Ok(()) };
        shape::neighbour(ip)?;
        shape::addresses(ip, self.broadcast)?;
        self.receives_address(ip)
    }

    /// Of [`Headers::ordinary`] frames, only whom they are for remains to be asked.
    #[inline]
    fn receives_ordinary(&self, h: &Headers, ip: &Ip) -> Result<(), Reason> {
        if !self.couples.owns_mac(h.eth.dst) {
            return Err(Reason::SpoofMac);
        }
        self.addresses(ip)?;
        self.receives_address(ip)
    }

    #[inline]
    fn receives_address(&self, ip: &Ip) -> Result<(), Reason> {
        let for_us =
            || is_group_address(ip.dst, self.broadcast) || self.couples.owns_address(ip.dst);
        if self.strict_rx && !for_us() {
            Err(Reason::SpoofIp)
        } else {
            Ok(())
        }
    }
}
