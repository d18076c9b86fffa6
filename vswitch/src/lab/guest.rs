//! One guest: its namespace, its TAP, and what is set on it.

use super::{Device, LabError, LabPort, Report, Thing, ledger::Ledger};
use std::thread;
use std::time::{Duration, Instant};
use tap::{Error, Links, Netns, NewNetns, Tap, TapOptions};

/// How long a TAP may be in use by what has just ended.
const BUSY_PATIENCE: Duration = Duration::from_secs(1);
/// Pause before it is tried again.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// Makes what is missing of a guest, to stay. A TAP that exists is set up; it is not opened, for one
/// queue more, even for a moment, would take frames from a running daemon.
pub(super) fn make_to_stay(
    port: &LabPort,
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
    configure(port, &mut links, owner).map_err(port.failed())
}

/// Makes what is missing of guests in one namespace, for as long as it is used, and opens their TAPs. `own`
/// are the TAPs that this process serves already.
pub(super) fn open_all_for_run(
    ports: &[LabPort],
    queues: usize,
    own: &[Device],
    ledger: &mut Ledger,
) -> Result<Vec<(Tap, Device)>, LabError> {
    let mut open = || {
        let ports = ports.iter();
        let opened = ports.map(|port| open_for_run(port, queues, own, ledger));
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
        ..options(port, netns)
    };
    let tap = open_patiently(&options).map_err(port.failed())?;
    let owner = Owner::ours_if(tap.was_created());
    configure(port, &mut links, owner).map_err(port.failed())?;
    let device = Device {
        tap: port.tap.clone(),
        netns: port.netns.clone(),
        netns_inode,
        index: links.get(&port.tap).map_err(port.failed())?.index,
        queues,
        created: tap.was_created(),
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
enum Owner {
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

fn configure(port: &LabPort, links: &mut Links, owner: Owner) -> Result<(), Error> {
    let name = &port.tap;
    if port.netns.is_none() && owner == Owner::Other {
        return Ok(());
    }
    links.set_mtu(name, port.mtu)?;
    if port.netns.is_none() && !port.uplink {
        // The guest is elsewhere, behind a bridge or a hypervisor. With the guest's MAC on this side a
        // bridge would keep its frames for the host (libvirt's TAPs have another MAC for that reason).
        return Ok(());
    }
    links.set_mac(name, port.mac)?;
    links.disable_dad(name)?;
    links.set_up(name, true)?;
    for address in &port.addresses {
        links.add_address(name, address.addr(), address.prefix_len())?;
    }
    if !port.uplink {
        for gateway in &port.gateways {
            match owner {
                Owner::Lab => links.set_default_route(name, *gateway)?,
                Owner::Other => links.add_default_route(name, *gateway)?,
            }
        }
    }
    Ok(())
}
