//! Rings over real TAPs. Without root, or where io_uring is forbidden, these tests say so and pass.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use std::{
    cell::Cell,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};
use tap::{Filled, Links, Netns, PacketMode, PacketSocket, Queue, Ring, Tap, TapOptions, vanished};

const PATIENCE: Duration = Duration::from_secs(5);
/// Slots of a queue.
const SLOTS: usize = 64;
/// Bytes of the virtio header.
const HEADER: usize = packet::VNET_HDR_LEN;

#[test]
fn a_burst_beyond_all_slots_is_read_completely_and_in_order() {
    let Some(guest) = Guest::new("a") else { return };
    let mut ring = Ring::new().unwrap();
    let number = ring.attach(guest.queue()).unwrap();
    guest.send(0..1000);
    let mut read = 0;
    while read < 1000 {
        let frames = frames_of(&mut ring, number);
        assert!(frames.len() <= SLOTS, "{} at once", frames.len());
        for frame in frames {
            assert_eq!(guest.number(&ring, frame), read);
            ring.give_back(frame);
            read += 1;
        }
    }
}

#[test]
fn a_queue_that_floods_leaves_the_others_their_turn() {
    let (Some(loud), Some(quiet)) = (Guest::new("loud"), Guest::new("quiet")) else {
        return;
    };
    let mut ring = Ring::new().unwrap();
    let (loud_number, quiet_number) = (
        ring.attach(loud.queue()).unwrap(),
        ring.attach(quiet.queue()).unwrap(),
    );
    loud.send(0..2000);
    quiet.send(0..1);
    let mut before = 0;
    loop {
        ring.wait(PATIENCE).unwrap();
        let number = ring.next_ready().unwrap();
        if number == quiet_number {
            break;
        }
        assert_eq!(number, loud_number);
        while let Some(frame) = ring.next(number).unwrap() {
            before += 1;
            ring.give_back(frame);
        }
    }
    assert!(before <= 2 * SLOTS, "{before} frames of the other before");
}

#[test]
fn what_is_written_arrives_in_order_and_is_settled_when_submit_returns() {
    let (Some(from), Some(to)) = (Guest::new("from"), Guest::new("to")) else {
        return;
    };
    let mut ring = Ring::new().unwrap();
    let (from_number, to_number) = (
        ring.attach(from.queue()).unwrap(),
        ring.attach(to.queue()).unwrap(),
    );
    let seen = PacketSocket::open(Some(&to.netns), "to", PacketMode::Offload).unwrap();
    from.send(0..200);
    let mut written = 0;
    while written < 200 {
        let frames = frames_of(&mut ring, from_number);
        for &frame in &frames {
            ring.write(to_number, frame, written).unwrap();
            written += 1;
        }
        ring.submit().unwrap();
        let settled: Vec<_> = ring.settled().collect();
        assert_eq!(settled.len(), frames.len());
        assert!(
            settled
                .iter()
                .all(|one| one.result.is_ok() && one.queue == to_number)
        );
        assert!(settled.is_sorted_by_key(|one| one.mark));
        frames.into_iter().for_each(|frame| ring.give_back(frame));
    }
    let mut arrived = vec![];
    let mut buffer = vec![0; 2048];
    seen.set_timeout(Some(Duration::from_millis(100))).unwrap();
    while let Some((_, frame)) = seen.recv(&mut buffer).unwrap() {
        arrived.extend(marked(frame));
    }
    assert_eq!(arrived, (0..200).collect::<Vec<_>>());
}

#[test]
fn one_frame_goes_to_many_queues_and_a_queue_that_is_down_loses_its_own() {
    let guests = ["from", "up", "down"].map(Guest::new);
    let [Some(from), Some(up), Some(down)] = guests else {
        return;
    };
    let mut ring = Ring::new().unwrap();
    let numbers = [&from, &up, &down].map(|guest| ring.attach(guest.queue()).unwrap());
    Links::open(Some(&down.netns))
        .unwrap()
        .set_up("down", false)
        .unwrap();
    from.send(0..1);
    let frame = frames_of(&mut ring, numbers[0])[0];
    ring.write(numbers[1], frame, 1).unwrap();
    ring.write(numbers[2], frame, 2).unwrap();
    ring.submit().unwrap();
    let settled: Vec<_> = ring
        .settled()
        .map(|one| (one.mark, one.result.is_ok()))
        .collect();
    assert_eq!(settled, [(1, true), (2, false)]);
}

#[test]
fn a_tap_that_is_removed_says_so_and_can_be_detached() {
    let Some(guest) = Guest::new("gone") else {
        return;
    };
    let mut ring = Ring::new().unwrap();
    let number = ring.attach(guest.queue()).unwrap();
    ring.submit().unwrap();
    Links::open(Some(&guest.netns))
        .unwrap()
        .remove("gone")
        .unwrap();
    let start = Instant::now();
    let error = loop {
        assert!(start.elapsed() < PATIENCE);
        ring.wait(PATIENCE).unwrap();
        let number = ring.next_ready().unwrap();
        match ring.next(number) {
            Ok(Some(frame)) => ring.give_back(frame),
            Ok(None) => {}
            Err(error) => break error,
        }
    };
    assert!(vanished(&error), "{error}");
    assert!(
        vanished(&ring.next(number).unwrap_err()),
        "it goes on saying so"
    );
    ring.detach(number).unwrap();
}

#[test]
fn a_device_that_a_write_found_gone_is_reported_by_the_next_read() {
    let Some(guest) = Guest::new("noted") else {
        return;
    };
    let mut ring = Ring::new().unwrap();
    let number = ring.attach(guest.queue()).unwrap();
    // A read that waits and is never woken, as far as the ring can see.
    ring.note_gone(number);
    ring.note_gone(number);
    assert_eq!(ring.ready(), 1);
    assert_eq!(ring.next_ready(), Some(number));
    for _ in 0..2 {
        assert!(vanished(&ring.next(number).unwrap_err()), "for good");
    }
    ring.detach(number).unwrap();
}

