//! Real TAPs in namespaces of their own, which are gone again afterwards. Without root these tests
//! say so and pass.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use packet::{Headers, Mac, Offload, VNET_HDR_LEN};
use rustix::event::{PollFd, PollFlags, poll};
use std::{
    net::{IpAddr, Ipv4Addr, UdpSocket},
    os::fd::AsFd,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tap::{Error, Links, Netns, Queue, TX_QUEUE_LEN, Tap, TapOptions, close_together, vanished};

const GUEST: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 11);
const PEER: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 12);

#[test]
fn a_lock_that_another_keeps_on_the_folder_of_namespaces_keeps_none_from_being_made() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let folder = std::fs::File::open("/run/netns").unwrap();
    folder.lock().unwrap();
    let other = Scratch::new().unwrap();
    assert_ne!(scratch.netns.inode(), other.netns.inode());
}

#[test]
fn a_tap_is_made_inside_its_namespace_and_goes_with_its_descriptor() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let tap = Tap::open(&scratch.options("vm1")).unwrap();
    assert!(tap.was_created());
    assert!(tap.takes_udp_segments());

    let link = scratch.links().get("vm1").unwrap();
    let kind = link.tap.unwrap();
    assert!(
        kind.ethernet && kind.vnet_hdr && !kind.multi_queue && !kind.persistent,
        "{kind:?}"
    );
    assert_eq!(link.tx_queue_len, TX_QUEUE_LEN);
    assert_eq!(Links::open(None).unwrap().find("vm1").unwrap(), None);

    drop(tap);
    assert_eq!(scratch.links().find("vm1").unwrap(), None);
}

#[test]
fn what_the_guest_sends_is_read_and_what_is_written_reaches_the_guest() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let tap = scratch.guest("vm1");
    let queue = &tap.queues()[0];
    let socket = scratch
        .netns
        .run_in(|| UdpSocket::bind((GUEST, 5000)).unwrap())
        .unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();

    socket.send_to(b"hello", (PEER, 7)).unwrap();
    let arp = read_until(queue, |frame| frame[VNET_HDR_LEN..][12..14] == [0x08, 0x06]);
    let arp = &arp[VNET_HDR_LEN..];
    assert_eq!(arp[..6], [0xff; 6], "the request is a broadcast");
    assert_eq!(arp[6..12], MAC.0);

    queue
        .write_parts(&[0; VNET_HDR_LEN], &udp_frame(b"welcome"))
        .unwrap();
    let mut received = [0; 64];
    let (len, from) = socket.recv_from(&mut received).unwrap();
    assert_eq!(
        (&received[..len], from.ip()),
        (&b"welcome"[..], IpAddr::V4(PEER))
    );
}

#[test]
fn an_empty_queue_is_none_and_a_down_interface_refuses_writes_without_being_gone() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let tap = Tap::open(&scratch.options("vm1")).unwrap();
    let queue = &tap.queues()[0];
    assert_eq!(queue.read(&mut [0; 2048]).unwrap(), None);
    let error = queue.write(&[0; VNET_HDR_LEN + 60]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    assert!(!vanished(&error));
}

#[test]
fn a_tap_that_is_removed_wakes_the_reader_and_has_vanished() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let tap = scratch.guest("vm1");
    let queue = &tap.queues()[0];
    let deleted = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            // The guest's kernel sends of its own accord (router solicitations); drain until the end.
            while let Ok(Some(_)) | Ok(None) = queue.read(&mut [0; 2048]) {
                wait(queue, Duration::from_secs(5));
            }
            wait(queue, Duration::from_secs(5))
        });
        std::thread::sleep(Duration::from_millis(50));
        scratch.links().remove("vm1").unwrap();
        waiter.join().unwrap()
    });
    assert!(deleted.contains(PollFlags::ERR), "{deleted:?}");
    assert!(vanished(&queue.read(&mut [0; 2048]).unwrap_err()));
    assert!(vanished(&queue.write(&[0; 72]).unwrap_err()));
}

