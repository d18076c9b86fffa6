//! The registries' numbers that the switch knows by name.

/// Ethertypes the switch knows by name.
pub mod ethertype {
    #![expect(missing_docs, reason = "the names are the IEEE registry's")]
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const RARP: u16 = 0x8035;
    pub const VLAN: u16 = 0x8100;
    pub const IPV6: u16 = 0x86dd;
    pub const MAC_CONTROL: u16 = 0x8808;
    pub const QINQ: u16 = 0x88a8;
    /// Tags before 802.1ad, still met.
    pub const QINQ_BEFORE: u16 = 0x9100;
}

/// IANA protocol numbers the switch knows by name.
pub mod protocol {
    #![expect(missing_docs, reason = "the names are IANA's")]
    pub const HOP_BY_HOP: u8 = 0;
    pub const ICMP: u8 = 1;
    pub const IGMP: u8 = 2;
    pub const IPIP: u8 = 4;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const DCCP: u8 = 33;
    pub const IPV6_ENCAP: u8 = 41;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const RSVP: u8 = 46;
    pub const GRE: u8 = 47;
    pub const ESP: u8 = 50;
    pub const AH: u8 = 51;
    pub const ICMPV6: u8 = 58;
    pub const NO_NEXT: u8 = 59;
    pub const DEST_OPTIONS: u8 = 60;
    pub const OSPF: u8 = 89;
    pub const PIM: u8 = 103;
    pub const VRRP: u8 = 112;
    pub const PGM: u8 = 113;
    pub const SCTP: u8 = 132;
    pub const UDPLITE: u8 = 136;
}

/// TCP flag bits (RFC 9293, section 3.1).
pub mod tcp_flags {
    #![expect(missing_docs, reason = "the names are the RFC's")]
    pub const FIN: u8 = 0x01;
    pub const SYN: u8 = 0x02;
    pub const RST: u8 = 0x04;
    pub const PSH: u8 = 0x08;
    pub const ACK: u8 = 0x10;
    pub const URG: u8 = 0x20;
    pub const ECE: u8 = 0x40;
    pub const CWR: u8 = 0x80;
}

/// SCTP chunk types (RFC 9260, section 3.2).
pub mod sctp_chunk {
    #![expect(missing_docs, reason = "the names are the RFC's")]
    pub const DATA: u8 = 0;
    pub const INIT: u8 = 1;
    pub const INIT_ACK: u8 = 2;
    pub const SACK: u8 = 3;
    pub const HEARTBEAT: u8 = 4;
    pub const HEARTBEAT_ACK: u8 = 5;
    pub const ABORT: u8 = 6;
    pub const SHUTDOWN: u8 = 7;
    pub const SHUTDOWN_ACK: u8 = 8;
    pub const ERROR: u8 = 9;
    pub const COOKIE_ECHO: u8 = 10;
    pub const COOKIE_ACK: u8 = 11;
    pub const SHUTDOWN_COMPLETE: u8 = 14;
}

/// DCCP packet types (RFC 4340, section 5.1).
pub mod dccp_type {
    #![expect(missing_docs, reason = "the names are the RFC's")]
    pub const REQUEST: u8 = 0;
    pub const RESPONSE: u8 = 1;
    pub const DATA: u8 = 2;
    pub const ACK: u8 = 3;
    pub const DATA_ACK: u8 = 4;
    pub const CLOSE_REQ: u8 = 5;
    pub const CLOSE: u8 = 6;
    pub const RESET: u8 = 7;
    pub const SYNC: u8 = 8;
    pub const SYNC_ACK: u8 = 9;
}
