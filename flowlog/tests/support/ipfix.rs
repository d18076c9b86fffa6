//! A collector that knows IPFIX from RFC 7011 and nothing of the exporter.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

/// A record: values by element number, big-endian bytes.
pub type Record = BTreeMap<u16, Vec<u8>>;

/// What was received.
#[derive(Debug, Default)]
pub struct Collected {
    /// Records by template.
    pub records: Vec<(u16, Record)>,
    /// Length of each datagram.
    pub lengths: Vec<usize>,
    /// Sequence number of each message, and the data records in it.
    pub sequence: Vec<(u32, u32)>,
    /// Observation domains.
    pub domains: Vec<u32>,
    /// Messages that carried templates.
    pub with_templates: usize,
    templates: BTreeMap<u16, Vec<(u16, u16)>>,
}

pub struct Receiver {
    socket: UdpSocket,
}

impl Receiver {
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        // This decoder is slower than a real one; nothing may be lost before it.
        rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 4 << 20).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        Self { socket }
    }

    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Takes messages until `done` says so, or nothing comes any more.
    pub fn collect(&self, done: impl Fn(&Collected) -> bool) -> Collected {
        let mut collected = Collected::default();
        let mut buffer = vec![0; 65_536];
        while !done(&collected)
            && let Ok(length) = self.socket.recv(&mut buffer)
        {
            collected.take(&buffer[..length]);
        }
        collected
    }
}

impl Collected {
    fn take(&mut self, message: &[u8]) {
        assert_eq!(get16(message, 0), 10, "version");
        assert_eq!(usize::from(get16(message, 2)), message.len(), "length");
        self.lengths.push(message.len());
        self.domains.push(get32(message, 12));
        let before = self.records.len();
        let mut rest = &message[16..];
        let mut had_templates = false;
        while !rest.is_empty() {
            let (id, length) = (get16(rest, 0), usize::from(get16(rest, 2)));
            let set = &rest[4..length];
            match id {
                2 | 3 => {
                    self.templates(set, id == 3);
                    had_templates = true;
                }
                id => self.data(id, set),
            }
            rest = &rest[length..];
        }
        self.with_templates += usize::from(had_templates);
        let records = (self.records.len() - before) as u32;
        self.sequence.push((get32(message, 8), records));
    }

    fn templates(&mut self, mut set: &[u8], of_options: bool) {
        while set.len() >= 4 {
            let (id, count) = (get16(set, 0), usize::from(get16(set, 2)));
            let start = if of_options { 6 } else { 4 };
            let field = |n: usize| (get16(set, start + 4 * n), get16(set, start + 4 * n + 2));
            let fields: Vec<_> = (0..count).map(field).collect();
            assert!(id >= 256 && fields.iter().all(|(number, _)| number & 0x8000 == 0));
            self.templates.insert(id, fields);
            set = &set[start + 4 * count..];
        }
        assert!(set.is_empty());
    }

    fn data(&mut self, id: u16, mut set: &[u8]) {
        let fields = self.templates.get(&id).expect("a template before its data");
        let length: usize = fields.iter().map(|(_, length)| usize::from(*length)).sum();
        while set.len() >= length {
            let mut record = Record::new();
            for (number, length) in fields {
                let (value, rest) = set.split_at(usize::from(*length));
                record.insert(*number, value.to_vec());
                set = rest;
            }
            self.records.push((id, record));
        }
        assert!(set.is_empty(), "no padding is needed");
    }
}

/// A number of any length.
pub fn number(record: &Record, element: u16) -> u64 {
    let bytes = &record[&element];
    bytes
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

fn get16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn get32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}
