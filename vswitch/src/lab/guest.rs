//! One guest: its namespace, its TAP, and what is set on it.

use super::{LabError, LabPort, Report, Thing, ledger::Ledger};
use tap::{Error, Links, Netns, Tap, TapOptions};

/// Makes what is missing of a guest, to stay. A TAP that exists is set up again if the ledger knows
/// it; it is not opened, for one queue more, even for a moment, would take frames from a running
/// daemon.
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
    match found {
        Some(link) if link.tap.is_some_and(|tap| tap.ethernet) => {
            let thing = thing(link.index);
            let known = ledger.knows(&thing);
            report.existed.push(thing);
            if !known {
                return Ok(());
            }
        }
        _ => {
            let options = TapOptions {
                persistent: true,
                ..options(port, netns)
            };
            Tap::open(&options).map_err(port.failed())?;
            let thing = thing(links.get(&port.tap).map_err(port.failed())?.index);
            report.made.push(thing.clone());
            ledger.enter(thing)?;
        }
    }
    configure(port, &mut links).map_err(port.failed())
}

/// Makes what is missing of a guest, for as long as it is used, and opens its TAP.
pub(super) fn open_for_run(
    port: &LabPort,
    queues: usize,
    ledger: &mut Ledger,
) -> Result<Tap, LabError> {
    let netns = make_netns(port, ledger, &mut Report::default())?;
    let mut links = Links::open(netns.as_ref()).map_err(port.failed())?;
    let options = TapOptions {
        queues,
        ..options(port, netns)
    };
    let tap = Tap::open(&options).map_err(port.failed())?;
    if tap.was_created() {
        configure(port, &mut links).map_err(port.failed())?;
    }
    Ok(tap)
}

fn options(port: &LabPort, netns: Option<Netns>) -> TapOptions {
    // A later run may have more workers than this one, hence a device that takes more queues.
    TapOptions {
        netns,
        multi_queue: true,
        ..TapOptions::new(&port.tap)
    }
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
    let missing = !netns.exists();
    if missing {
        netns.create().map_err(port.failed())?;
    }
    let gone = || port.failed()(Error::NoSuchNetns(netns.path().into()));
    let thing = Thing::Netns {
        name: netns.to_string(),
        inode: netns.inode().ok_or_else(gone)?,
    };
    if missing {
        report.made.push(thing.clone());
        ledger.enter(thing)?;
        let mut links = Links::open(Some(&netns)).map_err(port.failed())?;
        links.set_up("lo", true).map_err(port.failed())?;
    } else {
        report.existed.push(thing);
    }
    Ok(Some(netns))
}

fn configure(port: &LabPort, links: &mut Links) -> Result<(), Error> {
    let name = &port.tap;
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
            links.set_default_route(name, *gateway)?;
        }
    }
    Ok(())
}
