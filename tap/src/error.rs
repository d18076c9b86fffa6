//! What can go wrong at the edge, and what to do about it.

use rustix::io::Errno;
use std::{io, path::PathBuf};

/// An operation on a TAP, a namespace or an interface that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The clone device is missing.
    #[error(
        "cannot open /dev/net/tun: there is no such device; load the module (modprobe tun), or hand the device to the container (--device /dev/net/tun)"
    )]
    NoTunDevice,
    /// Something else stands at the clone device's place.
    #[error(
        "/dev/net/tun is no TUN device; remove it and make it anew (mknod /dev/net/tun c 10 200), or hand the host's to the container (--device /dev/net/tun)"
    )]
    NotTunDevice,
    /// The kernel refused for lack of a capability.
    #[error("not permitted to {what}; run as root, or give the program {capability}")]
    Permission {
        /// What was tried, as the end of "not permitted to …".
        what: String,
        /// The capability that allows it.
        capability: &'static str,
    },
    /// Not a name that the kernel takes for an interface.
    #[error(
        "`{0}` cannot name an interface: use 1 to 15 characters, without white space, `/`, `:` and `%`, other than `.` and `..`"
    )]
    InterfaceName(String),
    /// Not a name that can stand in `/run/netns`.
    #[error(
        "`{0}` cannot name a network namespace: use a file name without `/`, other than `.` and `..`"
    )]
    NetnsName(String),
    /// The interface exists and is something else.
    #[error(
        "interface `{name}`{place} exists and is no TAP ({kind}); choose another name for the port's TAP"
    )]
    NotATap {
        /// Interface.
        name: String,
        /// ` in network namespace …`, or nothing.
        place: String,
        /// What it is.
        kind: String,
    },
    /// The TAP exists and cannot take that many queues.
    #[error(
        "TAP `{name}`{place} was made for one queue and {wanted} are wanted; run with one worker, or remove it so that it is made anew (ip link delete {name})"
    )]
    OneQueue {
        /// Interface.
        name: String,
        /// ` in network namespace …`, or nothing.
        place: String,
        /// Queues asked for.
        wanted: usize,
    },
    /// Another program holds the TAP.
    #[error(
        "TAP `{name}`{place} is in use by another program; stop that one, or choose another name"
    )]
    Busy {
        /// Interface.
        name: String,
        /// ` in network namespace …`, or nothing.
        place: String,
    },
    /// More queues than [`crate::MAX_QUEUES`], or none.
    #[error("a TAP has between 1 and {max} queues, not {wanted}", max = crate::MAX_QUEUES)]
    QueueCount {
        /// Queues asked for.
        wanted: usize,
    },
    /// No interface of that name.
    #[error("there is no interface `{name}`{place}")]
    NoSuchLink {
        /// Interface.
        name: String,
        /// ` in network namespace …`, or nothing.
        place: String,
    },
    /// No namespace there.
    #[error("there is no network namespace at {path}; make it with `ip netns add` or `vswitch lab up`, or start the container whose it is", path = .0.display())]
    NoSuchNetns(PathBuf),
    /// The namespace is there already.
    #[error(
        "{path} exists already; a file that is no namespace is left over and can go (ip netns delete)", path = .0.display()
    )]
    NetnsExists(PathBuf),
    /// The namespace is known by path only and is not ours to make or delete.
    #[error("network namespace {path} is named by its path; only namespaces named in /run/netns can be made and deleted", path = .0.display())]
    NetnsByPath(PathBuf),
    /// IPv6 is not to be had on an interface; IPv4 is untouched by that.
    #[error("{0}")]
    NoIpv6(NoIpv6),
    /// A device that the caller has not made, and hence does not set up.
    #[error(
        "TAP `{name}`{place} was there before and is not set up by the switch; set it with ip(8)"
    )]
    NotOurs {
        /// Interface.
        name: String,
        /// ` in network namespace …`, or nothing.
        place: String,
    },
    /// The kernel refused a value or at a bad time.
    #[error("cannot {what}: {cause}; {remedy}")]
    Refused {
        /// What was tried, as the end of "cannot …".
        what: String,
        /// The kernel's answer. Not a `source` of the error: the text says it already.
        cause: io::Error,
        /// What to do about it.
        remedy: &'static str,
    },
    /// Anything else the kernel said.
    #[error("cannot {what}: {cause}")]
    System {
        /// What was tried, as the end of "cannot …".
        what: String,
        /// The kernel's answer. Not a `source` of the error: the text says it already.
        cause: io::Error,
    },
}

/// Why an interface has no IPv6.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoIpv6 {
    /// Switched off for the interface or its namespace: `EACCES`. So are Docker's containers by default.
    #[error(
        "IPv6 is disabled on interface `{name}`{place}; enable it there (sysctl -w net.ipv6.conf.all.disable_ipv6=0; \
         for a container: --sysctl net.ipv6.conf.all.disable_ipv6=0) and reload"
    )]
    Disabled {
        /// Interface.
        name: String,
        /// ` in network namespace …`, or nothing.
        place: String,
    },
    /// The kernel has none: `EOPNOTSUPP`, `EAFNOSUPPORT`.
    #[error(
        "the kernel runs without IPv6; boot it without `ipv6.disable=1`, or load its module (modprobe ipv6)"
    )]
    Absent,
    /// The interface carries packets that are too short for it (RFC 8200, section 5).
    #[error(
        "IPv6 needs an MTU of 1280 at least, and interface `{name}`{place} has {mtu}; raise its `mtu`"
    )]
    Mtu {
        /// Interface.
        name: String,
        /// ` in network namespace …`, or nothing.
        place: String,
        /// Its MTU.
        mtu: u32,
    },
}

impl Error {
    /// Wraps the kernel's answer to `what`; a refusal names the capability that is missing.
    pub(crate) fn of(what: impl Into<String>, capability: &'static str, errno: Errno) -> Self {
        let what = what.into();
        match errno {
            Errno::PERM | Errno::ACCESS => Self::Permission { what, capability },
            _ => Self::System {
                what,
                cause: errno.into(),
            },
        }
    }

    /// The kernel's answer where there is one: for callers that take some answers for success.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::System { cause, .. } | Self::Refused { cause, .. } => cause.raw_os_error(),
            _ => None,
        }
    }
}

/// Needed for TAPs and interfaces.
pub(crate) const NET_ADMIN: &str = "CAP_NET_ADMIN";
/// Needed to look into another user's process, as `/proc/PID/ns/net`.
pub(crate) const SYS_PTRACE: &str = "CAP_SYS_PTRACE";
/// Needed for namespaces and mounts.
pub(crate) const SYS_ADMIN: &str = "CAP_SYS_ADMIN";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_answer_is_told_once() {
        let error = Error::of("do it", NET_ADMIN, Errno::NOENT);
        assert_eq!(
            error.to_string(),
            "cannot do it: No such file or directory (os error 2)"
        );
        assert!(std::error::Error::source(&error).is_none());
    }
}
