//! TCP segments in a few words: `syn,ack wscale=7 sackok`, `psh,ack seq=+1400 len=100`, `rst seq=5`.
//!
//! Sequence numbers count from the sender's initial one, acknowledgements from the other's; with a
//! sign they count from where the end stands. Left out, they are right.

use netns_tests::PortPlan;
use packet::{build, tcp_flags};
use std::{fmt, net::IpAddr};

/// Both wrap within a conversation.
const INITIAL: [u32; 2] = [u32::MAX - 700, u32::MAX / 2 - 700];
/// What either end offers unless it says otherwise.
const WINDOW: u16 = 2000;
const SERVICE: u16 = 80;

const FLAGS: [(&str, u8); 8] = [
    ("fin", tcp_flags::FIN),
    ("syn", tcp_flags::SYN),
    ("rst", tcp_flags::RST),
    ("psh", tcp_flags::PSH),
    ("ack", tcp_flags::ACK),
    ("urg", tcp_flags::URG),
    ("ece", tcp_flags::ECE),
    ("cwr", tcp_flags::CWR),
];

/// A segment, sequence numbers relative.
#[derive(Debug, Clone, Default)]
pub(crate) struct Segment {
    pub(crate) flags: u8,
    pub(crate) seq: Option<Number>,
    pub(crate) ack: Option<Number>,
    pub(crate) window: Option<u16>,
    pub(crate) len: u16,
    pub(crate) scale: Option<u8>,
    pub(crate) sack_permitted: bool,
    /// Edges of one SACK block.
    pub(crate) sack: Option<(u32, u32)>,
    /// Option bytes as they stand.
    pub(crate) options: Vec<u8>,
    pub(crate) data_offset: Option<u8>,
    pub(crate) bad_checksum: bool,
    /// Bytes cut off the end of the TCP header.
    pub(crate) cut: u8,
    /// Of the service; else 80.
    pub(crate) port_zero: bool,
}

/// A sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    /// From the initial one.
    At(u32),
    /// From where the end stands.
    Off(i32),
}

impl Segment {
    pub(crate) fn parse(text: &str) -> Self {
        let mut segment = Self::default();
        for word in text.split_whitespace() {
            segment.word(word);
        }
        segment
    }

    fn word(&mut self, word: &str) {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let number = || value.parse::<u32>().unwrap_or_else(|_| panic!("{word}"));
        match key {
            "seq" => self.seq = Some(Number::parse(value)),
            "ack" if !value.is_empty() => self.ack = Some(Number::parse(value)),
            "win" => self.window = Some(number() as u16),
            "len" => self.len = number() as u16,
            "wscale" => self.scale = Some(number() as u8),
            "sackok" => self.sack_permitted = true,
            "sack" => {
                let (left, right) = value.split_once("..").unwrap();
                self.sack = Some((left.parse().unwrap(), right.parse().unwrap()));
            }
            "option" => self.options = value.split(',').map(|byte| byte.parse().unwrap()).collect(),
            "doff" => self.data_offset = Some(number() as u8),
            "badsum" => self.bad_checksum = true,
            "cut" => self.cut = number() as u8,
            "port0" => self.port_zero = true,
            flags => self.flags = flags.split(',').map(flag).sum(),
        }
    }

    fn counts(&self) -> u32 {
        let marks = [tcp_flags::SYN, tcp_flags::FIN];
        let marks = marks.iter().filter(|mark| self.flags & **mark != 0);
        u32::from(self.len) + marks.count() as u32
    }
}

fn flag(word: &str) -> u8 {
    let found = FLAGS.iter().find(|(name, _)| *name == word);
    match found {
        Some((_, flag)) => *flag,
        None if word == "none" => 0,
        None => panic!("{word} is neither a flag nor a key"),
    }
}

impl Number {
    fn parse(text: &str) -> Self {
        if text.starts_with(['+', '-']) {
            Self::Off(text.parse().unwrap())
        } else {
            Self::At(text.parse().unwrap())
        }
    }

    fn from(this: Option<Self>, initial: u32, stands: u32) -> u32 {
        match this {
            None => stands,
            Some(Self::At(at)) => initial.wrapping_add(at),
            Some(Self::Off(off)) => stands.wrapping_add_signed(off),
        }
    }
}

