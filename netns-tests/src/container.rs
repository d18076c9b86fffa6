//! A container as its runtime makes it: a process that holds a network namespace without a name.

use crate::eventually;
use std::process::{Child, Command, Stdio};
use tap::Netns;

/// The process, killed at the end, and the namespace with it.
#[derive(Debug)]
pub struct Container(Child);

impl Container {
    /// Starts one, and waits for its namespace.
    #[must_use]
    pub fn start() -> Self {
        let child = Command::new("unshare")
            .args(["--net", "sleep", "60"])
            .stdin(Stdio::null())
            .spawn()
            .expect("Linux has unshare");
        let own = Netns::of_process(std::process::id()).inode();
        eventually("the container's namespace", || {
            let inode = Netns::of_process(child.id()).inode();
            inode.is_some() && inode != own
        });
        Self(child)
    }

    /// Its namespace, as a configuration names it.
    #[must_use]
    pub fn place(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
