//! ARP and RARP bodies.

use super::FrameBuilder;
use crate::{Arp, Mac, ethertype};
use std::net::Ipv4Addr;

/// The operations of ARP (RFC 826).
const REQUEST: u16 = 1;
const REPLY: u16 = 2;

impl FrameBuilder {
    /// `who-has target tell sender`, from the frame's source.
    #[must_use]
    pub fn arp_request(self, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
        let sender_mac = self.src;
        self.arp(Arp {
            operation: REQUEST,
            sender_mac,
            sender_ip: sender,
            target_ip: target,
        })
    }

    /// `sender is-at` the frame's source.
    #[must_use]
    pub fn arp_reply(self, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
        let sender_mac = self.src;
        self.arp(Arp {
            operation: REPLY,
            sender_mac,
            sender_ip: sender,
            target_ip: target,
        })
    }

    /// Any ARP body. The target's hardware address is the frame's destination, zero in a request.
    #[must_use]
    pub fn arp(self, arp: Arp) -> Vec<u8> {
        self.payload(ethertype::ARP, &self.arp_body(arp))
    }

    /// The same body as RARP (RFC 903).
    #[must_use]
    pub fn rarp(self, arp: Arp) -> Vec<u8> {
        self.payload(ethertype::RARP, &self.arp_body(arp))
    }

    fn arp_body(&self, arp: Arp) -> Vec<u8> {
        let target_mac = if arp.operation == REQUEST {
            Mac::ZERO
        } else {
            self.dst
        };
        let mut body = vec![0, 1, 0x08, 0, 6, 4];
        body.extend(arp.operation.to_be_bytes());
        body.extend(arp.sender_mac.0);
        body.extend(arp.sender_ip.octets());
        body.extend(target_mac.0);
        body.extend(arp.target_ip.octets());
        body
    }
}