#[test]
fn a_persistent_tap_outlives_its_maker_and_is_attached_again_with_more_queues() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let options = TapOptions {
        persistent: true,
        multi_queue: true,
        ..scratch.options("vm1")
    };
    drop(Tap::open(&options).unwrap());
    assert!(scratch.links().get("vm1").unwrap().tap.unwrap().persistent);

    let tap = Tap::open(&TapOptions {
        queues: 2,
        ..options.clone()
    })
    .unwrap();
    assert!(!tap.was_created());
    assert_eq!(tap.queues().len(), 2);
    drop(tap);
    let tap = Tap::open(&TapOptions {
        queues: 1,
        ..scratch.options("vm1")
    })
    .unwrap();
    tap.remove().unwrap();
    assert_eq!(scratch.links().find("vm1").unwrap(), None);
}

#[test]
fn a_tap_that_another_program_serves_is_busy_though_it_takes_many_queues() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let options = TapOptions {
        multi_queue: true,
        persistent: true,
        ..scratch.options("vm1")
    };
    let served = Tap::open(&options).unwrap();
    assert_eq!(scratch.links().get("vm1").unwrap().tap.unwrap().queues, 1);
    let error = Tap::open(&options).unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error}");
    assert!(error.to_string().contains("`vm1`"), "{error}");
    let replacing = TapOptions {
        own_queues: 1,
        ..options.clone()
    };
    let anew = Tap::open(&replacing).unwrap();
    drop((served, anew));
    drop(Tap::open(&options).unwrap());
}

#[test]
fn names_that_are_taken_by_something_that_does_not_agree_are_explained() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let error = Tap::open(&scratch.options("lo")).unwrap_err();
    assert!(matches!(error, Error::NotATap { .. }), "{error}");

    let held = Tap::open(&TapOptions {
        persistent: true,
        ..scratch.options("vm1")
    })
    .unwrap();
    let error = Tap::open(&scratch.options("vm1")).unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error}");
    drop(held);
    let error = Tap::open(&TapOptions {
        queues: 2,
        ..scratch.options("vm1")
    })
    .unwrap_err();
    assert!(matches!(error, Error::OneQueue { .. }), "{error}");
    assert!(
        error.to_string().contains(&scratch.netns.to_string()),
        "{error}"
    );
}

#[test]
fn offloads_of_a_persistent_tap_end_with_the_virtio_header() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let options = TapOptions {
        persistent: true,
        ..scratch.options("vm1")
    };
    let tap = Tap::open(&options).unwrap();
    scratch.configure("vm1");
    let with = scratch.broadcast(&tap.queues()[0], VNET_HDR_LEN);
    assert_eq!(with[0] & 1, 1, "the guest leaves the checksum to us");
    drop(tap);

    let tap = Tap::open(&TapOptions {
        vnet_hdr: false,
        ..options
    })
    .unwrap();
    let without = scratch.broadcast(&tap.queues()[0], 0);
    let headers = Headers::parse(&without, Offload::default()).unwrap();
    assert!(
        !headers.bad_checksum && headers.defect.is_none(),
        "{headers:?}"
    );
    assert_ne!(
        with[VNET_HDR_LEN..][40..42],
        without[40..42],
        "one is partial, one is finished"
    );
    tap.remove().unwrap();
}

