//! Sends frames of 60 bytes, 64 with their checksum.

use super::Flows;
use crate::systems::End;
use anyhow::{Result, ensure};
use packet::build::frame;
use rustix::{
    io::{Errno, IoSlice},
    net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg},
};
use std::time::{Duration, Instant};
use tap::{PacketMode, PacketSocket};

/// Frames handed over with one system call.
const BURST: u32 = 64;
/// Frames handed over at once where a pace is kept.
const PACED_BURST: u32 = 32;
/// A sender that is further behind its pace than this was kept from running, and forgets what it
/// missed: to catch up would be a burst that nobody asked for.
const LAG_MAX: Duration = Duration::from_millis(1);
/// Where the ports lie in an IPv4 frame without options; the UDP checksum, 0, says that there is none.
const PORTS_AT: usize = 34;
/// UDP payload that makes a frame as short as Ethernet allows.
const PAYLOAD: [u8; 18] = [0; 18];

/// A socket on `from`'s interface that sends to the other end.
pub(crate) struct Sender {
    socket: PacketSocket,
    flows: Flows,
    frames: Vec<Vec<u8>>,
    /// Packets sent, which chooses the next one's flow.
    next: u64,
}

impl Sender {
    pub(crate) fn new(from: &End, to: &End, flows: Flows) -> Result<Self> {
        let [source, destination] = flows.ports(0);
        let frame = frame(from.mac, to.mac)
            .ip(from.ip, to.ip)
            .udp(source, destination)
            .checksum(0)
            .payload(&PAYLOAD)
            .build();
        Ok(Self {
            socket: PacketSocket::open(Some(&from.netns), &from.interface, PacketMode::Send)?,
            flows,
            frames: vec![frame; BURST as usize],
            next: 0,
        })
    }

    /// Number of the next packet.
    pub(crate) fn position(&self) -> u64 {
        self.next
    }

    /// Goes on with packet number `position`.
    pub(crate) fn go_back_to(&mut self, position: u64) {
        self.next = position;
    }

    /// Sends as fast as it goes while `goes_on`, and returns how many packets the interface took.
    pub(crate) fn flood(&mut self, mut goes_on: impl FnMut() -> bool) -> Result<u64> {
        let mut taken = 0;
        while goes_on() {
            // A full queue is the receiver's side of the story.
            taken += u64::from(self.burst(BURST)?.0);
        }
        Ok(taken)
    }

    /// Sends `count` packets, whatever becomes of them.
    pub(crate) fn send_exactly(&mut self, count: u32) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let (taken, refused) = self.burst(left.min(BURST))?;
            left -= taken + refused;
        }
        Ok(())
    }

    /// Sends `rate` packets a second while `goes_on`, and returns how many were tried.
    pub(crate) fn paced(&mut self, rate: f64, mut goes_on: impl FnMut() -> bool) -> Result<u64> {
        let (mut start, mut since_start, mut tried) = (Instant::now(), 0_u64, 0_u64);
        let forgive = (rate * LAG_MAX.as_secs_f64()) as u64 + u64::from(PACED_BURST);
        while goes_on() {
            let due = (start.elapsed().as_secs_f64() * rate) as u64;
            let behind = due.saturating_sub(since_start);
            if behind > forgive {
                (start, since_start) = (Instant::now(), 0);
            } else if behind >= PACED_BURST.into() {
                let (taken, refused) = self.burst(PACED_BURST)?;
                since_start += u64::from(taken + refused);
                tried += u64::from(taken + refused);
            } else {
                std::hint::spin_loop();
            }
        }
        Ok(tried)
    }

    /// Tries up to `count` packets with one call: how many were taken, and whether one was refused for
    /// lack of room, which ends the call.
    fn burst(&mut self, count: u32) -> Result<(u32, u32)> {
        let frames = &mut self.frames[..count as usize];
        for (n, frame) in (self.next..).zip(frames.iter_mut()) {
            let ports = self.flows.ports(n).map(u16::to_be_bytes);
            frame[PORTS_AT..PORTS_AT + 4].copy_from_slice(ports.as_flattened());
        }
        let parts: Vec<_> = frames.iter().map(|frame| [IoSlice::new(frame)]).collect();
        let mut none: Vec<_> = frames
            .iter()
            .map(|_| SendAncillaryBuffer::default())
            .collect();
        let mut messages: Vec<_> = parts
            .iter()
            .zip(&mut none)
            .map(|(part, none)| MMsgHdr::new(part, none))
            .collect();
        let taken = match sendmmsg(&self.socket, &mut messages, SendFlags::empty()) {
            Ok(taken) => taken as u32,
            Err(Errno::NOBUFS) => 0,
            Err(Errno::INTR) => return Ok((0, 0)),
            Err(errno) => return Err(errno.into()),
        };
        ensure!(taken <= count, "sendmmsg counts");
        let refused = u32::from(taken < count);
        self.next += u64::from(taken + refused);
        Ok((taken, refused))
    }
}
