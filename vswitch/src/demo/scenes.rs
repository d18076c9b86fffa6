//! What is played: allowed and refused traffic, an attack, and a rule that goes while it is in use.

use super::lab::{GUESTS, Lab};
use super::services::{Service, connect, hang_up, ping, say};
use super::stage::Stage;
use super::{CONFIG, SSH_RULE, plan};
use crate::cli::Paint;
use crate::control::{rule_words, trace};
use crate::run::{Daemon, Shared};
use anyhow::{Context, Result, ensure};
use packet::{PacketSpec, Reason};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tap::{Netns, PacketMode, PacketSocket};

const WEB: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 12);
const BASTION: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 11);

/// How long a guest waits for what should come.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long it waits for what should not: a lost SYN is sent again after one second.
const IMPATIENCE: Duration = Duration::from_millis(700);

/// Frames of the attack.
const FORGED: usize = 3;

/// The guests' TAP.
const TAP: &str = "tap0";

/// Everybody on the stage.
struct Cast {
    web: Netns,
    bastion: Netns,
    intruder: Netns,
    http: Service,
    ssh: Service,
}

/// Plays all scenes; each checks what came of it.
pub(super) fn play(stage: &mut Stage, daemon: &mut Daemon, lab: &Lab) -> Result<()> {
    let shared = daemon.shared();
    introduce(stage, &shared)?;
    let [web, bastion, intruder] = GUESTS.map(|guest| lab.netns(guest));
    let web = web?;
    let http = Service::start(
        &web,
        80,
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n",
    )?;
    let ssh = Service::start(&web, 22, "SSH-2.0-demo\r\n")?;
    let cast = Cast {
        web,
        bastion: bastion?,
        intruder: intruder?,
        http,
        ssh,
    };

    stage.chapter("What they do, and what becomes of it")?;
    allowed(stage, &shared, &cast)?;
    refused(stage, &shared, &cast)?;
    forged(stage, &shared, &cast)?;
    revoked(stage, daemon, lab, &cast)?;
    drop((cast.http, cast.ssh));
    // The last interval is told as it closes, too.
    let seen = stage.totals().intervals;
    stage.wait_for(Duration::from_secs(5), |stage| {
        stage.totals().intervals > seen
    })?;
    Ok(())
}

fn introduce(stage: &mut Stage, shared: &Shared) -> Result<()> {
    let plan = shared.plan.read().clone();
    stage.chapter("Three guests, each a network namespace with a TAP of its own, on one switch")?;
    let style = stage.out.style();
    for port in &plan.ports {
        let address = port
            .fixed_ips
            .first()
            .context("a guest of the demo has an address")?;
        let mut groups = plan
            .groups
            .iter()
            .filter(|group| port.groups.contains(&group.id));
        let group = groups.next().context("a guest of the demo has a group")?;
        let name = style.paint(Paint::Strong, &port.name);
        let name_width = 9;
        writeln!(
            stage.out,
            "  {name:<name_width$}  {address:<11}  {}  group {}",
            port.mac, group.name
        )?;
        for rule in &group.rules {
            writeln!(
                stage.out,
                "{:39}{}",
                "",
                style.paint(Paint::Faint, rule_words(&plan, rule))
            )?;
        }
    }
    Ok(stage.out.flush()?)
}

fn allowed(stage: &mut Stage, shared: &Shared, cast: &Cast) -> Result<()> {
    let why = why(
        shared,
        "bastion",
        &format!("icmp {BASTION} > {WEB} echo-request"),
    )?;
    let took =
        ping(&cast.bastion, WEB, PATIENCE)?.context("web did not answer the bastion's ping")?;
    stage.scene(
        "bastion → web ping",
        &format!("answered, {:.1} ms", took.as_secs_f64() * 1e3),
        true,
        &why,
    )?;

    let why = self::why(
        shared,
        "intruder",
        &format!("tcp 10.77.1.66:40000 > {WEB}:80 syn"),
    )?;
    let mut http =
        connect(&cast.intruder, at(80), PATIENCE)?.context("web did not answer on tcp/80")?;
    let page = say(&mut http, "GET / HTTP/1.1\r\nHost: web\r\n\r\n", PATIENCE)?;
    ensure!(
        page.is_some_and(|page| page.starts_with("HTTP/1.1 200")),
        "web did not serve its page"
    );
    hang_up(&http);
    stage.scene("intruder → web tcp/80", "HTTP 200 OK", true, &why)
}

