//! Records into messages that fit a datagram; all but the header, which is the sender's.

use super::template::{PORT, put16, write_flow, write_port, write_templates};
use crate::Record;
use std::{collections::HashSet, ops::Range};

/// Bytes of a message's header.
pub(super) const HEADER: usize = 16;

/// Messages after which the templates are sent again within one interval: a collector that has just
/// started, or missed them, waits for them no longer than these take. Each interval begins with them.
const TEMPLATES_EVERY: u32 = 64;

/// A message without its header.
#[derive(Debug)]
pub(super) struct Message {
    /// Room for the header, and the sets.
    pub(super) bytes: Vec<u8>,
    /// Data records in it, those of options included: what sequence numbers count.
    pub(super) records: u32,
    /// Rows of the log in it.
    pub(super) rows: u32,
}

impl Message {
    fn new() -> Self {
        Self {
            bytes: vec![0; HEADER],
            records: 0,
            rows: 0,
        }
    }
}

/// Packs the records of one interval. A message is handed to `emit` when the next record would make it
/// longer than `payload_max`.
pub(super) fn pack(
    records: impl Iterator<Item = Record>,
    payload_max: usize,
    mut emit: impl FnMut(Message),
) {
    let mut packer = Packer {
        payload_max,
        message: Message::new(),
        set: None,
        messages: 0,
        emit: &mut emit,
    };
    let mut told = HashSet::new();
    let mut bytes = Vec::new();
    packer.begin();
    for record in records {
        let Some(flow) = &record.flow else { continue };
        if told.insert(record.port.port) {
            bytes.clear();
            write_port(&record.port, &mut bytes);
            packer.push(PORT, &bytes, 0);
        }
        bytes.clear();
        if let Some(template) = write_flow(&record, flow, &mut bytes) {
            packer.push(template, &bytes, 1);
        }
    }
    packer.end();
}

struct Packer<'a> {
    payload_max: usize,
    message: Message,
    /// The set that is open: its template and where it begins.
    set: Option<(u16, usize)>,
    messages: u32,
    emit: &'a mut dyn FnMut(Message),
}

impl Packer<'_> {
    fn begin(&mut self) {
        if self.messages.is_multiple_of(TEMPLATES_EVERY) {
            write_templates(&mut self.message.bytes);
        }
        self.messages += 1;
    }

    fn push(&mut self, template: u16, record: &[u8], rows: u32) {
        let is_open = |set: &(u16, usize)| set.0 == template;
        let head = if self.set.as_ref().is_some_and(is_open) {
            0
        } else {
            4
        };
        if self.message.bytes.len() + head + record.len() > self.payload_max {
            self.end();
            self.begin();
        }
        if !self.set.as_ref().is_some_and(is_open) {
            self.close_set();
            self.set = Some((template, self.message.bytes.len()));
            put16(&mut self.message.bytes, template);
            put16(&mut self.message.bytes, 0);
        }
        self.message.bytes.extend_from_slice(record);
        self.message.records += 1;
        self.message.rows += rows;
    }

    /// Fills in the length of the open set.
    fn close_set(&mut self) {
        if let Some((_, start)) = self.set.take() {
            let length = (self.message.bytes.len() - start) as u16;
            let place: Range<usize> = start + 2..start + 4;
            self.message.bytes[place].copy_from_slice(&length.to_be_bytes());
        }
    }

    /// Hands over what there is.
    fn end(&mut self) {
        self.close_set();
        let message = std::mem::replace(&mut self.message, Message::new());
        if message.bytes.len() > HEADER {
            (self.emit)(message);
        }
    }
}
