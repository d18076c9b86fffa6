//! What the kernel's answers mean, by what was asked of it. An errno alone misleads: `EACCES` for an IPv6
//! address is no matter of rights.

use crate::error::{Error, NET_ADMIN, NoIpv6};
use rustix::io::Errno;
use std::net::IpAddr;

/// Shortest MTU with which the kernel has IPv6 on an interface (RFC 8200, section 5).
const MIN_MTU_IPV6: u32 = 1280;

/// What is asked about an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Its hardware address.
    Mac,
    /// Its MTU.
    Mtu,
    /// Its name.
    Name,
    /// An address, on an interface of that MTU.
    Address(IpAddr, u32),
    /// A default route via that gateway.
    Route(IpAddr),
    /// To be gone.
    Removal,
    /// Anything else.
    Other,
}

impl Change {
    fn is_ipv6(self) -> bool {
        matches!(self, Self::Address(address, _) | Self::Route(address) if address.is_ipv6())
    }
}

/// The error for an answer: `what` was tried with interface `name` in `place`.
pub(super) fn error(change: Change, what: &str, name: &str, place: &str, errno: Errno) -> Error {
    let (name, place) = (name.to_owned(), place.to_owned());
    if errno == Errno::NODEV {
        return Error::NoSuchLink { name, place };
    }
    if let Some(why) = no_ipv6(change, &name, &place, errno) {
        return Error::NoIpv6(why);
    }
    let what = format!("{what} interface `{name}`{place}");
    match remedy(change, errno) {
        Some(remedy) => Error::Refused {
            what,
            cause: errno.into(),
            remedy,
        },
        None => Error::of(what, NET_ADMIN, errno),
    }
}

fn no_ipv6(change: Change, name: &str, place: &str, errno: Errno) -> Option<NoIpv6> {
    let (name, place) = (name.to_owned(), place.to_owned());
    match (change, errno) {
        _ if !change.is_ipv6() => None,
        (_, Errno::ACCESS) => Some(NoIpv6::Disabled { name, place }),
        (_, Errno::OPNOTSUPP | Errno::AFNOSUPPORT) => Some(NoIpv6::Absent),
        // The kernel has no word of its own for it: EINVAL or ENOBUFS, by version.
        (Change::Address(_, mtu), Errno::INVAL | Errno::NOBUFS) if mtu < MIN_MTU_IPV6 => {
            Some(NoIpv6::Mtu { name, place, mtu })
        }
        _ => None,
    }
}

/// What to do about an answer that says more than its text.
fn remedy(change: Change, errno: Errno) -> Option<&'static str> {
    match (change, errno) {
        (Change::Mac, Errno::ADDRNOTAVAIL | Errno::INVAL) => {
            Some("an interface has no group's MAC and not all zeros; write another `mac_address`")
        }
        (Change::Mac | Change::Name, Errno::BUSY) => Some(
            "it is in use (up, or in a bridge or bond); take it down first (ip link set … down)",
        ),
        (Change::Name, Errno::EXIST) => {
            Some("another interface has that name; choose another, or remove that one")
        }
        (Change::Mtu, Errno::INVAL) => {
            Some("the device does not take that length (a TAP: 68 to 65521); write another `mtu`")
        }
        (Change::Address(..), Errno::ADDRNOTAVAIL | Errno::INVAL) => Some(
            "it is no host's address, or its prefix is longer than the family's; see `fixed_ips`",
        ),
        (Change::Address(..), Errno::EXIST) => {
            Some("the interface has it already, with another prefix; remove it (ip address delete)")
        }
        (
            Change::Route(_),
            Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::ADDRNOTAVAIL | Errno::INVAL,
        ) => Some(
            "a gateway lies within the network of one of the interface's addresses; \
             compare `gateway_ip`, `cidr` and `fixed_ips`",
        ),
        (Change::Route(_), Errno::NETDOWN) => {
            Some("the interface is down there; bring it up (ip link set … up)")
        }
        (Change::Removal, Errno::OPNOTSUPP) => Some("it is no virtual interface"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = " in network namespace `vm1`";

    fn said(change: Change, errno: Errno) -> String {
        error(change, "set up", "eth0", PLACE, errno).to_string()
    }

    #[test]
    fn a_refused_ipv6_address_is_no_matter_of_rights() {
        let v6 = Change::Address("fd00::1".parse().unwrap(), 1500);
        let disabled = said(v6, Errno::ACCESS);
        assert!(
            disabled.starts_with("IPv6 is disabled on interface `eth0` in"),
            "{disabled}"
        );
        assert!(disabled.contains("disable_ipv6=0"), "{disabled}");
        for errno in [Errno::OPNOTSUPP, Errno::AFNOSUPPORT] {
            let absent = said(v6, errno);
            assert!(
                absent.contains("without IPv6") && absent.contains("ipv6.disable=1"),
                "{absent}"
            );
        }
        let v4 = Change::Address("10.0.0.1".parse().unwrap(), 1500);
        let denied = said(v4, Errno::PERM);
        assert!(denied.contains("CAP_NET_ADMIN"), "{denied}");
        assert!(said(v6, Errno::PERM).contains("CAP_NET_ADMIN"));
    }

    #[test]
    fn a_short_mtu_is_named_as_what_keeps_ipv6_away() {
        for errno in [Errno::INVAL, Errno::NOBUFS] {
            let short = said(Change::Address("fd00::1".parse().unwrap(), 1000), errno);
            assert!(
                short.contains("1280") && short.contains("has 1000"),
                "{short}"
            );
        }
    }

    #[test]
    fn every_answer_that_says_little_comes_with_a_remedy() {
        let route = Change::Route("10.0.0.1".parse().unwrap());
        let address = Change::Address("10.0.0.1".parse().unwrap(), 1500);
        for (change, errno, remedy) in [
            (Change::Mac, Errno::ADDRNOTAVAIL, "`mac_address`"),
            (Change::Mac, Errno::BUSY, "down first"),
            (Change::Name, Errno::EXIST, "choose another"),
            (Change::Name, Errno::BUSY, "down first"),
            (Change::Mtu, Errno::INVAL, "`mtu`"),
            (address, Errno::ADDRNOTAVAIL, "`fixed_ips`"),
            (address, Errno::INVAL, "`fixed_ips`"),
            (address, Errno::EXIST, "ip address delete"),
            (route, Errno::NETUNREACH, "`gateway_ip`"),
            (route, Errno::HOSTUNREACH, "`gateway_ip`"),
            (route, Errno::INVAL, "`gateway_ip`"),
            (route, Errno::NETDOWN, "bring it up"),
            (Change::Removal, Errno::OPNOTSUPP, "no virtual interface"),
        ] {
            let said = said(change, errno);
            assert!(said.contains("`eth0` in network namespace `vm1`"), "{said}");
            assert!(said.contains(remedy), "{change:?} {errno:?}: {said}");
        }
    }

    #[test]
    fn an_interface_that_went_meanwhile_is_not_there() {
        let said = said(Change::Mtu, Errno::NODEV);
        assert_eq!(
            said,
            "there is no interface `eth0` in network namespace `vm1`"
        );
    }
}
