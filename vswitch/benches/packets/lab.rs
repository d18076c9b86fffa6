//! A switch with ports in pairs: those with even numbers send to the one that follows.

use packet::{Mac, VNET_HDR_LEN};
use secgroup::{PortId, RuleTable};
use std::fmt::Write;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use vswitch::{
    config::Config,
    run::switch_config,
    switch::{BATCH, Frame, Now, Outbox, Prepared, Switch},
};

/// TCP port that every port takes.
pub(crate) const HTTP: u16 = 80;
/// UDP port that every port takes.
pub(crate) const DNS: u16 = 53;
/// UDP port that no rule names.
pub(crate) const REFUSED: u16 = 9;
/// Connections and records that a table, and a single port, has room for.
pub(crate) const LIMIT: u32 = 1 << 20;

const START: Now = Now {
    ms: 1000,
    wall_us: 1_800_000_000_000_000,
};

/// What a switch is to have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec {
    /// Ports, an even number.
    pub(crate) ports: u16,
    /// Rules for UDP in each direction besides the few that let the traffic pass: one for each of the
    /// destination ports from [`FIRST_RULE`] on.
    pub(crate) rules: u16,
    /// Addresses of each port, all members of the group that rules name.
    pub(crate) addresses: u8,
    /// Whether a logger collects everything.
    pub(crate) has_logger: bool,
}

/// The first of the destination ports that [`Spec::rules`] are about.
pub(crate) const FIRST_RULE: u16 = 10_000;

impl Spec {
    pub(crate) const PAIR: Self = Self {
        ports: 2,
        rules: 0,
        addresses: 1,
        has_logger: true,
    };

    fn text(self) -> String {
        let mut text = String::from(
            "region: KR1\nvpcs: [{ name: lab, cidr: 10.0.0.0/8 }]\n\
             subnets: [{ name: app, vpc: lab, cidr: 10.64.0.0/10, cidr6: \"fd77::/48\" }]\n",
        );
        self.rules(&mut text);
        text.push_str("ports:\n");
        for port in 0..self.ports {
            self.port(&mut text, port);
        }
        let _ = writeln!(text, "conntrack: {{ limit: {LIMIT} }}");
        if self.has_logger {
            text.push_str(
                "flowlog_loggers:\n  - { name: all, resource_type: VPC, resource: lab, storage_type: FILE, storage_url: ./flowlogs }\n",
            );
        }
        text
    }

    fn rules(self, text: &mut String) {
        text.push_str("security_groups:\n  - name: all\n    rules:\n");
        for ethertype in ["IPv4", "IPv6"] {
            for (protocol, port) in [("tcp", HTTP), ("udp", DNS)] {
                let _ = writeln!(
                    text,
                    "      - {{ direction: ingress, ethertype: {ethertype}, protocol: {protocol}, port_range_min: {port}, port_range_max: {port} }}"
                );
            }
            if self.rules == 0 {
                let _ = writeln!(
                    text,
                    "      - {{ direction: egress, ethertype: {ethertype} }}"
                );
            }
        }
        for (number, port) in (FIRST_RULE..).take(self.rules.into()).enumerate() {
            let remote = match number % 3 {
                0 => "remote_group: all",
                1 => "remote_ip_prefix: 10.64.0.0/10",
                _ => "ethertype: IPv4",
            };
            for direction in ["ingress", "egress"] {
                let _ = writeln!(
                    text,
                    "      - {{ direction: {direction}, protocol: udp, port_range_min: {port}, port_range_max: {port}, {remote} }}"
                );
            }
        }
    }