#[test]
fn an_interface_takes_what_a_lab_sets() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let tap = Tap::open(&scratch.options("made")).unwrap();
    let mut links = scratch.links();
    links.rename("made", "vm1").unwrap();
    links.set_mac("vm1", MAC).unwrap();
    links.set_mtu("vm1", 9000).unwrap();
    links.disable_dad("vm1").unwrap();
    links.set_up("vm1", true).unwrap();
    for _twice in 0..2 {
        links.add_address("vm1", GUEST.into(), 24).unwrap();
        links
            .add_address("vm1", "fd77::11".parse().unwrap(), 64)
            .unwrap();
        links.set_default_route("vm1", PEER.into()).unwrap();
        links
            .set_default_route("vm1", "fd77::1".parse().unwrap())
            .unwrap();
        links
            .add_default_route("vm1", [10, 77, 1, 99].into())
            .unwrap();
    }
    let index = links.get("vm1").unwrap().index;
    assert_eq!(links.taps().unwrap(), [("vm1".to_owned(), index)]);
    let routes = || std::fs::read_to_string("/proc/thread-self/net/route").unwrap();
    let routes = scratch.netns.run_in(routes).unwrap();
    assert!(
        routes.contains("0C014D0A") && !routes.contains("63014D0A"),
        "the route that was there stays: {routes}"
    );
    let link = links.get("vm1").unwrap();
    assert_eq!((link.mac, link.mtu, link.up), (MAC, 9000, true));
    let bound = scratch
        .netns
        .run_in(|| UdpSocket::bind("[fd77::11]:0"))
        .unwrap();
    assert!(
        bound.is_ok(),
        "usable without duplicate address detection: {bound:?}"
    );
    let routed = scratch
        .netns
        .run_in(|| UdpSocket::bind("0.0.0.0:0").unwrap().connect("192.0.2.1:9"))
        .unwrap();
    assert!(routed.is_ok(), "{routed:?}");
    drop(tap);
}

#[test]
fn frames_that_the_ring_has_no_room_for_are_counted_by_the_interface() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let tap = Tap::open(&TapOptions {
        tx_queue_len: 4,
        ..scratch.options("vm1")
    })
    .unwrap();
    scratch.configure("vm1");
    scratch
        .netns
        .run_in(|| {
            let socket = UdpSocket::bind((GUEST, 0)).unwrap();
            socket.set_broadcast(true).unwrap();
            (0..50).for_each(|_| drop(socket.send_to(b"x", (Ipv4Addr::BROADCAST, 9))));
        })
        .unwrap();
    assert!(scratch.links().stats("vm1").unwrap().tx_dropped >= 40);
    drop(tap);
}

#[test]
fn a_tap_that_takes_many_queues_has_no_schedulers_in_front_of_them() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let options = TapOptions {
        multi_queue: true,
        ..scratch.options("vm1")
    };
    let tap = Tap::open(&options).unwrap();
    scratch.configure("vm1");
    let link = scratch.links().get("vm1").unwrap();
    assert_eq!(link.scheduler, "noqueue");
    assert_eq!(link.tx_queue_len, TX_QUEUE_LEN, "the TAP's own queue stays");
    drop(tap);
}

#[test]
fn queues_that_are_closed_together_take_their_devices_with_them() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let open = |n: usize| {
        let options = TapOptions {
            queues: 1 + n % 2,
            ..scratch.options(&format!("vm{n}"))
        };
        Tap::open(&options).unwrap().into_queues()
    };
    let queues: Vec<_> = (0..40).flat_map(open).collect();
    assert_eq!(scratch.links().taps().unwrap().len(), 40);
    close_together(queues);
    assert_eq!(scratch.links().taps().unwrap(), []);
    close_together(vec![]);
}

#[test]
fn a_tap_moves_into_another_namespace_and_stays_readable() {
    let (Some(here), Some(there)) = (Scratch::new(), Scratch::new()) else {
        return;
    };
    let tap = Tap::open(&here.options("vm1")).unwrap();
    here.links().move_to("vm1", &there.netns).unwrap();
    there.configure("vm1");
    read_until(&tap.queues()[0], |_| true);
}

#[test]
fn a_namespace_is_entered_once_however_often_one_is_inside() {
    let (Some(here), Some(there)) = (Scratch::new(), Scratch::new()) else {
        return;
    };
    let own = || rustix::fs::stat("/proc/thread-self/ns/net").unwrap().st_ino;
    let thread = || std::thread::current().id();
    let inside = || {
        let again = here.netns.run_in(|| (own(), thread())).unwrap();
        assert_eq!(again, (own(), thread()));
        assert_eq!(
            there.netns.run_in(own).unwrap(),
            there.netns.inode().unwrap()
        );
        own()
    };
    assert_eq!(
        here.netns.run_in(inside).unwrap(),
        here.netns.inode().unwrap()
    );
    assert_ne!(Some(own()), here.netns.inode());
}

