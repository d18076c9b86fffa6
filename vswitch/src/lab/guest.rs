//! One guest: its namespace, its TAP, and what is set on it.

use super::{
    Device, LabError, LabPort, Lack, Report, Thing,
    ledger::{Given, Ledger},
};
use std::thread;
use std::time::{Duration, Instant};
use tap::{Error, Link, Links, Netns, NewNetns, Tap, TapOptions};

/// How long a TAP may be in use by what has just ended.
const BUSY_PATIENCE: Duration = Duration::from_secs(1);
/// Pause before it is tried again.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// Makes what is missing of a guest, to stay. A TAP that exists is set up, and loses of `old` what it is
/// no longer to have; it is not opened, for one queue more, even for a moment, would take frames from a
/// running daemon.
pub(super) fn make_to_stay(
    port: &LabPort,
    old: &Given,
    ledger: &mut Ledger,
    report: &mut Report,
) -> Result<(), LabError> {
    let netns = make_netns(port, ledger, report)?;
    let mut links = Links::open(netns.as_ref()).map_err(port.failed())?;
    let found = links.find(&port.tap).map_err(port.failed())?;
    let thing = |index| Thing::Tap {
        name: port.tap.clone(),
        netns: port.netns.clone(),
        index,
    };
    let owner = match found {
        Some(link) if link.tap.is_some_and(|tap| tap.ethernet) => {
            let thing = thing(link.index);
            let owner = Owner::ours_if(ledger.knows(&thing));
            report.existed.push(thing);
            owner
        }
        _ => {
            // It goes with this process until the ledger knows it.
            let tap = Tap::open(&options(port, netns)).map_err(port.failed())?;
            let thing = thing(links.get(&port.tap).map_err(port.failed())?.index);
            ledger.enter(thing.clone())?;
            tap.set_persistent(true).map_err(port.failed())?;
            report.made.push(thing);
            Owner::Lab
        }
    };
    let left = configure(port, old, &mut links, owner);
    for lack in bearable(port, left)? {
        report.lacks.push((port.name.clone(), lack));
    }
    Ok(())
}

/// Makes what is missing of guests in one namespace, for as long as it is used, and opens their TAPs. `own`
/// are the TAPs that this process serves already, and `to_stay` knows those that `lab up` has made.
pub(super) fn open_all_for_run(
    ports: &[LabPort],
    queues: usize,
    own: &[Device],
    ledger: &mut Ledger,
    to_stay: &Ledger,
) -> Result<Vec<(Tap, Device)>, LabError> {
    let mut open = || {
        let ports = ports.iter();
        let opened = ports.map(|port| open_for_run(port, queues, own, ledger, to_stay));
        opened.collect()
    };
    let netns = ports.first().and_then(|port| port.netns.as_deref());
    match netns.map(Netns::parse) {
        // Entered once: every entry is a thread that waits for its turn on a processor.
        Some(Ok(netns)) if netns.exists() => netns.run_in(open).map_err(ports[0].failed())?,
        // What is wrong is told of the port it is wrong with.
        _ => open(),
    }
}

/// Makes what is missing of a guest and opens its TAP.
fn open_for_run(
    port: &LabPort,
    queues: usize,
    own: &[Device],
    ledger: &mut Ledger,
    to_stay: &Ledger,
) -> Result<(Tap, Device), LabError> {
    let netns = make_netns(port, ledger, &mut Report::default())?;
    let mut links = Links::open(netns.as_ref()).map_err(port.failed())?;
    let netns_inode = inode(netns.as_ref()).map_err(port.failed())?;
    let found = links.find(&port.tap).map_err(port.failed())?;
    let is_it = |own: &&Device| {
        let index = found.as_ref().map(|link| link.index);
        own.netns_inode == netns_inode && Some(own.index) == index
    };
    let options = TapOptions {
        queues,
        own_queues: own.iter().find(is_it).map_or(0, |own| own.queues),
        threaded: port.threaded,
        ..options(port, netns)
    };
    let tap = open_patiently(&options).map_err(port.failed())?;
    let index = links.get(&port.tap).map_err(port.failed())?.index;
    let thing = Thing::Tap {
        name: port.tap.clone(),
        netns: port.netns.clone(),
        index,
    };
    // One that this run has made stays its own when it is opened anew.
    let created = tap.was_created() || own.iter().find(is_it).is_some_and(|own| own.created);
    let owner = Owner::ours_if(created || to_stay.knows(&thing));
    let left = configure(port, &Given::default(), &mut links, owner);
    let device = Device {
        tap: port.tap.clone(),
        netns: port.netns.clone(),
        netns_inode,
        index,
        queues,
        created,
        owner,
        lacks: bearable(port, left)?,
    };
    Ok((tap, device))
}

