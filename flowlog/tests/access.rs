//! Who may read what the log writes, whatever the umask. A process has one umask: this test has a process of
//! its own.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod support;

use flowlog::{Access, Collector, Delivery, Layout, Partition, Storage};
use rustix::fs::Mode;
use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};
use support::{ACCEPT, Lab, SPOOL_MAX, T0, TempDir, logger, minute, packets, root, sent, udp};

/// A group of no one.
const READERS: u32 = 54_321;

/// One test at a time has the umask.
static UMASK: Mutex<()> = Mutex::new(());

#[test]
fn spool_state_and_log_files_are_0640_in_folders_0750_of_the_readers_group_whatever_the_umask() {
    let groups: &[Option<u32>] = match rustix::process::geteuid().is_root() {
        true => &[None, Some(READERS)],
        // Others cannot give files away.
        false => &[None],
    };
    let _alone = UMASK.lock();
    for umask in [0o000, 0o022, 0o077, 0o777] {
        for &readers in groups {
            let dir = TempDir::new().unwrap();
            let own = fs::metadata(dir.path()).unwrap().gid();
            // A folder that is there is its user's, and stays as it is.
            let theirs = dir.path().join("theirs");
            fs::create_dir(&theirs).unwrap();
            fs::set_permissions(&theirs, Permissions::from_mode(0o700)).unwrap();

            let before = rustix::process::umask(Mode::from_raw_mode(umask));
            let written = write(dir.path(), Access::of_group(readers));
            rustix::process::umask(before);

            let at = format!("umask {umask:03o}, group {readers:?}");
            assert_eq!(mode_and_group(&theirs), (0o700, own), "{at}");
            let group = readers.unwrap_or(own);
            let mut kinds = [0, 0];
            for path in written.iter().filter(|path| !path.ends_with("lock")) {
                let is_folder = path.is_dir();
                kinds[usize::from(is_folder)] += 1;
                let mode = if is_folder { 0o750 } else { 0o640 };
                assert_eq!(
                    mode_and_group(path),
                    (mode, group),
                    "{at}: {}",
                    path.display()
                );
            }
            // Names, marks, one object in the spool, two files; state, spool, three queues, a root,
            // and hours below two roots.
            assert_eq!(kinds, [5, 8], "{at}: {written:#?}");
        }
    }
}

#[test]
fn folders_of_a_run_without_a_readers_group_are_opened_to_the_one_named_later() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let _alone = UMASK.lock();
    let dir = TempDir::new().unwrap();
    for readers in [None, Some(READERS)] {
        fs::create_dir_all(dir.path().join("theirs")).unwrap();
        write(dir.path(), Access::of_group(readers));
        fs::remove_dir_all(dir.path().join("state")).unwrap();
    }
    let hour = dir.path().join("theirs/05");
    assert_eq!(mode_and_group(&hour), (0o750, READERS));
}

/// Runs three loggers for a minute, of which one cannot deliver, and returns everything that was made.
fn write(dir: &Path, access: Access) -> Vec<PathBuf> {
    let mut specs = [1, 2, 3].map(|id| {
        let mut spec = logger(id, dir);
        spec.layout = Layout {
            partition: Partition::parse("#{hour}").unwrap(),
            ..spec.layout
        };
        spec
    });
    specs[1].storage = Storage::Directory(dir.join("theirs"));
    // No folder can be made there.
    specs[2].storage = Storage::Directory("/proc/logs".into());

    let state = dir.join("state");
    let delivery = Delivery::open(&state, SPOOL_MAX, access).unwrap();
    let mut collector = Collector::new(specs.to_vec(), delivery);
    collector.begin(T0);
    collector.observe(
        minute(0),
        &Lab::new(),
        &sent(udp(1, 53), ACCEPT, packets(1)),
    );
    collector.close(minute(0), &Lab::new(), &[]);
    // Two are delivered once one waits.
    let waiting = || {
        let spool = below(&state.join("spool"));
        spool
            .iter()
            .filter(|path| path.extension().is_some_and(|e| e == "object"))
            .count()
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while waiting() > 1 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    let made = [state, root(&specs[0]).to_owned()];
    let mut all: Vec<_> = made.iter().flat_map(|folder| below(folder)).collect();
    all.extend(below(root(&specs[1])));
    all.extend(made);
    all
}

/// Everything below a folder.
fn below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        all.extend(below(&path));
        all.push(path);
    }
    all
}

fn mode_and_group(path: &Path) -> (u32, u32) {
    let found = fs::metadata(path).unwrap();
    (found.mode() & 0o777, found.gid())
}
