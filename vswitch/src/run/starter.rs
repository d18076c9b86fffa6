//! What has started the daemon learns when it is ready, when it reloads, and when it stops.
//!
//! | who | how |
//! | --- | --- |
//! | a script | `--ready-fd N`: `READY` and a line end on an inherited descriptor, which is closed then |
//! | systemd (`Type=notify`, `Type=notify-reload`) | datagrams to `$NOTIFY_SOCKET`, see sd_notify(3) |
//!
//! One that does not listen is not waited for.

use rustix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Environment variable with the address of systemd's socket.
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// What started the daemon, as far as it wants to know.
#[derive(Debug, Default)]
pub struct Starter {
    ready: Option<File>,
    manager: Option<(UnixDatagram, SocketAddr)>,
}

impl Starter {
    /// With the descriptor of `--ready-fd`, and systemd's socket where the environment names one.
    #[must_use]
    pub fn new(ready: Option<OwnedFd>) -> Self {
        Self {
            ready: ready.map(File::from),
            manager: manager(),
        }
    }

    /// The switch forwards and answers. The descriptor is closed, so that its reader goes on.
    pub(super) fn tell_ready(&mut self) {
        if let Some(mut ready) = self.ready.take()
            && let Err(error) = ready.write_all(b"READY\n")
        {
            tracing::warn!(%error, "cannot write to the descriptor of --ready-fd");
        }
        self.notify("READY=1");
    }

    /// A reload begins; [`Starter::tell_ready`] ends it.
    pub(super) fn tell_reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let us = now
            .tv_sec
            .saturating_mul(1_000_000)
            .saturating_add(now.tv_nsec / 1000);
        self.notify(&format!("RELOADING=1\nMONOTONIC_USEC={us}"));
    }

    /// The end begins.
    pub(super) fn tell_stopping(&self) {
        self.notify("STOPPING=1");
    }

    fn notify(&self, state: &str) {
        let Some((socket, address)) = &self.manager else {
            return;
        };
        if let Err(error) = socket.send_to_addr(state.as_bytes(), address) {
            tracing::debug!(%error, state, "the service manager does not take a notification");
        }
    }
}

/// A socket, and the address to send to; `@` stands for the abstract namespace (unix(7)).
fn manager() -> Option<(UnixDatagram, SocketAddr)> {
    let name = std::env::var_os(NOTIFY_SOCKET)?;
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&name),
    };
    let socket = UnixDatagram::unbound().ok()?;
    // A manager that does not read is no reason to stand still.
    socket.set_nonblocking(true).ok()?;
    Some((socket, address.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_reader_gets_one_line_and_the_end() {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut starter = Starter {
            ready: Some(File::from(OwnedFd::from(writer))),
            manager: None,
        };
        starter.tell_ready();
        // Of a reload: nothing goes to a descriptor that is closed.
        starter.tell_ready();
        let mut text = String::new();
        { reader }.read_to_string(&mut text).unwrap();
        assert_eq!(text, "READY\n");
    }

    #[test]
    fn a_service_manager_hears_of_ready_reload_and_stop() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let mut starter = Starter {
            ready: None,
            manager: Some((
                UnixDatagram::unbound().unwrap(),
                SocketAddr::from_pathname(&path).unwrap(),
            )),
        };
        let heard = |what: &str| {
            let mut bytes = [0; 100];
            let length = manager.recv(&mut bytes).unwrap();
            let text = std::str::from_utf8(&bytes[..length]).unwrap();
            assert!(text.starts_with(what), "{text}");
        };
        starter.tell_ready();
        heard("READY=1");
        starter.tell_reloading();
        heard("RELOADING=1\nMONOTONIC_USEC=");
        starter.tell_stopping();
        heard("STOPPING=1");
    }
}