/// Opens a TAP, after a while where it is in use: the kernel closes what a killed daemon read by
/// `io_uring` after the process has ended.
fn open_patiently(options: &TapOptions) -> Result<Tap, Error> {
    let deadline = Instant::now() + BUSY_PATIENCE;
    loop {
        match Tap::open(options) {
            Err(Error::Busy { .. }) if Instant::now() < deadline => thread::sleep(BUSY_PAUSE),
            result => return result,
        }
    }
}

fn options(port: &LabPort, netns: Option<Netns>) -> TapOptions {
    // A later run may have more workers than this one, hence a device that takes more queues.
    TapOptions {
        netns,
        multi_queue: true,
        ..TapOptions::new(&port.tap)
    }
}

/// The number of a namespace, of the caller's own where none is named.
fn inode(netns: Option<&Netns>) -> Result<u64, Error> {
    let own = Netns::at("/proc/thread-self/ns/net");
    let netns = netns.unwrap_or(&own);
    netns
        .inode()
        .ok_or_else(|| Error::NoSuchNetns(netns.path().into()))
}

/// The guest's namespace, made if it is missing, with its loopback up then.
fn make_netns(
    port: &LabPort,
    ledger: &mut Ledger,
    report: &mut Report,
) -> Result<Option<Netns>, LabError> {
    let Some(text) = &port.netns else {
        return Ok(None);
    };
    let netns = Netns::parse(text).map_err(port.failed())?;
    let thing = |inode| Thing::Netns {
        name: netns.to_string(),
        inode,
    };
    if netns.exists() {
        report
            .existed
            .push(thing(inode(Some(&netns)).map_err(port.failed())?));
        return Ok(Some(netns));
    }
    if !netns.is_named() {
        // Whoever makes such a namespace, it is not the lab.
        return Err(port.failed()(Error::NoSuchNetns(netns.path().into())));
    }
    let new = NewNetns::make().map_err(port.failed())?;
    let thing = thing(new.inode());
    ledger.enter(thing.clone())?;
    put(new, &netns).map_err(port.failed())?;
    report.made.push(thing);
    Ok(Some(netns))
}

/// Makes the namespaces that these ports lack, as many at once as one call takes: the ledger, which has to be
/// on disk before any of them has a name, is written once for all.
pub(super) fn make_namespaces(ports: &[LabPort], ledger: &mut Ledger) -> Result<(), LabError> {
    let mut new: Vec<(&LabPort, Netns, NewNetns)> = Vec::new();
    for port in ports {
        let Some(text) = &port.netns else { continue };
        let netns = Netns::parse(text).map_err(port.failed())?;
        // One that is not ours to make is told of when its port is opened.
        let is_missing = netns.is_named() && !netns.exists();
        if is_missing && !new.iter().any(|(_, known, _)| *known == netns) {
            new.push((port, netns, NewNetns::make().map_err(port.failed())?));
        }
    }
    let thing = |(_, netns, new): &(&LabPort, Netns, NewNetns)| Thing::Netns {
        name: netns.to_string(),
        inode: new.inode(),
    };
    ledger.enter_all(new.iter().map(thing).collect())?;
    for (port, netns, new) in new {
        put(new, &netns).map_err(port.failed())?;
    }
    Ok(())
}

/// Gives a namespace its name, and switches its loopback on.
fn put(new: NewNetns, netns: &Netns) -> Result<(), Error> {
    new.put(netns)?;
    Links::open(Some(netns))?.set_up("lo", true)
}

/// Who has made a TAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// The lab: it looks as the configuration says.
    Lab,
    /// Somebody else: the switch needs MAC, MTU and addresses to be the port's; what goes beyond that
    /// stays, as a default route that is there.
    Other,
}