/// Two ends of a conversation and where each stands.
#[derive(Debug, Clone)]
pub(crate) struct Talk {
    ports: [PortPlan; 2],
    /// The client's port, by which the conversation is found again.
    pub(crate) number: u16,
    ipv6: bool,
    next: [u32; 2],
}

impl Talk {
    pub(crate) fn new(ports: &[PortPlan; 2], number: u16, ipv6: bool) -> Self {
        Self {
            ports: ports.clone(),
            number,
            ipv6,
            next: INITIAL,
        }
    }

    /// A frame of the segment, which its sender remembers if it is in order.
    pub(crate) fn frame(&mut self, end: usize, segment: &Segment) -> Vec<u8> {
        let other = 1 - end;
        let seq = Number::from(segment.seq, INITIAL[end], self.next[end]);
        if segment.seq.is_none() {
            self.next[end] = seq.wrapping_add(segment.counts());
        }
        let ack = match segment.flags & tcp_flags::ACK {
            0 if segment.ack.is_none() => 0,
            _ => Number::from(segment.ack, INITIAL[other], self.next[other]),
        };
        let service = if segment.port_zero { 0 } else { SERVICE };
        let l4 = match end {
            0 => (self.number, service),
            _ => (service, self.number),
        };
        let [from, to] = [&self.ports[end], &self.ports[other]];
        let mut tcp = build::frame(from.mac(), to.mac())
            .ip(self.address(end), self.address(other))
            .tcp(l4.0, l4.1)
            .flags(segment.flags)
            .seq(seq)
            .ack(ack)
            .window(segment.window.unwrap_or(WINDOW))
            .payload(&vec![0x61; usize::from(segment.len)]);
        for option in self.options(end, segment) {
            tcp = tcp.option(&option);
        }
        if let Some(words) = segment.data_offset {
            tcp = tcp.data_offset(words);
        }
        if segment.bad_checksum {
            tcp = tcp.checksum(0x1234);
        }
        if segment.cut > 0 {
            return self.cut_short(end, tcp.build(), segment.cut);
        }
        tcp.build()
    }

    fn options(&self, end: usize, segment: &Segment) -> Vec<Vec<u8>> {
        let mut options = Vec::new();
        if let Some(scale) = segment.scale {
            options.push(vec![1, 3, 3, scale]);
        }
        if segment.sack_permitted {
            options.push(vec![1, 1, 4, 2]);
        }
        if let Some((left, right)) = segment.sack {
            let edge = |at: u32| INITIAL[1 - end].wrapping_add(at).to_be_bytes();
            options.push([&[1, 1, 5, 10][..], &edge(left), &edge(right)].concat());
        }
        options.push(segment.options.clone());
        options
    }

    /// The same packet with a TCP header that ends early; IP's lengths are right for it.
    fn cut_short(&self, end: usize, frame: Vec<u8>, cut: u8) -> Vec<u8> {
        let at = if self.ipv6 { 54 } else { 34 };
        let upper = &frame[at..frame.len() - usize::from(cut)];
        let [from, to] = [&self.ports[end], &self.ports[1 - end]];
        build::frame(from.mac(), to.mac())
            .ip(self.address(end), self.address(1 - end))
            .upper(6, upper)
    }

    pub(crate) fn address(&self, end: usize) -> IpAddr {
        if self.ipv6 {
            self.ports[end].ip6().into()
        } else {
            self.ports[end].ip().into()
        }
    }
}

/// As [`Segment::parse`] reads it, as far as random conversations need it.
impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags: Vec<&str> = FLAGS
            .iter()
            .filter(|(_, flag)| self.flags & flag != 0)
            .map(|(name, _)| *name)
            .collect();
        f.write_str(if flags.is_empty() { "none" } else { "" })?;
        f.write_str(&flags.join(","))?;
        for (key, number) in [("seq", self.seq), ("ack", self.ack)] {
            match number {
                Some(Number::At(at)) => write!(f, " {key}={at}")?,
                Some(Number::Off(off)) => write!(f, " {key}={off:+}")?,
                None => {}
            }
        }
        if let Some(window) = self.window {
            write!(f, " win={window}")?;
        }
        if let Some(scale) = self.scale {
            write!(f, " wscale={scale}")?;
        }
        if self.sack_permitted {
            f.write_str(" sackok")?;
        }
        match self.len {
            0 => Ok(()),
            len => write!(f, " len={len}"),
        }
    }
}
