//! What a lab sets on an interface, over rtnetlink: MAC, MTU, up, addresses, default routes; and
//! what a switch reads from it: the statistics. Never by running another program.

mod describe;
mod meaning;

pub use describe::{Link, LinkStats, TapKind};

use crate::{
    error::{Error, NET_ADMIN},
    netlink::{Request, Socket},
    netns::{Netns, place},
};
use meaning::Change;
use packet::Mac;
use rustix::io::Errno;
use std::{
    net::{IpAddr, Ipv4Addr},
    os::fd::AsRawFd,
};

const CREATE: libc::c_int = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
const CREATE_OR_REPLACE: libc::c_int = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_REPLACE;

/// `TCA_KIND` of linux/rtnetlink.h: the name of a scheduler.
const TCA_KIND: u16 = 1;
/// `TC_H_ROOT` of linux/pkt_sched.h: the parent of what a device has at its top.
const TC_H_ROOT: u32 = u32::MAX;

/// The interfaces of one network namespace. Usable from any thread: the socket stays in the
/// namespace it was opened in.
#[derive(Debug)]
pub struct Links {
    socket: Socket,
    netns: Option<Netns>,
}

impl Links {
    /// The interfaces of `netns`, or of the calling thread's namespace.
    ///
    /// # Errors
    /// Where the namespace cannot be entered, or the kernel gives no socket.
    pub fn open(netns: Option<&Netns>) -> Result<Self, Error> {
        let socket = match netns {
            Some(netns) => netns.run_in(Socket::open)?,
            None => Socket::open(),
        };
        let socket =
            socket.map_err(|errno| Error::of("open a netlink socket", NET_ADMIN, errno))?;
        Ok(Self {
            socket,
            netns: netns.cloned(),
        })
    }

