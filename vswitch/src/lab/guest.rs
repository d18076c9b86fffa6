//! One guest: its namespace, its TAP, and what is set on it.

use super::{LabError, LabPort, Report, Thing, ledger::Ledger};
use tap::{Error, Links, Netns, Tap, TapOptions};

/// How long a TAP is to last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// Until it is removed.
    Persistent,
    /// As long as it is open.
    Run,
}

/// Where a guest lives.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) netns: Option<Netns>,
}

/// Makes what is missing of a guest, enters it into the ledger and opens its TAP.
pub(super) fn make(
    port: &LabPort,
    life: Life,
    queues: usize,
    ledger: &mut Ledger,
    report: &mut Report,
) -> Result<Tap, LabError> {
    let place = port.place()?;
    if let Some(netns) = &place.netns {
        make_netns(port, netns, ledger, report)?;
    }
    let options = TapOptions {
        netns: place.netns.clone(),
        queues,
        // A later run may have more workers than this one.
        multi_queue: true,
        persistent: life == Life::Persistent,
        ..TapOptions::new(&port.tap)
    };
    open(port, life, &options, ledger, report)
}

fn make_netns(
    port: &LabPort,
    netns: &Netns,
    ledger: &mut Ledger,
    report: &mut Report,
) -> Result<(), LabError> {
    let missing = !netns.exists();
    if missing {
        netns.create().map_err(port.failed())?;
    }
    let inode = netns
        .inode()
        .ok_or_else(|| port.failed()(Error::NoSuchNetns(netns.path().into())))?;
    let thing = Thing::Netns {
        name: netns.to_string(),
        inode,
    };
    if !missing {
        report.existed.push(thing);
        return Ok(());
    }
    report.made.push(thing.clone());
    ledger.enter(thing)?;
    Links::open(Some(netns))
        .and_then(|mut links| links.set_up("lo", true))
        .map_err(port.failed())
}

fn open(
    port: &LabPort,
    life: Life,
    options: &TapOptions,
    ledger: &mut Ledger,
    report: &mut Report,
) -> Result<Tap, LabError> {
    let mut links = Links::open(options.netns.as_ref()).map_err(port.failed())?;
    let found = links.find(&port.tap).map_err(port.failed())?;
    let thing = |index| Thing::Tap {
        name: port.tap.clone(),
        netns: port.netns.clone(),
        index,
    };
    let known = found
        .as_ref()
        .is_some_and(|link| ledger.knows(&thing(link.index)));
    // Somebody else's TAP stays as it is, and as long as it was to stay.
    let persistent = options.persistent && (found.is_none() || known);
    let tap = Tap::open(&TapOptions {
        persistent,
        ..options.clone()
    })
    .map_err(port.failed())?;

    let index = links.get(&port.tap).map_err(port.failed())?.index;
    if tap.was_created() {
        report.made.push(thing(index));
        if life == Life::Persistent {
            ledger.enter(thing(index))?;
        }
    } else {
        report.existed.push(thing(index));
    }
    if tap.was_created() || known {
        configure(port, &mut links).map_err(port.failed())?;
    }
    Ok(tap)
}

fn configure(port: &LabPort, links: &mut Links) -> Result<(), Error> {
    let name = &port.tap;
    links.set_mac(name, port.mac)?;
    links.set_mtu(name, port.mtu)?;
    if port.netns.is_none() && !port.uplink {
        return Ok(());
    }
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