#[test]
fn a_namespace_is_made_once_and_deleted_once() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    assert!(matches!(scratch.netns.create(), Err(Error::NetnsExists(_))));
    assert!(scratch.netns.inode().is_some());
    let own = || rustix::fs::stat("/proc/thread-self/ns/net").unwrap().st_ino;
    assert_eq!(
        scratch.netns.run_in(own).unwrap(),
        scratch.netns.inode().unwrap()
    );
    assert_ne!(
        Some(own()),
        scratch.netns.inode(),
        "the caller's namespace does not change"
    );

    scratch.netns.delete().unwrap();
    assert!(!scratch.netns.exists());
    assert!(matches!(scratch.netns.delete(), Err(Error::NoSuchNetns(_))));
    assert!(matches!(
        Tap::open(&scratch.options("vm1")),
        Err(Error::NoSuchNetns(_))
    ));
}

const MAC: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 1]);

/// A namespace for one test.
struct Scratch {
    netns: Netns,
}

impl Scratch {
    fn new() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "taptest-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let netns = Netns::named(&name).unwrap();
        match netns.create() {
            Ok(()) => Some(Self { netns }),
            Err(error @ Error::Permission { .. }) => {
                eprintln!("skipped: {error}");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn options(&self, name: &str) -> TapOptions {
        TapOptions {
            netns: Some(self.netns.clone()),
            ..TapOptions::new(name)
        }
    }

    fn links(&self) -> Links {
        Links::open(Some(&self.netns)).unwrap()
    }

    fn configure(&self, name: &str) {
        let mut links = self.links();
        links.set_mac(name, MAC).unwrap();
        links.set_up(name, true).unwrap();
        links.add_address(name, GUEST.into(), 24).unwrap();
    }

    /// A UDP broadcast of the guest as it comes out of `queue`.
    fn broadcast(&self, queue: &Queue, header_len: usize) -> Vec<u8> {
        let socket = self
            .netns
            .run_in(|| UdpSocket::bind((GUEST, 4000)).unwrap())
            .unwrap();
        socket.set_broadcast(true).unwrap();
        socket.send_to(b"x", (Ipv4Addr::BROADCAST, 4000)).unwrap();
        read_until(queue, |frame| frame[header_len + 12..][..2] == [0x08, 0x00])
    }

    fn guest(&self, name: &str) -> Tap {
        let tap = Tap::open(&self.options(name)).unwrap();
        self.configure(name);
        tap
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = self.netns.delete();
    }
}

fn wait(queue: &Queue, timeout: Duration) -> PollFlags {
    let fd = queue.as_fd();
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    poll(&mut fds, Some(&timeout.try_into().unwrap())).unwrap();
    fds[0].revents()
}

fn read_until(queue: &Queue, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut frame = vec![0; tap::MAX_FRAME];
    for _ in 0..50 {
        match queue.read(&mut frame).unwrap() {
            Some(len) if wanted(&frame[..len]) => return frame[..len].to_vec(),
            Some(_) => {}
            None => drop(wait(queue, Duration::from_millis(100))),
        }
    }
    panic!("the frame did not come");
}

/// A UDP datagram from the peer to the guest's port 5000; a UDP checksum of 0 is none.
fn udp_frame(payload: &[u8]) -> Vec<u8> {
    let len = (28 + payload.len()) as u16;
    let mut ip = vec![0x45, 0];
    ip.extend(len.to_be_bytes());
    ip.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    ip.extend(PEER.octets());
    ip.extend(GUEST.octets());
    let sum: u32 = ip
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut frame = [&MAC.0[..], &[0xfa, 0x16, 0x3e, 0, 0, 2, 0x08, 0x00], &ip].concat();
    frame.extend([0, 7]);
    frame.extend(5000u16.to_be_bytes());
    frame.extend((len - 20).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(payload);
    frame
}