fn refused(stage: &mut Stage, shared: &Shared, cast: &Cast) -> Result<()> {
    let why = why(
        shared,
        "intruder",
        &format!("tcp 10.77.1.66:40000 > {WEB}:22 syn"),
    )?;
    ensure!(
        connect(&cast.intruder, at(22), IMPATIENCE)?.is_none(),
        "the intruder reached ssh"
    );
    stage.scene("intruder → web tcp/22", "no answer", false, &why)?;

    let why = self::why(
        shared,
        "web",
        &format!("icmp {WEB} > {BASTION} echo-request"),
    )?;
    ensure!(
        ping(&cast.web, BASTION, IMPATIENCE)?.is_none(),
        "the bastion answered a ping"
    );
    stage.scene("web → bastion ping", "no answer", false, &why)
}

/// The intruder writes the bastion's address into its packets, past its own kernel.
fn forged(stage: &mut Stage, shared: &Shared, cast: &Cast) -> Result<()> {
    let text = format!("tcp {BASTION}:40000 > {WEB}:22 syn");
    let why = why(shared, "intruder", &text)?;
    let plan = shared.plan.read().clone();
    let mac = |name| {
        plan.ports
            .iter()
            .find(|port| port.name == name)
            .map(|port| port.mac)
    };
    let (from, to) = mac("intruder")
        .zip(mac("web"))
        .context("the demo's ports have MACs")?;
    let spec: PacketSpec = text.parse().context("the demo's own packet")?;
    let before = refusals(shared, "intruder", Reason::SpoofIp);
    let socket = PacketSocket::open(Some(&cast.intruder), TAP, PacketMode::Send)?;
    for _ in 0..FORGED {
        socket
            .send(&spec.build(from, to))
            .context("cannot send a forged frame")?;
    }
    let counted =
        |_: &Stage| refusals(shared, "intruder", Reason::SpoofIp) >= before + FORGED as u64;
    ensure!(
        stage.wait_for(PATIENCE, counted)?,
        "the forged frames were not refused"
    );
    stage.scene("intruder as bastion → web tcp/22", "refused", false, &why)
}

/// A rule goes while a connection uses it: the next packet is refused, not the next connection.
fn revoked(stage: &mut Stage, daemon: &mut Daemon, lab: &Lab, cast: &Cast) -> Result<()> {
    let shared = daemon.shared();
    let why = why(
        &shared,
        "bastion",
        &format!("tcp {BASTION}:40000 > {WEB}:22 syn"),
    )?;
    let mut ssh =
        connect(&cast.bastion, at(22), PATIENCE)?.context("the bastion did not reach ssh")?;
    ensure!(
        say(&mut ssh, "hello\r\n", PATIENCE)?.is_some(),
        "ssh did not answer the bastion"
    );
    stage.scene("bastion → web tcp/22", "connected", true, &why)?;

    // So that the records of before and after the change stand in different intervals.
    let seen = stage.totals().intervals;
    stage.wait_for(PATIENCE, |stage| stage.totals().intervals > seen)?;
    stage.chapter("The configuration is reloaded without the rule for ssh; the bastion's session is still open")?;
    daemon.reload(plan(lab, &CONFIG.replace(SSH_RULE, ""))?)?;
    ensure!(
        say(&mut ssh, "still there?\r\n", IMPATIENCE)?.is_none(),
        "the session outlived its rule"
    );
    ensure!(
        refusals(&shared, "web", Reason::Revoked) > 0,
        "the refusal was not counted as revoked"
    );
    let meaning = crate::trace::meaning(Reason::Revoked).meaning;
    stage.scene(
        "bastion → web tcp/22",
        "no answer",
        false,
        &format!("DROP(revoked) at web, {meaning}"),
    )
}

fn at(port: u16) -> SocketAddr {
    (WEB, port).into()
}

/// What decides about a packet, by the very code that forwards: the first refusal, else the last rule.
fn why(shared: &Shared, port: &str, packet: &str) -> Result<String> {
    let trace = trace(shared, port, packet)?;
    let refused = trace.sides.iter().find(|side| side.remedy.is_some());
    let side = refused
        .or(trace.sides.last())
        .context("a packet of the demo is judged")?;
    Ok(format!("{} at {}, {}", side.verdict, side.port, side.why))
}

/// Refusals for one reason told at a port so far.
fn refusals(shared: &Shared, port: &str, reason: Reason) -> u64 {
    let switch = shared.switch.lock();
    let port = switch.ports().find(|known| known.config.name == port);
    port.map_or(0, |port| port.counters.refused[reason as usize])
}
