//! What a packet of two guests costs when 998 other ports are there: a switch with 1,000 ports and one with
//! 2, in turn (A B B A), one flow of 60-byte frames as fast as one core sends.

use crate::{
    Options,
    report::{Report, figure},
    two_guests,
};
use anyhow::{Result, ensure};
use netns_tests::{Crowd, Guest, Lab};
use packet::build::IpBuilder;
use std::{
    thread,
    time::{Duration, Instant},
};
use tap::PacketMode;

/// Length of a turn.
const TURN: Duration = Duration::from_secs(1);
/// Frames handed over with one system call.
const BURST: usize = 64;
/// Goal of TARGETS.
const MOST: f64 = 1.05;

/// What a turn gave.
struct Turn {
    packets_per_s: f64,
    cpu_us_per_packet: f64,
}

pub(crate) fn measure(options: &Options, report: &mut Report) -> Result<()> {
    let mut few = ready(two_guests().start());
    let mut many = ready(two_guests().crowd(Crowd::new(998, &["open"])).start());
    let (mut time, mut cpu, mut us) = (vec![], vec![], vec![]);
    for round in 0..options.pairs {
        let (of_few, of_many) = if round % 2 == 0 {
            let of_few = turn(&mut few)?;
            (of_few, turn(&mut many)?)
        } else {
            let of_many = turn(&mut many)?;
            (turn(&mut few)?, of_many)
        };
        time.push(of_few.packets_per_s / of_many.packets_per_s);
        cpu.push(of_many.cpu_us_per_packet / of_few.cpu_us_per_packet);
        us.push(of_many.cpu_us_per_packet);
    }
    few.audit();
    many.audit();
    let figures = [
        figure(
            "time per packet, by that with 2 ports",
            median(&mut time),
            "",
        )
        .at_most(MOST),
        figure(
            "processor time of the switch, likewise",
            median(&mut cpu),
            "",
        )
        .at_most(MOST),
        figure(
            "processor time of the switch per packet",
            median(&mut us),
            "µs",
        ),
    ];
    report.add(
        "packets",
        "1,000 ports against 2, medians of the pairs",
        &figures,
    );
    Ok(())
}

fn packet(from: &Guest, to: &Guest, ports: (u16, u16)) -> Vec<u8> {
    let ip: IpBuilder = from.packet(to);
    ip.udp(ports.0, ports.1).payload(&[0; 18]).build()
}

/// Has a flow established, and the receiver's kernel throw its packets away.
fn ready(lab: Lab) -> Lab {
    let (a, b) = lab.pair("a", "b");
    b.hears_nothing();
    for (from, frame) in [
        (a, packet(a, b, (4000, 5000))),
        (b, packet(b, a, (5000, 4000))),
    ] {
        from.send_raw(&frame);
        thread::sleep(Duration::from_millis(50));
    }
    lab
}

fn turn(lab: &mut Lab) -> Result<Turn> {
    let (a, b) = (lab.guest("a").clone(), lab.guest("b").clone());
    let (socket, frame) = (a.raw(PacketMode::Send), packet(&a, &b, (4000, 5000)));
    let before = (b.stats().rx_packets, lab.daemon().cpu_time());
    let start = Instant::now();
    while start.elapsed() < TURN {
        // A full queue is the switch's side of the story.
        let _ = socket.send_repeatedly(&frame, BURST);
    }
    let elapsed = start.elapsed().as_secs_f64();
    let delivered = (b.stats().rx_packets - before.0) as f64;
    let used = lab.daemon().cpu_time().saturating_sub(before.1);
    ensure!(delivered > 0.0, "nothing arrived");
    Ok(Turn {
        packets_per_s: delivered / elapsed,
        cpu_us_per_packet: used.as_secs_f64() * 1e6 / delivered,
    })
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[half],
        _ => f64::midpoint(values[half - 1], values[half]),
    }
}
