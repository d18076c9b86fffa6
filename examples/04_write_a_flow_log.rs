//! Counts become records, and records files: a logger merges what it observes until its interval
//! ends, then puts a file into the spool, from where its store gets it, whole or not at all.
//!
//! Next: `05_embed_the_switch`.

use anyhow::{Context, Result, ensure};
use flowlog::{
    Access, Collector, Delivery, Field, Format, LoggerSpec, Observation, PortInfo, Ports, Resource,
    Storage, Tally, Tick, Window,
};
use packet::{Basis, Direction, FiveTuple, Reason, Verdict, Wire, protocol, tcp_flags};
use std::net::Ipv4Addr;
use uuid::Uuid;

/// The one port there is. In the switch this is the directory of all of them.
struct OnePort(PortInfo);

impl Ports for OnePort {
    fn get(&self, port: u16) -> Option<&PortInfo> {
        (port == self.0.port).then_some(&self.0)
    }
}

fn main() -> Result<()> {
    let vpc = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"vswitch:vpc:lab");
    let ports = OnePort(PortInfo {
        port: 0,
        name: "vm1".into(),
        vpc_id: vpc,
        region: "KR1".into(),
        ..PortInfo::default()
    });
    let directory = std::env::temp_dir().join(format!("vswitch-example-{}", std::process::id()));
    let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"vswitch:logger:everything");
    let logger = LoggerSpec {
        fields: Field::parse_list("nhn-18")?,
        format: Format::parse("CSV", "RAW")?,
        ..LoggerSpec::new(
            id,
            "everything",
            Resource::Vpc(vpc),
            Storage::Directory(directory.join("logs")),
        )
    };
    // In place: what a call closes is delivered when it returns. The switch has threads for that.
    let delivery = Delivery::open(&directory.join("state"), 1 << 20, Access::default())?.in_place();
    let mut collector = Collector::new(vec![logger], delivery);

    // An interval is aligned to multiples of its length since the epoch.
    let window = Window::of(1_800_000_017, 60);
    let tuple = FiveTuple {
        protocol: protocol::TCP,
        src: Ipv4Addr::new(10, 77, 1, 11).into(),
        dst: Ipv4Addr::new(10, 77, 1, 12).into(),
        src_port: 40_000,
        dst_port: 22,
    };
    // A short connection, then one more attempt after the rule was taken away.
    let all_flags = tcp_flags::SYN | tcp_flags::ACK | tcp_flags::FIN;
    for (verdict, packets, flags, at_s) in [
        (Verdict::Accept(Basis::Rule), 12, all_flags, 3),
        (Verdict::Drop(Reason::DefaultDeny), 1, tcp_flags::SYN, 40),
    ] {
        let mut tally = Tally::default();
        let at = Tick::since_start_us(at_s * 1_000_000);
        tally.count(
            at,
            Wire {
                packets,
                bytes: packets * 60,
            },
            flags,
        );
        let seen = Observation::new(0, Direction::Egress, tuple, verdict, tally);
        collector.observe(window, &ports, &seen);
    }

    let closed = collector.close(window, &ports, &[]);
    let interval = closed
        .first()
        .context("the logger's interval ends with the window")?;
    ensure!(interval.rows == 2, "one row for each verdict");
    for file in &interval.files {
        println!("{}:\n{}", file.display(), std::fs::read_to_string(file)?);
    }
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}
