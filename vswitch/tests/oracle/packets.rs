//! A packet of a story: what it says, how it is written down, and its bytes.
//!
//! The interpreter reads the words, the switch reads the bytes.

use packet::{Gso, GsoKind, L4, Mac, Offload, PacketSpec, SpecBody, VNET_HDR_LEN, build, protocol};
use std::fmt;
use std::str::FromStr;

/// A packet as it is written: `tcp 10.0.0.10:1 > 10.0.0.11:2 syn from … to …`, then what is wrong with it
/// (`!checksum`, `!cut`), how it is to be segmented (`gso=1448`), and which packet it is `about`, of which
/// so many bytes are quoted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Packet {
    pub(crate) spec: PacketSpec,
    pub(crate) flaw: Option<Flaw>,
    pub(crate) gso: Option<u16>,
    pub(crate) about: Option<(PacketSpec, u16)>,
}

/// What is wrong with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Its layer 4 checksum.
    Checksum,
    /// The frame ends a byte before the IP packet does.
    Cut,
}

/// A frame as a guest's kernel hands it over.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) vnet: [u8; VNET_HDR_LEN],
    pub(crate) bytes: Vec<u8>,
}

impl Packet {
    pub(crate) const fn of(spec: PacketSpec) -> Self {
        Self {
            spec,
            flaw: None,
            gso: None,
            about: None,
        }
    }

    /// Source and destination, which a packet of a story always says.
    pub(crate) fn macs(&self) -> (Mac, Mac) {
        (
            self.spec.src_mac.unwrap_or_default(),
            self.spec.dst_mac.unwrap_or_default(),
        )
    }

    pub(crate) fn frame(&self) -> Frame {
        let (src, dst) = self.macs();
        let mut bytes = match (&self.about, &self.spec.body) {
            (Some((about, len)), SpecBody::Ip(ip)) => {
                let inner = about.build(src, dst);
                let (kind, code) = match ip.l4 {
                    L4::Icmp(icmp) => (icmp.kind, icmp.code),
                    _ => (0, 0),
                };
                let frame = build::frame(src, dst);
                let frame = self
                    .spec
                    .vlan
                    .into_iter()
                    .fold(frame, build::FrameBuilder::vlan);
                let packet = frame.ip(ip.src, ip.dst).ttl(ip.ttl);
                packet
                    .icmp(kind, code)
                    .quote(&inner, usize::from(*len))
                    .build()
            }
            _ => self.spec.build(src, dst),
        };
        match self.flaw {
            Some(Flaw::Checksum) => self.spoil(&mut bytes),
            Some(Flaw::Cut) => drop(bytes.pop()),
            None => {}
        }
        let is_v4 = matches!(self.spec.body, SpecBody::Ip(ip) if ip.src.is_ipv4());
        let kind = if is_v4 { GsoKind::Tcp4 } else { GsoKind::Tcp6 };
        let vnet = match self.gso {
            Some(size) => build::vnet_header(
                &bytes,
                Offload {
                    needs_checksum: true,
                    data_valid: false,
                    gso: Some(Gso { kind, size }),
                },
            ),
            None => [0; VNET_HDR_LEN],
        };
        Frame { vnet, bytes }
    }

    /// Makes the checksum another one, and not the zero that means none in UDP.
    fn spoil(&self, bytes: &mut [u8]) {
        let SpecBody::Ip(ip) = &self.spec.body else {
            return;
        };
        let upper = self.header_len() + if ip.src.is_ipv4() { 20 } else { 40 };
        let at = upper
            + match ip.protocol {
                protocol::TCP => 16,
                protocol::UDP => 6,
                _ => 2,
            };
        if let Some(sum) = bytes.get_mut(at..at + 2) {
            sum[0] ^= 0x15;
            if sum == [0, 0] {
                sum[0] = 0x2a;
            }
        }
    }

    /// Bytes of the link-layer header.
    pub(crate) fn header_len(&self) -> usize {
        if self.spec.vlan.is_some() { 18 } else { 14 }
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.spec)?;
        match self.flaw {
            Some(Flaw::Checksum) => write!(f, " !checksum")?,
            Some(Flaw::Cut) => write!(f, " !cut")?,
            None => {}
        }
        if let Some(size) = self.gso {
            write!(f, " gso={size}")?;
        }
        match &self.about {
            Some((about, len)) => write!(f, " about {len} of {about}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Packet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (text, about) = match text.split_once(" about ") {
            Some((text, about)) => (text, Some(about)),
            None => (text, None),
        };
        let (mut words, mut flaw, mut gso) = (Vec::new(), None, None);
        for word in text.split_whitespace() {
            match (word, word.strip_prefix("gso=")) {
                ("!checksum", _) => flaw = Some(Flaw::Checksum),
                ("!cut", _) => flaw = Some(Flaw::Cut),
                (_, Some(size)) => gso = Some(size.parse().map_err(|_| format!("`{word}`"))?),
                _ => words.push(word),
            }
        }
        let about = match about.and_then(|about| about.split_once(" of ")) {
            Some((len, about)) => {
                Some((spec(about)?, len.parse().map_err(|_| format!("`{len}`"))?))
            }
            None => None,
        };
        Ok(Self {
            spec: spec(&words.join(" "))?,
            flaw,
            gso,
            about,
        })
    }
}

/// Stories tell of no fragments: the interpreter knows nothing of datagrams.
fn spec(text: &str) -> Result<PacketSpec, String> {
    let spec: PacketSpec = text.parse().map_err(|error| format!("{text}: {error}"))?;
    match spec.body {
        SpecBody::Ip(ip) if ip.fragment.is_some() => Err(format!("{text}: no fragments")),
        _ => Ok(spec),
    }
}