    /// The interface `name`, `None` where there is none.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn find(&mut self, name: &str) -> Result<Option<Link>, Error> {
        check_name(name)?;
        let request =
            Request::new(libc::RTM_GETLINK, 0, &interface(0, 0, 0)).name(libc::IFLA_IFNAME, name);
        match self.socket.exchange(request) {
            Ok(body) => Ok(Some(describe::read_link(&body))),
            Err(Errno::NODEV) => Ok(None),
            Err(errno) => Err(self.failed(Change::Other, "read", name, errno)),
        }
    }

    /// The interface `name`, which must be there.
    ///
    /// # Errors
    /// [`Error::NoSuchLink`]; otherwise what the kernel says.
    pub fn get(&mut self, name: &str) -> Result<Link, Error> {
        let place = place(self.netns.as_ref());
        self.find(name)?.ok_or_else(|| Error::NoSuchLink {
            name: name.to_owned(),
            place,
        })
    }

    /// Counters of `name`.
    ///
    /// # Errors
    /// As [`Links::get`].
    pub fn stats(&mut self, name: &str) -> Result<LinkStats, Error> {
        Ok(self.get(name)?.stats)
    }

    /// Sets the hardware address.
    ///
    /// # Errors
    /// As [`Links::get`]; `EADDRNOTAVAIL` for a group address.
    pub fn set_mac(&mut self, name: &str, mac: Mac) -> Result<(), Error> {
        self.set(
            name,
            Change::Mac,
            &format!("set the MAC address {mac} of"),
            libc::IFLA_ADDRESS,
            &mac.0,
        )
    }

    /// Sets the MTU, in bytes without the Ethernet header.
    ///
    /// # Errors
    /// As [`Links::get`]; `EINVAL` for a value the device does not take.
    pub fn set_mtu(&mut self, name: &str, mtu: u32) -> Result<(), Error> {
        self.set(
            name,
            Change::Mtu,
            &format!("set the MTU {mtu} of"),
            libc::IFLA_MTU,
            &mtu.to_ne_bytes(),
        )
    }

    /// Sets the length of the transmit queue, in frames.
    ///
    /// # Errors
    /// As [`Links::get`].
    pub fn set_tx_queue_len(&mut self, name: &str, frames: u32) -> Result<(), Error> {
        self.set(
            name,
            Change::Other,
            "set the queue length of",
            libc::IFLA_TXQLEN,
            &frames.to_ne_bytes(),
        )
    }

    /// Has frames go to the device at once, without a queue of the kernel's scheduler in front of it.
    ///
    /// A device that queues by itself, as a TAP does up to its queue length, gains nothing by another
    /// queue: it takes time with each frame, hides from the sender that the device had no room, and takes
    /// memory, for the kernel makes one for each of the 256 queues that a TAP may have at most (24 MiB with
    /// [`TX_QUEUE_LEN`](crate::TX_QUEUE_LEN)).
    ///
    /// # Errors
    /// As [`Links::get`]; `EOPNOTSUPP` where the kernel has no scheduler.
    pub fn set_no_scheduler(&mut self, name: &str) -> Result<(), Error> {
        let index = self.get(name)?.index;
        // struct tcmsg of linux/rtnetlink.h: family and padding, interface, handle, parent, info.
        let mut fixed = [0; 20];
        fixed[4..8].copy_from_slice(&index.to_ne_bytes());
        fixed[12..16].copy_from_slice(&TC_H_ROOT.to_ne_bytes());
        let request =
            Request::new(libc::RTM_NEWQDISC, CREATE_OR_REPLACE, &fixed).name(TCA_KIND, "noqueue");
        self.change(request, Change::Other, "take the scheduler from", name)
    }

    /// Gives the interface another name; it must be down.
    ///
    /// # Errors
    /// As [`Links::get`]; `EEXIST` where the name is taken.
    pub fn rename(&mut self, name: &str, to: &str) -> Result<(), Error> {
        check_name(to)?;
        let mut value = to.as_bytes().to_vec();
        value.push(0);
        self.set(
            name,
            Change::Name,
            &format!("give the name `{to}` to"),
            libc::IFLA_IFNAME,
            &value,
        )
    }

    /// Moves the interface into another namespace, where it arrives down and without addresses.
    ///
    /// # Errors
    /// As [`Links::get`]; [`Error::NoSuchNetns`].
    pub fn move_to(&mut self, name: &str, netns: &Netns) -> Result<(), Error> {
        let target = netns.open()?;
        let fd = target.as_raw_fd().to_ne_bytes();
        self.set(
            name,
            Change::Name,
            &format!("move into network namespace `{netns}` the"),
            libc::IFLA_NET_NS_FD,
            &fd,
        )
    }

    /// Switches the interface on or off.
    ///
    /// # Errors
    /// As [`Links::get`].
    pub fn set_up(&mut self, name: &str, up: bool) -> Result<(), Error> {
        let index = self.get(name)?.index;
        let flag = libc::IFF_UP as u32;
        let fixed = interface(index, if up { flag } else { 0 }, flag);
        let request = Request::new(libc::RTM_NEWLINK, libc::NLM_F_ACK, &fixed);
        let what = if up { "bring up" } else { "take down" };
        self.change(request, Change::Other, what, name)
    }

    /// Removes a virtual interface.
    ///
    /// # Errors
    /// As [`Links::get`]; `EOPNOTSUPP` for hardware.
    pub fn remove(&mut self, name: &str) -> Result<(), Error> {
        let index = self.get(name)?.index;
        self.change(
            Request::new(libc::RTM_DELLINK, libc::NLM_F_ACK, &interface(index, 0, 0)),
            Change::Removal,
            "remove",
            name,
        )
    }

    /// Adds an address with its prefix length (and so the route to that network); one that is there
    /// already is no error. An IPv6 address is usable at once, without duplicate address detection:
    /// in a lab the addresses are the configuration's.
    ///
    /// # Errors
    /// As [`Links::get`]; [`Error::NoIpv6`]; `EINVAL` for a prefix length beyond the family's.
    pub fn add_address(
        &mut self,
        name: &str,
        address: IpAddr,
        prefix_len: u8,
    ) -> Result<(), Error> {
        let link = self.get(name)?;
        let what = format!("give the address {address}/{prefix_len} to");
        let kind = libc::RTM_NEWADDR;
        let mut request = self::address(kind, CREATE_OR_REPLACE, link.index, address, prefix_len);
        if let IpAddr::V4(address) = address
            && prefix_len < 31
        {
            let host_bits = u32::MAX.checked_shr(u32::from(prefix_len)).unwrap_or(0);
            let broadcast = Ipv4Addr::from_bits(address.to_bits() | host_bits);
            request = request.attr(libc::IFA_BROADCAST, &broadcast.octets());
        }
        self.change(request, Change::Address(address, link.mtu), &what, name)
    }

    /// Takes an address away, and no other of its network; one that is not there is no error. With the
    /// last address of a network goes the route to it.
    ///
    /// # Errors
    /// As [`Links::get`].
    pub fn remove_address(
        &mut self,
        name: &str,
        address: IpAddr,
        prefix_len: u8,
    ) -> Result<(), Error> {
        let link = self.get(name)?;
        let (kind, flags) = (libc::RTM_DELADDR, libc::NLM_F_ACK);
        let request = self::address(kind, flags, link.index, address, prefix_len);
        let what = format!("take the address {address}/{prefix_len} from");
        // Otherwise the first IPv4 address of a network takes all others of it along.
        self.setting(name, "ipv4", "promote_secondaries", "1")?;
        let change = Change::Address(address, link.mtu);
        match self.socket.change(request) {
            Ok(()) | Err(Errno::ADDRNOTAVAIL) => Ok(()),
            Err(errno) => match self.failed(change, &what, name, errno) {
                Error::NoIpv6(_) => Ok(()),
                error => Err(error),
            },
        }
    }

    /// Names and numbers of the TAPs, whoever made them.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn taps(&mut self) -> Result<Vec<(String, u32)>, Error> {
        // The files under /proc/thread-self/net are those of the reading thread's namespace.
        let path = "/proc/thread-self/net/dev";
        let read = || std::fs::read_to_string(path);
        let table = match &self.netns {
            Some(netns) => netns.run_in(read)?,
            None => read(),
        };
        let table = table.map_err(|cause| Error::System {
            what: format!("read {path}"),
            cause,
        })?;
        let mut taps = Vec::new();
        // Two lines of headings, then `name: counters…`.
        let names = table
            .lines()
            .skip(2)
            .filter_map(|line| line.split_once(':'));
        for name in names.map(|(name, _)| name.trim()) {
            let is_tap = |link: &Link| link.tap.is_some_and(|tap| tap.ethernet);
            if let Some(link) = self.find(name)?.filter(is_tap) {
                taps.push((name.to_owned(), link.index));
            }
        }
        Ok(taps)
    }

    /// Sets the default route of the gateway's address family, in place of one that is there; the
    /// interface must be up and the gateway within one of its networks.
    ///
    /// # Errors
    /// As [`Links::get`]; `ENETUNREACH` for a gateway out of reach.
    pub fn set_default_route(&mut self, name: &str, gateway: IpAddr) -> Result<(), Error> {
        let kind = libc::RTM_NEWROUTE;
        let request = self.default_route(kind, name, gateway, CREATE_OR_REPLACE)?;
        let what = format!("set the default route via {gateway} on");
        self.change(request, Change::Route(gateway), &what, name)
    }

    /// Takes away the default route via a gateway on this interface; one that is not there is no error.
    ///
    /// # Errors
    /// As [`Links::get`].
    pub fn remove_default_route(&mut self, name: &str, gateway: IpAddr) -> Result<(), Error> {
        let request = self.default_route(libc::RTM_DELROUTE, name, gateway, libc::NLM_F_ACK)?;
        match self.socket.change(request) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => {
                let what = format!("take away the default route via {gateway} on");
                match self.failed(Change::Route(gateway), &what, name, errno) {
                    Error::NoIpv6(_) => Ok(()),
                    error => Err(error),
                }
            }
        }
    }

    /// As [`Links::set_default_route`], but a default route that is there stays.
    ///
    /// # Errors
    /// As [`Links::set_default_route`].
    pub fn add_default_route(&mut self, name: &str, gateway: IpAddr) -> Result<(), Error> {
        let request = self.default_route(libc::RTM_NEWROUTE, name, gateway, CREATE)?;
        match self.socket.change(request) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => {
                let what = format!("add the default route via {gateway} on");
                Err(self.failed(Change::Route(gateway), &what, name, errno))
            }
        }
    }

    fn default_route(
        &mut self,
        message: u16,
        name: &str,
        gateway: IpAddr,
        flags: libc::c_int,
    ) -> Result<Request, Error> {
        let index = self.get(name)?.index;
        // struct rtmsg: a prefix of length 0 is the default route.
        let (table, protocol) = (libc::RT_TABLE_MAIN, libc::RTPROT_STATIC);
        let (scope, kind) = (libc::RT_SCOPE_UNIVERSE, libc::RTN_UNICAST);
        let fixed = [
            family(gateway),
            0,
            0,
            0,
            table,
            protocol,
            scope,
            kind,
            0,
            0,
            0,
            0,
        ];
        Ok(Request::new(message, flags, &fixed)
            .attr(libc::RTA_GATEWAY, &octets(gateway))
            .attr(libc::RTA_OIF, &index.to_ne_bytes()))
    }

    /// No duplicate address detection on this interface, so that its link-local address too is usable
    /// as soon as it is up.
    ///
    /// # Errors
    /// Where the namespace cannot be entered. A kernel without IPv6, or with settings that cannot be
    /// written (a container's), leaves the link-local address to wait for a second.
    pub fn disable_dad(&mut self, name: &str) -> Result<(), Error> {
        self.setting(name, "ipv6", "accept_dad", "0")
    }

    /// Has the interface announce its addresses when it comes up or gets another MAC (gratuitous ARP,
    /// unsolicited neighbour advertisement), so that its neighbours do not send to the old one.
    ///
    /// # Errors
    /// As [`Links::disable_dad`].
    pub fn announce_changes(&mut self, name: &str) -> Result<(), Error> {
        self.setting(name, "ipv4", "arp_notify", "1")?;
        self.setting(name, "ipv6", "ndisc_notify", "1")
    }

    /// Writes a setting that makes things better and is not needed.
    fn setting(&self, name: &str, family: &str, key: &str, value: &str) -> Result<(), Error> {
        check_name(name)?;
        let path = format!("/proc/sys/net/{family}/conf/{name}/{key}");
        let write = || drop(std::fs::write(&path, value));
        // The files under /proc/sys/net are those of the reading thread's namespace.
        match &self.netns {
            Some(netns) => netns.run_in(write),
            None => {
                write();
                Ok(())
            }
        }
    }

    fn set(
        &mut self,
        name: &str,
        change: Change,
        what: &str,
        kind: u16,
        value: &[u8],
    ) -> Result<(), Error> {
        let index = self.get(name)?.index;
        let request = Request::new(libc::RTM_NEWLINK, libc::NLM_F_ACK, &interface(index, 0, 0))
            .attr(kind, value);
        self.change(request, change, what, name)
    }

    fn change(
        &mut self,
        request: Request,
        change: Change,
        what: &str,
        name: &str,
    ) -> Result<(), Error> {
        self.socket
            .change(request)
            .map_err(|errno| self.failed(change, what, name, errno))
    }

    fn failed(&self, change: Change, what: &str, name: &str, errno: Errno) -> Error {
        meaning::error(change, what, name, &place(self.netns.as_ref()), errno)
    }
}

