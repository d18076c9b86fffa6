//! A small virtual machine: Debian's cloud kernel, busybox, QEMU without hardware help (TCG). Slow,
//! and enough to see a real guest behind a bridge.

use packet::Mac;
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tap::Netns;

/// Modules in the order they need each other.
const MODULES: &[&str] = &[
    "drivers/virtio/virtio_ring.ko",
    "drivers/virtio/virtio.ko",
    "drivers/virtio/virtio_pci_modern_dev.ko",
    "drivers/virtio/virtio_pci_legacy_dev.ko",
    "drivers/virtio/virtio_pci.ko",
    "net/core/failover.ko",
    "drivers/net/net_failover.ko",
    "drivers/net/virtio_net.ko",
];
/// The package that names the current kernel's package.
const KERNEL: &str = "linux-image-cloud-amd64";

/// What the machine is.
#[derive(Debug, Clone, Copy)]
pub struct VmPlan<'a> {
    /// The TAP on the host's side, which is there.
    pub tap: &'a str,
    /// Its MAC.
    pub mac: Mac,
    /// What it does once its `eth0` is there: lines of busybox sh. It then waits for its end.
    pub init: &'a str,
}

/// A running machine, ended when dropped.
#[derive(Debug)]
pub struct Vm {
    child: Child,
    console: PathBuf,
}

impl Vm {
    /// Starts the machine in `netns` with its files in `dir`. `None` where QEMU, busybox or the kernel
    /// cannot be had.
    ///
    /// # Panics
    /// Where files cannot be written.
    #[must_use]
    pub fn start(netns: &Netns, dir: &Path, plan: &VmPlan<'_>) -> Option<Self> {
        let kernel = kernel()?;
        let initramfs = dir.join("initramfs");
        fs::write(&initramfs, archive(&kernel, plan.init)?).expect("the folder is there");
        let console = dir.join("console");
        let network = format!("tap,id=n,ifname={},script=no,downscript=no", plan.tap);
        let device = format!("virtio-net-pci,netdev=n,mac={},romfile=", plan.mac);
        let mut command = Command::new("qemu-system-x86_64");
        command
            .args([
                "-accel",
                "tcg",
                "-m",
                "256",
                "-display",
                "none",
                "-no-reboot",
                "-nodefaults",
            ])
            .args([
                "-append",
                "console=ttyS0 quiet",
                "-netdev",
                &network,
                "-device",
                &device,
            ])
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .arg("-kernel")
            .arg(kernel.image)
            .arg("-initrd")
            .arg(initramfs)
            .stdin(Stdio::null());
        let child = netns
            .run_in(|| command.spawn())
            .expect("the namespace is there")
            .ok()?;
        Some(Self { child, console })
    }

    /// What it has printed.
    #[must_use]
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.console).unwrap_or_default()).into_owned()
    }

    /// Waits until it has printed `text`.
    ///
    /// # Panics
    /// Where it does not within `timeout`.
    pub fn wait_for(&self, text: &str, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        while !self.console().contains(text) {
            assert!(
                Instant::now() < deadline,
                "no `{text}` from the machine:\n{}",
                self.console()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A kernel and the folder of its modules.
struct Kernel {
    image: PathBuf,
    modules: PathBuf,
}

/// The unpacked package, fetched once and kept below the build directory.
fn kernel() -> Option<Kernel> {
    let cache = crate::binary::target_dir().join("qemu");
    let unpacked = cache.join("kernel");
    if !unpacked.exists() {
        fetch(&cache, &unpacked)?;
    }
    let first = |folder: &str| {
        Some(
            fs::read_dir(unpacked.join(folder))
                .ok()?
                .next()?
                .ok()?
                .path(),
        )
    };
    let modules = first("lib/modules")?.join("kernel");
    let images = fs::read_dir(unpacked.join("boot"))
        .ok()?
        .flatten()
        .map(|entry| entry.path());
    let image = images
        .into_iter()
        .find(|path| path.to_string_lossy().contains("vmlinuz"))?;
    Some(Kernel { image, modules })
}

fn fetch(cache: &Path, unpacked: &Path) -> Option<()> {
    fs::create_dir_all(cache).ok()?;
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(cache)
            .stderr(Stdio::null())
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let depends = run("apt-cache", &["depends", KERNEL])?;
    let package = depends
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: linux-image-"))?;
    let package = format!("linux-image-{}", package.trim());
    run("apt-get", &["-q=2", "download", &package])?;
    let entries = fs::read_dir(cache)
        .ok()?
        .flatten()
        .map(|entry| entry.path());
    let file = entries
        .into_iter()
        .find(|path| path.extension().is_some_and(|ext| ext == "deb"))?;
    // Aside and renamed, so that what is cut short is not taken for whole.
    let aside = cache.join("unpacking");
    let _ = fs::remove_dir_all(&aside);
    run("dpkg-deb", &["-x", file.to_str()?, aside.to_str()?])?;
    fs::rename(&aside, unpacked).ok()
}

/// The initial file system: busybox, the modules and the script, as a cpio archive.
fn archive(kernel: &Kernel, script: &str) -> Option<Vec<u8>> {
    let busybox = fs::read("/bin/busybox").ok()?;
    let names: Vec<&str> = MODULES
        .iter()
        .filter_map(|path| path.rsplit('/').next())
        .collect();
    let init = format!(
        "#!/bin/busybox sh\n/bin/busybox --install -s /bin\nmount -t proc p /proc\nmount -t devtmpfs d /dev\n\
         for module in {}; do insmod /$module; done\nip link set lo up\n{script}\n\
         while true; do sleep 60; done\n",
        names.join(" ")
    );
    let mut out = Vec::new();
    for folder in ["bin", "proc", "dev"] {
        entry(&mut out, folder, 0o040_755, &[]);
    }
    entry(&mut out, "bin/busybox", 0o100_755, &busybox);
    entry(&mut out, "init", 0o100_755, init.as_bytes());
    for (path, name) in MODULES.iter().zip(names) {
        // Newer Debian compresses modules, which this busybox does not read.
        entry(
            &mut out,
            name,
            0o100_644,
            &fs::read(kernel.modules.join(path)).ok()?,
        );
    }
    entry(&mut out, "TRAILER!!!", 0, &[]);
    Some(out)
}

/// One file in the `newc` format (cpio(5)): thirteen numbers of eight hexadecimal digits, the name and
/// the bytes, each padded to four.
fn entry(out: &mut Vec<u8>, name: &str, mode: u32, bytes: &[u8]) {
    let inode = out.len() as u32 + 1;
    let numbers = [
        inode,
        mode,
        0,
        0,
        1,
        0,
        bytes.len() as u32,
        0,
        0,
        0,
        0,
        name.len() as u32 + 1,
        0,
    ];
    let digits: String = numbers
        .iter()
        .map(|number| format!("{number:08x}"))
        .collect();
    let pad = |out: &mut Vec<u8>| out.resize(out.len().next_multiple_of(4), 0);
    let _ = write!(out, "070701{digits}{name}\0");
    pad(out);
    out.extend(bytes);
    pad(out);
}
