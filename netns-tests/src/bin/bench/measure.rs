//! How it is measured. Each returns the figure of which more is better; what else is worth knowing
//! goes along by name.

use crate::system::{End, System, cpus};
use anyhow::{Context, Result, ensure};
use netns_tests::run;
use packet::build::frame;
use rustix::thread::sched_setaffinity;
use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};
use tap::{PacketMode, PacketSocket};

/// The figure, and what goes along.
#[derive(Debug, Default)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    pub(crate) beside: Vec<(&'static str, f64)>,
}

/// A measure.
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) take: fn(&System, Duration) -> Result<Figure>,
}

/// All of them.
pub(crate) const MEASURES: &[Measure] = &[
    Measure {
        name: "tcp-1-flow",
        unit: "Gbit/s",
        take: |system, time| tcp(system, time, 1),
    },
    Measure {
        name: "tcp-4-flows",
        unit: "Gbit/s",
        take: |system, time| tcp(system, time, 4),
    },
    Measure {
        name: "udp-64-bytes",
        unit: "Mpps",
        take: udp,
    },
    Measure {
        name: "tcp-rr-pinned",
        unit: "k/s",
        take: |system, time| request_response(system, time, true),
    },
    Measure {
        name: "tcp-rr-free",
        unit: "k/s",
        take: |system, time| request_response(system, time, false),
    },
    Measure {
        name: "connections",
        unit: "k/s",
        take: connections,
    },
];

/// Frames handed over with one system call.
const BURST: usize = 64;
/// Client threads of [`connections`].
const CLIENTS: usize = 16;

fn tcp(system: &System, time: Duration, flows: u32) -> Result<Figure> {
    let [a, b] = &system.ends;
    let mut server = Command::new("iperf3");
    server
        .args(["-s", "-1", "-p", "5201"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut server = b.netns.run_in(|| server.spawn())??;
    let (ip, seconds, flows) = (
        b.ip.to_string(),
        time.as_secs().to_string(),
        flows.to_string(),
    );
    // The first tenth is the window's growth.
    let mut client = Command::new("iperf3");
    client.args([
        "-c", &ip, "-p", "5201", "-t", &seconds, "-P", &flows, "-O", "1", "-J",
    ]);
    let mut done = run(
        Some(&a.netns),
        &mut client,
        "",
        time + Duration::from_secs(10),
    );
    for _ in 0..20 {
        if !done.stdout.contains("Connection refused") {
            break;
        }
        thread::sleep(Duration::from_millis(50));
        done = run(
            Some(&a.netns),
            &mut client,
            "",
            time + Duration::from_secs(10),
        );
    }
    let _ = server.kill();
    server.wait()?;
    let json: serde_json::Value = serde_json::from_str(&done.stdout).context("iperf3 says JSON")?;
    let bits = json["end"]["sum_received"]["bits_per_second"].as_f64();
    let sent_again = json["end"]["sum_sent"]["retransmits"]
        .as_f64()
        .unwrap_or_default();
    let value = bits.with_context(|| format!("iperf3 gives no figure: {}", json["error"]))? / 1e9;
    Ok(Figure {
        value,
        beside: vec![("sent again", sent_again)],
    })
}

/// Frames of 60 bytes (64 with their checksum) of one established flow as fast as one core sends;
/// counted, and dropped, at the receiver's interface before any socket.
fn udp(system: &System, time: Duration) -> Result<Figure> {
    let [a, b] = &system.ends;
    let packet = |from: &End, to: &End, ports: (u16, u16)| {
        frame(from.mac, to.mac)
            .ip(from.ip, to.ip)
            .udp(ports.0, ports.1)
            .payload(&[0; 18])
            .build()
    };
    let counter = Counter::new(b)?;
    let sender = PacketSocket::open(Some(&a.netns), &a.interface, PacketMode::Send)?;
    let answerer = PacketSocket::open(Some(&b.netns), &b.interface, PacketMode::Send)?;
    let request = packet(a, b, (4000, 5000));
    sender.send(&request)?;
    thread::sleep(Duration::from_millis(20));
    answerer.send(&packet(b, a, (5000, 4000)))?;
    thread::sleep(Duration::from_millis(20));
    let (before, cpu, start, mut offered) = (counter.read()?, cpu_s(system), Instant::now(), 0);
    while start.elapsed() < time {
        // A full queue is the receiver's side of the story.
        offered += sender.send_repeatedly(&request, BURST).unwrap_or(0);
    }
    let elapsed = start.elapsed().as_secs_f64();
    let delivered = (counter.read()? - before) as f64;
    ensure!(delivered > 0.0, "nothing arrived");
    let cpu_us = (cpu_s(system) - cpu) * 1e6 / delivered;
    Ok(Figure {
        value: delivered / elapsed / 1e6,
        beside: vec![
            ("offered Mpps", offered as f64 / elapsed / 1e6),
            ("switch µs/packet", cpu_us),
        ],
    })
}

/// An nftables counter at an interface's ingress, that also drops.
struct Counter<'a>(&'a End);

impl<'a> Counter<'a> {
    fn new(end: &'a End) -> Result<Self> {
        let device = &end.interface;
        let script = format!(
            "table netdev bench {{
               counter c {{ }}
               chain in {{
                 type filter hook ingress device {device} priority 0;
                 udp dport 5000 counter name c drop
               }}
             }}"
        );
        let counter = Self(end);
        let _ = counter.nft(&["-f", "-"], &script)?;
        Ok(counter)
    }

    fn read(&self) -> Result<u64> {
        let text = self.nft(&["-j", "list", "counter", "netdev", "bench", "c"], "")?;
        let json: serde_json::Value = serde_json::from_str(&text)?;
        let rows = json["nftables"].as_array().context("nft lists")?;
        let packets = rows
            .iter()
            .find_map(|row| row["counter"]["packets"].as_u64());
        packets.context("nft counts")
    }

    fn nft(&self, arguments: &[&str], input: &str) -> Result<String> {
        let done = run(
            Some(&self.0.netns),
            Command::new("nft").args(arguments),
            input,
            Duration::from_secs(5),
        );
        ensure!(done.code == Some(0), "nft: {}", done.stderr);
        Ok(done.stdout)
    }
}

