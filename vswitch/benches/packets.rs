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
use std::{hint::black_box, net::Ipv4Addr, ops::Range};
use vswitch::{
    config::Config,
    run::switch_config,
    switch::{BATCH, Frame, Now, Outbox, Prepared, Switch},
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
      allowed_address_pairs: [{ ip_address: 10.77.0.0/16 }], conntrack_limit: 1048576, flow_limit: 1048576 }
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
/// Ethernet, IPv4 and TCP without options.
const HEADERS: usize = 54;
/// Where in them TCP's sequence and acknowledgement numbers stand.
const SEQ: Range<usize> = 38..42;
const ACK: Range<usize> = 42..46;
/// Bytes of each data packet: a whole batch of one flow fits into the receiver's window.
const PAYLOAD: u32 = 512;
const NOW: Now = Now {
    ms: 1000,
    wall_us: 1_800_000_000_000_000,
};
/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`: the checksum is left to the device, as a guest's kernel sends it.
const FROM_A_KERNEL: [u8; VNET_HDR_LEN] = [1, 0, 0, 0, 0, 0, 34, 0, 16, 0];

/// A connection from A to B: the headers of its packets, and how far it has come.
struct Flow {
    data: [u8; HEADERS],
    ack: [u8; HEADERS],
    seq: u32,
}

fn main() {
    // Cargo adds `--bench` of its own.
    match std::env::args().skip(1).find_map(|word| word.parse().ok()) {
        Some(packets) => {
            let (mut switch, mut flows) = established(1);
            send(&mut switch, &mut flows, packets);
        }
        None => [1, 1000, 100_000, 1_000_000].into_iter().for_each(time),
    }
}

/// Nanoseconds per packet among `count` flows.
fn time(count: u32) {
    const PACKETS: usize = 4_000_000;
    let (mut switch, mut flows) = established(count);
    send(&mut switch, &mut flows, PACKETS / 4);
    let start = processor_ns();
    send(&mut switch, &mut flows, PACKETS);
    let ns = (processor_ns() - start) as f64 / PACKETS as f64;
    println!("established TCP, {count:>7} flows in random order: {ns:6.1} ns per packet");
}

/// Processor time of this thread so far, nanoseconds: other programs take part in the caches alone.
fn processor_ns() -> u64 {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    let on_cpu = schedstat.split_whitespace().next();
    on_cpu
        .and_then(|ns| ns.parse().ok())
        .expect("the first number is the time on a processor")
}

/// Batches of data from A, each followed by a batch of B's acknowledgements: parsed ahead and then
/// judged one by one, as the worker does it.
fn send(switch: &mut Switch, flows: &mut [Flow], packets: usize) {
    let mut data = vec![vec![0; HEADERS + PAYLOAD as usize]; BATCH];
    let mut acks = vec![vec![0; HEADERS]; BATCH];
    let mut random = 0x9e37_79b9_u32;
    for _ in 0..packets.div_ceil(2 * BATCH) {
        for (data, ack) in data.iter_mut().zip(&mut acks) {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Multiply and shift instead of a remainder (Lemire).
            let pick = (u64::from(random) * flows.len() as u64) >> 32;
            let flow = &mut flows[pick as usize];
            data[..HEADERS].copy_from_slice(&flow.data);
            ack.copy_from_slice(&flow.ack);
            data[SEQ].copy_from_slice(&flow.seq.to_be_bytes());
            flow.seq = flow.seq.wrapping_add(PAYLOAD);
            ack[ACK].copy_from_slice(&flow.seq.to_be_bytes());
        }
        forward(switch, FROM_A, FROM_B, &data);
        forward(switch, FROM_B, FROM_A, &acks);
    }
}

fn forward(switch: &mut Switch, from: PortId, to: PortId, frames: &[Vec<u8>]) {
    let mut parsed: [Option<Frame<'_>>; BATCH] = std::array::from_fn(|_| None);
    let mut outbox = Outbox {
        receivers: Vec::with_capacity(BATCH),
        ..Outbox::default()
    };
    for (place, frame) in parsed.iter_mut().zip(frames) {
        Frame::parse_into(place, &FROM_A_KERNEL, black_box(frame));
    }
    switch.enter(NOW);
    let ahead = switch.look_ahead(from, parsed.iter().map(Option::as_ref));
    for (frame, ahead) in parsed.iter().flatten().zip(ahead) {
        switch.forward_staged(NOW, from, frame, ahead, &mut outbox);
    }
    assert_eq!(outbox.receivers.len(), BATCH, "every packet is delivered");
    switch.settle(to, BATCH as u64, 0);
}

/// A switch on which `count` connections from A to B are established.
fn established(count: u32) -> (Switch, Vec<Flow>) {
    let (plan, _) = Config::parse(CONFIG, "bench").expect("the configuration is good");
    let prepared =
        Prepared::new(switch_config(&plan), &mut RuleTable::default()).expect("so is its policy");
    let window_s = flowlog::base_window_s(&plan.loggers);
    let mut switch = Switch::new(NOW, 1, plan.conntrack.limit, window_s);
    switch.apply(NOW, prepared);
    switch.set_up(FROM_A, true);
    switch.set_up(FROM_B, true);
    let flows = (0..count)
        .map(|number| connect(&mut switch, number))
        .collect();
    (switch, flows)
}

/// The three packets of a handshake.
fn connect(switch: &mut Switch, number: u32) -> Flow {
    // Addresses of A's pair and ports above 1024 make room for any number of flows.
    let address = match number {
        0 => A.1,
        _ => Ipv4Addr::new(10, 77, 2 + (number / 60_000) as u8, 1),
    };
    let port = 1024 + (number % 60_000) as u16;
    let to_b = frame(A.0, B.0)
        .ip(address, B.1)
        .tcp(port, 80)
        .window(65_000);
    let to_a = frame(B.0, A.0)
        .ip(B.1, address)
        .tcp(80, port)
        .window(65_000);
    let syn = to_b.clone().flags(tcp_flags::SYN).seq(1000).build();
    let syn_ack = to_a.clone().flags(tcp_flags::SYN | tcp_flags::ACK);
    let syn_ack = syn_ack.seq(5000).ack(1001).build();
    let to_b = to_b.flags(tcp_flags::ACK).seq(1001).ack(5001);
    let payload = [0; PAYLOAD as usize];
    let (ack, data) = (to_b.clone().build(), to_b.payload(&payload).build());
    for (from, bytes) in [(FROM_A, &syn), (FROM_B, &syn_ack), (FROM_A, &ack)] {
        let parsed = Frame::parse(&FROM_A_KERNEL, bytes).expect("it is no runt");
        let mut outbox = Outbox::default();
        switch.enter(NOW);
        switch.forward(NOW, from, &parsed, &mut outbox);
        assert_eq!(outbox.receivers.len(), 1, "the handshake passes");
    }
    let headers = |bytes: &[u8]| *bytes.first_chunk().expect("Ethernet, IPv4 and TCP");
    let answer = to_a.flags(tcp_flags::ACK).seq(5001).ack(1001).build();
    Flow {
        data: headers(&data),
        ack: headers(&answer),
        seq: 1001,
    }
}
