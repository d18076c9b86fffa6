//! Paths of the daemon's own: its control socket and its state directory, and that neither is in the
//! other's way, nor in that of the flow log's files.

use crate::config::file::File;
use crate::config::limits::{MAX_SOCKET_PATH_BYTES, MAX_STATE_PATH_BYTES};
use crate::config::mistake::{Findings, quoted};
use crate::config::places::Place;
use flowlog::{LoggerSpec, Storage};
use std::path::{Component, Path, PathBuf};

/// The socket of the running daemon where nothing is said.
const CONTROL_SOCKET: &str = "/run/vswitch/control.sock";
/// Spool and memory where nothing is said.
const STATE_DIR: &str = "/var/lib/vswitch";
/// The folder of the state directory that waiting files are in.
const SPOOL: &str = "spool";

/// Control socket and state directory.
pub(super) fn resolve(
    file: &File,
    loggers: &[LoggerSpec],
    findings: &mut Findings,
) -> (PathBuf, PathBuf) {
    let root = Place::root();
    let socket_at = root.key("control_socket");
    let socket = file.control_socket.as_deref().unwrap_or(CONTROL_SOCKET);
    let state_dir = file.state_dir.as_deref().unwrap_or(STATE_DIR);
    let told = findings.count();
    check(
        socket,
        MAX_SOCKET_PATH_BYTES,
        CONTROL_SOCKET,
        &socket_at,
        findings,
    );
    check(
        state_dir,
        MAX_STATE_PATH_BYTES,
        STATE_DIR,
        &root.key("state_dir"),
        findings,
    );
    if told == findings.count() && !names_a_file(socket) {
        let problem = format!("{} is a directory, not a socket in one", quoted(socket));
        findings.mistake(
            &socket_at,
            problem,
            format!("write a file's path, as {CONTROL_SOCKET}"),
        );
    }
    if told == findings.count() {
        check_apart(Path::new(socket), Path::new(state_dir), loggers, findings);
    }
    (PathBuf::from(socket), PathBuf::from(state_dir))
}

fn check(path: &str, longest: usize, example: &str, at: &Place, findings: &mut Findings) {
    if path.is_empty() || path.len() > longest || path.contains('\0') {
        let remedy = format!("write a path of 1 to {longest} bytes, as {example}");
        findings.mistake(at, format!("{} cannot be this path", quoted(path)), remedy);
    }
}

/// Whether a path ends with the name of a file: `a/`, `a/.` and `a/..` are directories.
fn names_a_file(path: &str) -> bool {
    !path.ends_with('/') && !path.ends_with("/.") && Path::new(path).file_name().is_some()
}

/// A socket is a file, so that nothing is below it, and no directory is at its place.
fn check_apart(socket: &Path, state_dir: &Path, loggers: &[LoggerSpec], findings: &mut Findings) {
    let at = Place::root().key("control_socket");
    let socket = plain(socket);
    let in_its_place = |directory: &Path| plain(directory).starts_with(&socket);
    let remedy = "write another path for one of the two";
    if in_its_place(state_dir) {
        let problem = "the state directory is at or below this path, which is a socket's";
        findings.mistake(&at, problem, remedy);
    } else if socket.starts_with(plain(&state_dir.join(SPOOL))) {
        let problem = "the socket would lie in the spool, where only files of the flow log are";
        findings.mistake(&at, problem, remedy);
    }
    for (i, logger) in loggers.iter().enumerate() {
        if let Storage::Directory(directory) = &logger.storage
            && in_its_place(directory)
        {
            let at = Place::root()
                .key("flowlog_loggers")
                .item(i)
                .key("storage_url");
            findings.mistake(
                &at,
                "this is at or below the path of `control_socket`",
                remedy,
            );
        }
    }
}

/// A path without `.` and doubled slashes. What `..` and links lead to is the host's matter.
fn plain(path: &Path) -> PathBuf {
    let is_step = |component: &Component<'_>| *component != Component::CurDir;
    path.components().filter(is_step).collect()
}
