//! The packet path in memory: established IPv4 TCP, from the bytes to the counters.
//!
//! ```text
//! cargo bench -p vswitch --bench packets [-- PACKETS]
//! ```
//!
//! Prints nanoseconds per packet for one flow and for many in random order. With a number of packets
//! it sends just so many of one flow, for counting instructions: the difference between two runs is
//! the path alone (`cargo xtask bench --instructions`).

use packet::{Mac, VNET_HDR_LEN, build::frame, tcp_flags};
use secgroup::{PortId, RuleTable};
use std::{hint::black_box, net::Ipv4Addr, time::Instant};
use vswitch::{
    config::Config,
    run::switch_config,
    switch::{Frame, Now, Outbox, Prepared, Switch},
};

const CONFIG: &str = "
region: KR1
vpcs: [{ name: lab, cidr: 10.77.0.0/16 }]
subnets: [{ name: app, vpc: lab, cidr: 10.77.1.0/24 }]
security_groups:
  - name: web
    rules: [{ direction: ingress, protocol: tcp, port_range_min: 80, port_range_max: 80 }]
ports:
  - { name: a, subnet: app, mac_address: \"fa:16:3e:00:00:01\", fixed_ips: [10.77.1.11], security_groups: [web],
      allowed_address_pairs: [{ ip_address: 10.77.0.0/16 }] }
  - { name: b, subnet: app, mac_address: \"fa:16:3e:00:00:02\", fixed_ips: [10.77.1.12], security_groups: [web] }
flowlog_loggers:
  - { name: all, resource_type: VPC, resource: lab, storage_type: FILE, storage_url: ./flowlogs }
";
const A: (Mac, Ipv4Addr) = (
    Mac([0xfa, 0x16, 0x3e, 0, 0, 1]),
    Ipv4Addr::new(10, 77, 1, 11),
);
const B: (Mac, Ipv4Addr) = (
    Mac([0xfa, 0x16, 0x3e, 0, 0, 2]),
    Ipv4Addr::new(10, 77, 1, 12),
);
const FROM_A: PortId = PortId(0);
const FROM_B: PortId = PortId(1);
/// As the worker reads at most.
const BATCH: usize = 64;
const NOW: Now = Now {
    ms: 1000,
    wall_us: 1_800_000_000_000_000,
};
/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`: the checksum is left to the device, as a guest's kernel sends it.
const FROM_A_KERNEL: [u8; VNET_HDR_LEN] = [1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0];

fn main() {
    // Cargo adds `--bench` of its own.
    match std::env::args().skip(1).find_map(|word| word.parse().ok()) {
        Some(packets) => {
            let (mut switch, frames) = established(1);
            send(&mut switch, &frames, packets);
        }
        None => [1, 1000, 100_000].into_iter().for_each(time),
    }
}

/// Nanoseconds per packet among `flows` flows.
fn time(flows: u32) {
    const PACKETS: usize = 4_000_000;
    let (mut switch, frames) = established(flows);
    send(&mut switch, &frames, PACKETS / 4);
    let start = Instant::now();
    send(&mut switch, &frames, PACKETS);
    let ns = start.elapsed().as_secs_f64() * 1e9 / PACKETS as f64;
    println!("established TCP, {flows:>6} flows in random order: {ns:6.1} ns per packet");
}

/// Batch by batch, parsed ahead and then judged one by one, as the worker does it.
fn send(switch: &mut Switch, frames: &[Vec<u8>], packets: usize) {
    let mut outbox = Outbox::new();
    let mut random = 0x9e37_79b9_u32;
    let mut left = packets;
    while left > 0 {
        let batch = left.min(BATCH);
        left -= batch;
        let mut parsed: [Option<Frame<'_>>; BATCH] = [const { None }; BATCH];
        for place in &mut parsed[..batch] {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Multiply and shift instead of a remainder (Lemire).
            let pick = (u64::from(random) * frames.len() as u64) >> 32;
            *place = Frame::parse(&FROM_A_KERNEL, black_box(&frames[pick as usize])).ok();
        }
        switch.enter(NOW);
        outbox.clear();
        for frame in parsed.iter().flatten() {
            switch.forward(NOW, FROM_A, frame, &mut outbox);
        }
        assert_eq!(outbox.len(), batch, "every packet is delivered");
        switch.settle(FROM_B, batch as u64, 0);
    }
}

/// A switch on which `flows` connections from A to B are established, and a data packet of each.
fn established(flows: u32) -> (Switch, Vec<Vec<u8>>) {
    let (plan, _) = Config::parse(CONFIG, "bench").expect("the configuration is good");
    let prepared =
        Prepared::new(switch_config(&plan), &mut RuleTable::default()).expect("so is its policy");
    let mut switch = Switch::new(
        NOW,
        1,
        plan.conntrack.limit,
        flowlog::base_window_s(&plan.loggers),
    );
    switch.apply(NOW, prepared);
    switch.set_up(FROM_A, true);
    switch.set_up(FROM_B, true);
    let frames = (0..flows).map(|flow| connect(&mut switch, flow)).collect();
    (switch, frames)
}

/// The three packets of a handshake; returns the data packet that comes next, again and again.
fn connect(switch: &mut Switch, flow: u32) -> Vec<u8> {
    // Addresses of A's pair and ports above 1024 make room for any number of flows.
    let (address, port) = match flow {
        0 => (A.1, 40_000),
        _ => (
            Ipv4Addr::new(10, 77, 2 + (flow / 60_000) as u8, 1),
            1024 + (flow % 60_000) as u16,
        ),
    };
    let to_b = frame(A.0, B.0).ip(address, B.1).tcp(port, 80);
    let to_a = frame(B.0, A.0).ip(B.1, address).tcp(80, port);
    let data = to_b
        .clone()
        .flags(tcp_flags::ACK)
        .seq(1001)
        .ack(5001)
        .window(65_000)
        .payload(&[0; 512])
        .build();
    let syn = to_b
        .clone()
        .flags(tcp_flags::SYN)
        .seq(1000)
        .window(65_000)
        .build();
    let syn_ack = to_a
        .clone()
        .flags(tcp_flags::SYN | tcp_flags::ACK)
        .seq(5000)
        .ack(1001)
        .window(65_000)
        .build();
    let ack = to_a
        .flags(tcp_flags::ACK)
        .seq(5001)
        .ack(1513)
        .window(65_000)
        .build();
    for (from, bytes) in [
        (FROM_A, &syn),
        (FROM_B, &syn_ack),
        (FROM_A, &data),
        (FROM_B, &ack),
    ] {
        let parsed = Frame::parse(&FROM_A_KERNEL, bytes).expect("it is no runt");
        let mut outbox = Outbox::new();
        switch.enter(NOW);
        switch.forward(NOW, from, &parsed, &mut outbox);
        assert_eq!(outbox.len(), 1, "the handshake passes");
    }
    data
}