impl Owner {
    fn ours_if(ours: bool) -> Self {
        if ours { Self::Lab } else { Self::Other }
    }
}

/// Sets up a guest whose TAP is served already, where its configuration has changed or something is
/// missing from the last time. Nothing of it fails as a whole: what cannot be set is what the device lacks.
pub(super) fn change(port: &LabPort, old: &LabPort, device: &mut Device) {
    let netns = port.netns.as_deref().map(Netns::parse).transpose();
    let links = netns.and_then(|netns| Links::open(netns.as_ref()));
    device.lacks = match links {
        Ok(mut links) => configure(port, &Given::to(old), &mut links, device.owner)
            .into_iter()
            .map(Lack::from)
            .collect(),
        Err(cause) => vec![Lack::from(("interface".to_owned(), cause))],
    };
}

/// A part that could not be set, and why.
type Left = (String, Error);

/// What a port can do without: IPv6 where the guest has none, and the setting up of a TAP that another has
/// made. Any other failure is the port's.
fn bearable(port: &LabPort, left: Vec<Left>) -> Result<Vec<Lack>, LabError> {
    let mut lacks = Vec::with_capacity(left.len());
    for (what, cause) in left {
        if !matches!(cause, Error::NoIpv6(_) | Error::NotOurs { .. }) {
            return Err(port.failed()(cause));
        }
        lacks.push(Lack::from((what, cause)));
    }
    Ok(lacks)
}

/// Sets a TAP up as its port says, and takes away what `old` gave it and the port does not. Goes on where
/// a part cannot be set, and returns what is left.
fn configure(port: &LabPort, old: &Given, links: &mut Links, owner: Owner) -> Vec<Left> {
    let (name, mut left) = (&port.tap, Vec::new());
    let mut part = |what: String, result: Result<(), Error>| {
        if let Err(cause) = result {
            left.push((what, cause));
        }
    };
    let mtu = || format!("MTU {}", port.mtu);
    if port.netns.is_none() && owner == Owner::Other {
        part(mtu(), not_ours(port, links));
        return left;
    }
    part(mtu(), links.set_mtu(name, port.mtu));
    if port.netns.is_none() && !port.uplink {
        // The guest is elsewhere, behind a bridge or a hypervisor. With the guest's MAC on this side a
        // bridge would keep its frames for the host (libvirt's TAPs have another MAC for that reason).
        return left;
    }
    for gateway in old
        .gateways
        .iter()
        .filter(|old| !port.gateways.contains(old))
    {
        let result = links.remove_default_route(name, *gateway);
        part(format!("no default route via {gateway}"), result);
    }
    for old in old
        .addresses
        .iter()
        .filter(|old| !port.addresses.contains(old))
    {
        let result = links.remove_address(name, old.addr(), old.prefix_len());
        part(format!("no address {old}"), result);
    }
    let _ = links.disable_dad(name);
    let is_live = |link: Link| link.up && link.mac != port.mac;
    if links.get(name).is_ok_and(is_live) {
        // Its neighbours would go on sending to the MAC that it had.
        let _ = links.announce_changes(name);
    }
    part(format!("MAC {}", port.mac), links.set_mac(name, port.mac));
    part("interface up".into(), links.set_up(name, true));
    // All of them: those that stay may have gone with one that went, and routes with an address.
    for address in &port.addresses {
        let result = links.add_address(name, address.addr(), address.prefix_len());
        part(format!("address {address}"), result);
    }
    for gateway in port.gateways.iter().filter(|_| !port.uplink) {
        let result = match owner {
            Owner::Lab => links.set_default_route(name, *gateway),
            Owner::Other => links.add_default_route(name, *gateway),
        };
        part(format!("default route via {gateway}"), result);
    }
    left
}

/// A TAP in the daemon's namespace that another has made is left as it is. That it has another MTU than the
/// port is worth knowing.
fn not_ours(port: &LabPort, links: &mut Links) -> Result<(), Error> {
    if links.get(&port.tap)?.mtu == port.mtu {
        return Ok(());
    }
    Err(Error::NotOurs {
        name: port.tap.clone(),
        place: String::new(),
    })
}