impl Drop for Counter<'_> {
    fn drop(&mut self) {
        let _ = self.nft(&["delete", "table", "netdev", "bench"], "");
    }
}

/// Seconds of processor time the forwarding process has used.
fn cpu_s(system: &System) -> f64 {
    let Some(pid) = system.process() else {
        return 0.0;
    };
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = |n| {
        after_name
            .split_whitespace()
            .nth(n)
            .and_then(|t: &str| t.parse::<f64>().ok())
    };
    // utime and stime of proc(5), in USER_HZ, 100 a second.
    (ticks(11).unwrap_or_default() + ticks(12).unwrap_or_default()) / 100.0
}

/// One byte there and back, over one connection; pinned, everything on one processor.
fn request_response(system: &System, time: Duration, pinned: bool) -> Result<Figure> {
    let [a, b] = &system.ends;
    system.pin(pinned);
    let set = move || sched_setaffinity(None, &cpus(pinned));
    let listener = b.netns.run_in(|| TcpListener::bind((b.ip, 7000)))??;
    let server = thread::spawn(move || -> std::io::Result<()> {
        set()?;
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut byte = [0];
        while stream.read(&mut byte)? > 0 {
            stream.write_all(&byte)?;
        }
        Ok(())
    });
    let mut stream = a.netns.run_in(|| TcpStream::connect((b.ip, 7000)))??;
    stream.set_nodelay(true)?;
    let client = thread::spawn(move || -> std::io::Result<Vec<u32>> {
        set()?;
        let (start, mut took_ns, mut byte) = (Instant::now(), Vec::new(), [0]);
        while start.elapsed() < time {
            let sent = Instant::now();
            stream.write_all(&byte)?;
            stream.read_exact(&mut byte)?;
            took_ns.push(sent.elapsed().as_nanos() as u32);
        }
        Ok(took_ns)
    });
    let took = client.join().ok().context("the client has panicked")?;
    let served = server.join().ok().context("the server has panicked")?;
    system.pin(false);
    let (mut took_ns, ()) = (took?, served?);
    took_ns.sort_unstable();
    ensure!(!took_ns.is_empty(), "not one answer");
    let at = |share: f64| f64::from(took_ns[(took_ns.len() as f64 * share) as usize]) / 1e3;
    Ok(Figure {
        value: took_ns.len() as f64 / time.as_secs_f64() / 1e3,
        beside: vec![("p50 µs", at(0.5)), ("p99 µs", at(0.99))],
    })
}

/// Connections that are made, and reset by the server as soon as it sees them, by many clients.
fn connections(system: &System, time: Duration) -> Result<Figure> {
    let [a, b] = &system.ends;
    let address = (b.ip, 7001).into();
    let listener = b.netns.run_in(|| TcpListener::bind(address))??;
    let (deadline, over) = (Instant::now() + time, AtomicBool::new(false));
    let serve = || -> std::io::Result<()> {
        while !over.load(Ordering::Relaxed) {
            let (stream, _) = listener.accept()?;
            // Linger for no time: a reset, and no TIME_WAIT to run out of ports with.
            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
        }
        Ok(())
    };
    let connect = || -> u64 {
        let connected = TcpStream::connect_timeout(&address, Duration::from_secs(1));
        match connected {
            Ok(mut stream) => {
                let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
                // The reset, or nothing: a connection in either case.
                let _ = stream.read(&mut [0]);
                1
            }
            // The reset may come before connect() returns: connected all the same.
            Err(error) => u64::from(error.kind() == ErrorKind::ConnectionReset),
        }
    };
    let client =
        || -> u64 { std::iter::from_fn(|| (Instant::now() < deadline).then(connect)).sum() };
    let made = thread::scope(|scope| {
        let server = scope.spawn(serve);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| a.netns.run_in(client).unwrap_or(0)))
            .collect();
        let made: u64 = clients
            .into_iter()
            .map(|client| client.join().unwrap_or(0))
            .sum();
        over.store(true, Ordering::Relaxed);
        // The server looks up once more.
        let _ = a.netns.run_in(connect);
        server.join().ok().context("the server has panicked")??;
        anyhow::Ok(made)
    })?;
    Ok(Figure {
        value: made as f64 / time.as_secs_f64() / 1e3,
        beside: vec![],
    })
}
