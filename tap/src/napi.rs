//! Kernel threads for the receiving side of an interface (threaded NAPI).

use crate::error::{Error, SYS_ADMIN};
use rustix::{
    fs::{Mode, OFlags, openat},
    io::Errno,
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen},
};

/// Has the kernel receive for the interface `name` of the calling thread's namespace on threads of their
/// own. At least one of its queues was attached with `IFF_NAPI`.
///
/// The switch is a file of sysfs, which shows the interfaces of the namespace in which it was mounted:
/// here it is mounted for this one, attached to no folder, and gone with its descriptor.
///
/// # Errors
/// [`Error::Permission`] without `CAP_SYS_ADMIN`; before Linux 5.12 `ENOENT`.
pub(crate) fn use_threads(name: &str) -> Result<(), Error> {
    switch_on(name).map_err(|errno| {
        let what =
            format!("give interface `{name}` a kernel thread (/sys/class/net/{name}/threaded)");
        Error::of(what, SYS_ADMIN, errno)
    })
}

fn switch_on(name: &str) -> Result<(), Errno> {
    let sysfs = fsopen("sysfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&sysfs)?;
    let mounted = fsmount(
        &sysfs,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )?;
    let path = format!("class/net/{name}/threaded");
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(&mounted, path.as_str(), flags, Mode::empty())?;
    rustix::io::write(&file, b"1").map(drop)
}
