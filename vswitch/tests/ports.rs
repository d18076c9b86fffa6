//! TAPs as ports: real ones, a real kernel at each end. Without root these tests say so and pass.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use packet::Mac;
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::{Duration, Instant},
};
use tap::{Links, Netns, Tap, TapOptions};
use vswitch::io::{Buffers, PortIo, Sent, TapPort};

const BYTES: usize = 1_000_000;

#[test]
fn tcp_with_offloads_crosses_between_two_ports_untouched() {
    let (Some(mut a), Some(mut b)) = (Guest::new(11, true), Guest::new(12, true)) else {
        return;
    };
    let sent = transfer(&mut a, &mut b);
    assert_eq!(sent.finished_in_software, 0);
    assert!(sent.delivered > 0 && !sent.gone, "{sent:?}");
}

#[test]
fn a_port_without_offloads_gets_finished_checksums_and_segments() {
    let (Some(mut a), Some(mut b)) = (Guest::new(21, true), Guest::new(22, false)) else {
        return;
    };
    let sent = transfer(&mut a, &mut b);
    assert!(sent.finished_in_software > 0, "{sent:?}");
}

#[test]
fn a_port_whose_tap_is_removed_is_gone_and_says_so_each_time() {
    let Some(mut a) = Guest::new(31, true) else {
        return;
    };
    let mut pool = Buffers::new(2);
    while let Some(lease) = a.port.rx(&mut pool).unwrap() {
        pool.give_back(lease);
    }
    Links::open(Some(&a.netns))
        .unwrap()
        .remove("guest")
        .unwrap();
    for _ in 0..2 {
        let gone = a.port.rx(&mut pool).unwrap_err();
        assert_eq!(gone.port, "guest31");
    }
    let lease = pool
        .lend(|room| {
            room[..72].fill(0);
            Ok(Some(72))
        })
        .unwrap()
        .unwrap();
    a.port.send(pool.frame(lease, 1));
    assert_eq!(
        a.port.flush(),
        Sent {
            lost: 1,
            gone: true,
            ..Sent::default()
        }
    );
}

#[test]
fn a_guest_that_takes_its_interface_down_loses_frames_and_keeps_its_port() {
    let Some(mut a) = Guest::new(41, true) else {
        return;
    };
    Links::open(Some(&a.netns))
        .unwrap()
        .set_up("guest", false)
        .unwrap();
    let mut pool = Buffers::new(2);
    let lease = pool
        .lend(|room| {
            room[..72].fill(0);
            Ok(Some(72))
        })
        .unwrap()
        .unwrap();
    a.port.send(pool.frame(lease, 3));
    assert_eq!(
        a.port.flush(),
        Sent {
            lost: 3,
            ..Sent::default()
        }
    );
    assert!(a.port.rx(&mut pool).is_ok());
}

/// Sends [`BYTES`] over TCP from `a` to `b` while every frame is handed across.
fn transfer(a: &mut Guest, b: &mut Guest) -> Sent {
    let listener = b
        .netns
        .run_in(|| TcpListener::bind((b.address, 5001)).unwrap())
        .unwrap();
    let (done, to) = (AtomicBool::new(false), b.address);
    let netns = a.netns.clone();
    std::thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let mut received = Vec::new();
            listener
                .accept()
                .unwrap()
                .0
                .read_to_end(&mut received)
                .unwrap();
            done.store(true, Ordering::Release);
            received.len()
        });
        scope.spawn(move || {
            let mut stream = netns
                .run_in(|| TcpStream::connect((to, 5001)).unwrap())
                .unwrap();
            stream.write_all(&vec![7; BYTES]).unwrap();
        });
        let sent = cross(&mut a.port, &mut b.port, &done);
        assert_eq!(receiver.join().unwrap(), BYTES);
        sent
    })
}

fn cross(a: &mut TapPort, b: &mut TapPort, done: &AtomicBool) -> Sent {
    let mut pool = Buffers::new(1);
    let mut total = Sent::default();
    let deadline = Instant::now() + Duration::from_secs(10);
    while !done.load(Ordering::Acquire) {
        assert!(Instant::now() < deadline, "the transfer hangs: {total:?}");
        copy(a, b, &mut pool, &mut total);
        copy(b, a, &mut pool, &mut total);
        std::thread::yield_now();
    }
    total
}

fn copy(from: &mut TapPort, to: &mut TapPort, pool: &mut Buffers, total: &mut Sent) {
    while let Some(lease) = from.rx(pool).unwrap() {
        to.send(pool.frame(lease, 1));
        pool.give_back(lease);
    }
    let sent = to.flush();
    total.delivered += sent.delivered;
    total.lost += sent.lost;
    total.finished_in_software += sent.finished_in_software;
    total.gone |= sent.gone;
}

/// A namespace with one TAP.
struct Guest {
    netns: Netns,
    address: Ipv4Addr,
    port: TapPort,
}

impl Guest {
    fn new(last: u8, vnet_hdr: bool) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: namespaces and TAPs need root");
            return None;
        }
        let name = format!(
            "porttest-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let netns = Netns::named(&name).unwrap();
        netns.create().unwrap();
        let options = TapOptions {
            netns: Some(netns.clone()),
            vnet_hdr,
            ..TapOptions::new("guest")
        };
        let queue = Tap::open(&options).unwrap().into_queues().remove(0);
        let address = Ipv4Addr::new(10, 77, 1, last);
        let mut links = Links::open(Some(&netns)).unwrap();
        links
            .set_mac("guest", Mac([0xfa, 0x16, 0x3e, 0, 1, last]))
            .unwrap();
        links.set_up("guest", true).unwrap();
        links.add_address("guest", address.into(), 24).unwrap();
        Some(Self {
            netns,
            address,
            port: TapPort::new(format!("guest{last}"), queue, vnet_hdr),
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.netns.delete();
    }
}
