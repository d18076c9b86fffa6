//! The whole packet path without a device: a switch from a configuration, frames in, ports out. Time
//! is an argument, so what takes a day takes a microsecond here.
//!
//! Next: `04_write_a_flow_log`, what becomes of the counts.

use anyhow::Result;
use packet::{Mac, PacketSpec, VNET_HDR_LEN};
use secgroup::{PortId, RuleTable};
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
  - { name: client, rules: [] }          # out, and the answers to that
  - { name: dns, rules: [{ direction: ingress, protocol: udp, port_range_min: 53, port_range_max: 53 }] }
ports:
  - { name: vm1, subnet: app, mac_address: 'fa:16:3e:00:00:01', fixed_ips: [10.77.1.11], security_groups: [client] }
  - { name: vm2, subnet: app, mac_address: 'fa:16:3e:00:00:02', fixed_ips: [10.77.1.12], security_groups: [dns] }
";
const MACS: [Mac; 2] = [
    Mac([0xfa, 0x16, 0x3e, 0, 0, 1]),
    Mac([0xfa, 0x16, 0x3e, 0, 0, 2]),
];

fn main() -> Result<()> {
    let (plan, _) = Config::parse(CONFIG, "two guests")?;
    let prepared = Prepared::new(switch_config(&plan), &mut RuleTable::default())?;
    let mut now = Now {
        ms: 0,
        wall_us: 1_800_000_000_000_000,
    };
    let mut switch = Switch::new(now, 7, plan.conntrack.limit, 60);
    switch.apply(now, prepared)?;
    let guests = [PortId(0), PortId(1)];
    guests.iter().for_each(|port| switch.set_up(*port, true));

    for (wait_s, from, text) in [
        (0, 1, "udp 10.77.1.12:53 > 10.77.1.11:4000"),
        (0, 0, "udp 10.77.1.11:4000 > 10.77.1.12:53"),
        (1, 1, "udp 10.77.1.12:53 > 10.77.1.11:4000"),
        // A flow that was answered is remembered for longer than one that was not; not for an hour.
        (3600, 1, "udp 10.77.1.12:53 > 10.77.1.11:4000"),
    ] {
        now.ms += wait_s * 1000;
        now.wall_us += u64::from(wait_s) * 1_000_000;
        let packet: PacketSpec = text.parse()?;
        let bytes = packet.build(MACS[from], MACS[1 - from]);
        let frame = Frame::parse(&[0; VNET_HDR_LEN], &bytes)?;
        let mut outbox = Outbox::default();
        switch.enter(now);
        switch.forward(now, guests[from], &frame, &mut outbox);
        println!(
            "{:>5} s  {text:38} reaches {:?}",
            now.ms / 1000,
            outbox.receivers
        );
        // A device would have taken it: the books balance over what became of each copy.
        for port in outbox.receivers {
            switch.settle(port, 1, 0);
        }
    }

    switch.audit_begin();
    while switch.audit_slice() {}
    let audit = switch.audit_finish();
    println!(
        "every packet that was counted is recorded: {}",
        audit.holds()
    );
    assert!(audit.holds());
    Ok(())
}
