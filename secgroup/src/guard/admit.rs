//! The sender's side: is this frame the port's own?

use super::{Dhcp, Guard, dhcp, is_link_local, nd, shape};
use packet::{Arp, Headers, Ip, Mac, Net, Reason, ethertype};
use std::net::{IpAddr, Ipv4Addr};

/// ARP request (RFC 826).
const ARP_REQUEST: u16 = 1;
/// Reverse request and reply, all that RARP has (RFC 903).
const RARP_OPERATIONS: [u16; 2] = [3, 4];

impl Guard {
    /// Whether the port may send this frame. `h` is the parse of `frame`.
    ///
    /// In order: link layer, source MAC, defects, then what the frame claims.
    ///
    /// # Errors
    /// The reason to refuse it.
    #[inline]
    pub fn admit(&self, frame: &[u8], h: &Headers) -> Result<(), Reason> {
        if self.unfiltered {
            return Ok(());
        }
        if h.ordinary
            && let Net::Ip(ip) = &h.net
        {
            return self.admit_ordinary(h.eth.src, ip);
        }
        self.admit_any(frame, h)
    }

    #[inline(never)]
    fn admit_any(&self, frame: &[u8], h: &Headers) -> Result<(), Reason> {
        if !self.couples.owns_mac(h.eth.src) {
            return Err(Reason::SpoofMac);
        }
        shape::link(frame, &h.eth, &self.permitted_ethertypes)?;
        let Net::Ip(ip) = &h.net else {
            shape::headers(h)?;
            return if let Net::Arp(arp) = &h.net {
                self.admit_arp(h, arp)
            } else {
                Ok(())
            };
        };
        // Whatever else is wrong with it: a guest advertises no routes, unless it is the router.
        if !self.is_router {
            nd::refuse_advertisement(ip)?;
        }
        shape::headers(h)?;
        shape::neighbour(ip)?;
        self.admit_source(h.eth.src, frame, ip)?;
        shape::addresses(ip, self.broadcast)?;
        self.admit_dhcp(ip)
    }

    /// Of [`Headers::ordinary`] frames, only whose they are remains to be asked.
    #[inline]
    fn admit_ordinary(&self, mac: Mac, ip: &Ip) -> Result<(), Reason> {
        if self.couples.owns(mac, ip.src) {
            self.addresses(ip)
        } else if self.couples.owns_mac(mac) {
            Err(Reason::SpoofIp)
        } else {
            Err(Reason::SpoofMac)
        }
    }

    /// A couple, or one of the ways to speak before having an address.
    fn admit_source(&self, mac: Mac, frame: &[u8], ip: &Ip) -> Result<(), Reason> {
        match ip.src {
            _ if nd::is_neighbour_or_listener(ip) => nd::admit(&self.couples, mac, frame, ip),
            _ if self.couples.owns(mac, ip.src) => Ok(()),
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
                if mac == self.mac && dhcp(ip) == Some(Dhcp::ToServer) =>
            {
                Ok(())
            }
            IpAddr::V4(_) | IpAddr::V6(_) => Err(Reason::SpoofIp),
        }
    }

    /// No rule makes a guest a DHCP server; only being declared one does, or being the gateway. A DHCPv6
    /// server answers from its link-local address (RFC 8415, section 18.3.10), which belongs to the declared
    /// one.
    #[inline]
    fn admit_dhcp(&self, ip: &Ip) -> Result<(), Reason> {
        let is_known =
            || self.is_known_server(ip.src) || self.serves_dhcp6 && is_link_local(ip.src);
        match dhcp(ip) {
            Some(Dhcp::ToClient) if !is_known() => Err(Reason::DhcpServer),
            Some(Dhcp::ToClient | Dhcp::ToServer) | None => Ok(()),
        }
    }

    /// Three checks: the frame's MAC (done), the sender's MAC in the body, the sender's address.
    fn admit_arp(&self, h: &Headers, arp: &Arp) -> Result<(), Reason> {
        let mac = h.eth.src;
        if arp.sender_mac != mac {
            return Err(Reason::SpoofArp);
        }
        // An announcement after migration speaks for the MAC alone (RFC 903).
        if h.eth.ethertype == ethertype::RARP {
            return if RARP_OPERATIONS.contains(&arp.operation) {
                Ok(())
            } else {
                Err(Reason::Malformed)
            };
        }
        let is_probe = arp.sender_ip.is_unspecified() && arp.operation == ARP_REQUEST;
        // A probe (RFC 5227) asks for the address that it is about to use.
        let claimed = if is_probe {
            arp.target_ip
        } else {
            arp.sender_ip
        };
        if self.couples.owns(mac, claimed) {
            Ok(())
        } else {
            Err(Reason::SpoofArp)
        }
    }
}