/// `struct ifaddrmsg` with the address as the kernel finds it.
fn address(kind: u16, flags: libc::c_int, index: u32, address: IpAddr, prefix_len: u8) -> Request {
    let no_dad = if address.is_ipv6() {
        libc::IFA_F_NODAD as u8
    } else {
        0
    };
    let [a, b, c, d] = index.to_ne_bytes();
    let (family, scope) = (family(address), libc::RT_SCOPE_UNIVERSE);
    let fixed = [family, prefix_len, no_dad, scope, a, b, c, d];
    let bytes = octets(address);
    Request::new(kind, flags, &fixed)
        .attr(libc::IFA_LOCAL, &bytes)
        .attr(libc::IFA_ADDRESS, &bytes)
}

/// The rule of the kernel's `dev_valid_name`, and no `%`, which asks for a number to be filled in.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let wrong = |c: char| c.is_whitespace() || matches!(c, '/' | ':' | '%' | '\0');
    if name.is_empty()
        || name.len() >= libc::IFNAMSIZ
        || name == "."
        || name == ".."
        || name.contains(wrong)
    {
        return Err(Error::InterfaceName(name.to_owned()));
    }
    Ok(())
}

/// `struct ifinfomsg`.
fn interface(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut fixed = [0; 16];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..].copy_from_slice(&change.to_ne_bytes());
    fixed
}

fn family(address: IpAddr) -> u8 {
    // AF_INET is 2 and AF_INET6 is 10.
    if address.is_ipv4() {
        libc::AF_INET as u8
    } else {
        libc::AF_INET6 as u8
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_kernel_would_refuse_or_expand_are_refused_first() {
        for wrong in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "tap%d",
            "a:1",
            "sixteen-letters-",
        ] {
            assert!(
                matches!(check_name(wrong), Err(Error::InterfaceName(_))),
                "{wrong:?}"
            );
        }
        for right in ["lo", "tap-vm1", "fifteen-letters", "a.100"] {
            assert!(check_name(right).is_ok(), "{right:?}");
        }
    }

    #[test]
    fn loopback_is_found_and_a_missing_interface_is_none() {
        let mut links = Links::open(None).unwrap();
        assert_eq!(links.get("lo").unwrap().index, 1);
        assert_eq!(links.find("no-such-link").unwrap(), None);
        let error = links.set_mtu("no-such-link", 1500).unwrap_err();
        assert_eq!(error.to_string(), "there is no interface `no-such-link`");
    }
}