#[test]
fn queues_whose_device_is_gone_are_found_among_others() {
    let (Some(here), Some(gone)) = (Guest::new("here"), Guest::new("gone")) else {
        return;
    };
    let queues = [here.queue(), gone.queue()];
    assert_eq!(tap::find_vanished(queues.iter()).unwrap(), [false, false]);
    Links::open(Some(&gone.netns))
        .unwrap()
        .remove(&gone.name)
        .unwrap();
    assert_eq!(tap::find_vanished(queues.iter()).unwrap(), [false, true]);
}

#[test]
fn a_queue_that_is_detached_is_read_by_others_and_its_number_is_used_again() {
    let (Some(a), Some(b)) = (Guest::new("a"), Guest::new("b")) else {
        return;
    };
    let mut ring = Ring::new().unwrap();
    let number = ring.attach(a.queue()).unwrap();
    ring.submit().unwrap();
    let queue = ring.detach(number).unwrap();
    a.send(0..1);
    let mut buffer = vec![0; tap::MAX_FRAME];
    let read = std::iter::from_fn(|| {
        queue
            .read(&mut buffer)
            .unwrap()
            .map(|len| marked(&buffer[HEADER..len]))
    });
    assert!(read.flatten().any(|number| number == 0));
    assert_eq!(ring.attach(b.queue()).unwrap(), number);
    b.send(7..8);
    let frame = frames_of(&mut ring, number)[0];
    assert_eq!(b.number(&ring, frame), 7);
}

#[test]
fn a_sleeping_ring_is_woken_by_what_it_watches() {
    use std::{io::Write, os::fd::AsRawFd};
    if let Err(error) = Ring::probe() {
        return eprintln!("skipped: {error}");
    }
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut ring = Ring::new().unwrap();
    ring.watch(reader.as_raw_fd());
    assert!(ring.fired(), "what was there before gives no event");
    ring.wait(Duration::from_millis(1)).unwrap();
    assert!(!ring.fired());
    let writing = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        writer.write_all(b"x").unwrap();
        writer
    });
    let start = Instant::now();
    ring.wait(PATIENCE).unwrap();
    assert!(ring.fired() && start.elapsed() < PATIENCE);
    writing.join().unwrap();
}

#[test]
fn a_ring_that_is_dropped_while_it_reads_closes_its_queues() {
    let Some(guest) = Guest::new("a") else { return };
    let mut ring = Ring::new().unwrap();
    ring.attach(guest.queue()).unwrap();
    ring.submit().unwrap();
    guest.send(0..100);
    drop(ring);
    let start = Instant::now();
    // The device is not persistent: it goes with its last descriptor.
    while Links::open(Some(&guest.netns))
        .unwrap()
        .find("a")
        .unwrap()
        .is_some()
    {
        assert!(start.elapsed() < PATIENCE, "somebody holds the queue");
    }
}

/// What has been read from a queue, at least a frame of ours; others' are given back.
fn frames_of(ring: &mut Ring, number: u16) -> Vec<Filled> {
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < PATIENCE, "nothing came");
        ring.wait(Duration::from_millis(100)).unwrap();
        let mut frames = vec![];
        while let Some(ready) = ring.next_ready() {
            while let Some(frame) = ring.next(ready).unwrap() {
                if ready == number && marked(&ring.bytes(frame)[HEADER..]).is_some() {
                    frames.push(frame);
                } else {
                    ring.discard(frame);
                }
            }
        }
        if !frames.is_empty() {
            return frames;
        }
    }
}

/// The number that [`Guest::send`] wrote into a frame.
fn marked(frame: &[u8]) -> Option<u32> {
    let is_ours = frame.get(12..14) == Some(&[0x88, 0xb5]);
    is_ours.then(|| u32::from_be_bytes(frame[14..18].try_into().unwrap()))
}

/// A namespace with a TAP.
struct Guest {
    netns: Netns,
    name: String,
    /// Once: taken by [`Guest::queue`].
    queue: Cell<Option<Queue>>,
}

impl Guest {
    fn new(name: &str) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if let Err(error) = Ring::probe() {
            eprintln!("skipped: {error}");
            return None;
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let netns = Netns::named(&format!("ringtest-{}-{number}", std::process::id())).unwrap();
        if let Err(error) = netns.create() {
            eprintln!("skipped: {error}");
            return None;
        }
        let options = TapOptions {
            netns: Some(netns.clone()),
            ..TapOptions::new(name)
        };
        let mut queues = Tap::open(&options).unwrap().into_queues();
        let mut links = Links::open(Some(&netns)).unwrap();
        links.set_up(name, true).unwrap();
        Some(Self {
            netns,
            name: name.into(),
            queue: Cell::new(queues.pop()),
        })
    }

    fn queue(&self) -> Queue {
        self.queue.take().unwrap()
    }

    /// Sends frames with these numbers, of an ethertype for experiments (IEEE 802).
    fn send(&self, numbers: std::ops::Range<u32>) {
        let socket = PacketSocket::open(Some(&self.netns), &self.name, PacketMode::Send).unwrap();
        for number in numbers {
            let mut frame = [0xff; 60];
            frame[6] = 0x02;
            frame[12..14].copy_from_slice(&[0x88, 0xb5]);
            frame[14..18].copy_from_slice(&number.to_be_bytes());
            socket.send(&frame).unwrap();
        }
    }

    fn number(&self, ring: &Ring, frame: Filled) -> u32 {
        marked(&ring.bytes(frame)[HEADER..]).unwrap()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.netns.delete();
    }
}