    fn port(self, text: &mut String, port: u16) {
        let own = (0..self.addresses).map(|place| address(port, place, Family::V4).to_string());
        let own: Vec<String> = own.collect();
        let (v4, v6) = (address(port, 0, Family::V4), address(port, 0, Family::V6));
        let _ = writeln!(
            text,
            "  - {{ name: p{port}, subnet: app, mac_address: \"{}\", fixed_ips: [{}, \"{v6}\"], security_groups: [all], \
             allowed_address_pairs: [{{ ip_address: {v4}/24 }}, {{ ip_address: \"{v6}/64\" }}], \
             conntrack_limit: {LIMIT}, flow_limit: {LIMIT}, tap: {{ name: t{port} }} }}",
            mac(port),
            own.join(", ")
        );
    }
}

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// Of the addresses that a port may send from the one at `place`.
pub(crate) fn address(port: u16, place: u8, family: Family) -> IpAddr {
    let [high, low] = port.to_be_bytes();
    match family {
        Family::V4 => Ipv4Addr::new(10, 64 + high, low, 1 + place).into(),
        Family::V6 => Ipv6Addr::new(0xfd77, 0, 0, port, 0, 0, 0, 1 + u16::from(place)).into(),
    }
}

pub(crate) fn mac(port: u16) -> Mac {
    let [high, low] = port.to_be_bytes();
    Mac([0xfa, 0x16, 0x3e, 0, high, low])
}

/// A switch at work.
pub(crate) struct Lab {
    pub(crate) switch: Switch,
    pub(crate) now: Now,
    pub(crate) ports: u16,
    outbox: Outbox,
}

/// Frames of one port, sent under one lock.
pub(crate) struct Batch<'a> {
    pub(crate) from: u16,
    pub(crate) to: u16,
    pub(crate) vnet: &'a [u8; VNET_HDR_LEN],
    pub(crate) frames: &'a [Vec<u8>],
    /// Copies that each is to be delivered in.
    pub(crate) copies: usize,
}

impl Lab {
    pub(crate) fn new(spec: Spec) -> Self {
        let (plan, _) = Config::parse(&spec.text(), "bench").expect("the configuration is good");
        let prepared = Prepared::new(switch_config(&plan), &mut RuleTable::default())
            .expect("so is its policy");
        let window_s = flowlog::base_window_s(&plan.loggers);
        let mut switch = Switch::new(START, 1, plan.conntrack.limit, window_s);
        switch.apply(START, prepared).expect("there are numbers");
        for port in 0..spec.ports {
            switch.set_up(PortId(port), true);
        }
        Self {
            switch,
            now: START,
            ports: spec.ports,
            outbox: Outbox::default(),
        }
    }

    /// Parses a batch ahead and judges it packet by packet, as the worker does it.
    pub(crate) fn forward(&mut self, batch: &Batch<'_>) {
        let (switch, out) = (&mut self.switch, &mut self.outbox);
        let from = PortId(batch.from);
        let mut parsed: [Option<Frame<'_>>; BATCH] = std::array::from_fn(|_| None);
        for (place, frame) in parsed.iter_mut().zip(batch.frames) {
            Frame::parse_into(place, batch.vnet, black_box(frame));
        }
        out.clear();
        switch.enter(self.now);
        let ahead = switch.look_ahead(from, parsed.iter().map(Option::as_ref));
        for (frame, ahead) in parsed.iter().flatten().zip(ahead) {
            switch.forward_staged(self.now, from, frame, ahead, out);
        }
        let delivered = batch.copies * batch.frames.len();
        assert_eq!(
            out.receivers.len(),
            delivered,
            "the verdict is the one that is meant to be measured"
        );
        switch.settle(PortId(batch.to), delivered as u64, 0);
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, seconds: u32) {
        self.now.ms += seconds * 1000;
        self.now.wall_us += u64::from(seconds) * 1_000_000;
    }

    /// Time passes; what is over by then is swept out, and nobody reads the log.
    pub(crate) fn rest(&mut self, seconds: u32) {
        self.pass(seconds);
        while self.switch.sweep(self.now) {
            drop(self.switch.fetch_log());
        }
        drop(self.switch.fetch_log());
    }
}
