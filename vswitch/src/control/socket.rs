//! The socket's place in the file system: made whole or not at all, removed by whoever made it.

use flowlog::Access;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The daemon's user alone may ask: a request can end connections.
const MODE: u32 = 0o600;

/// Why the daemon cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another daemon answers there.
    #[error("a daemon is already listening on {}; stop it, or set another `control_socket`", .0.display())]
    Live(PathBuf),
    /// Something else has the name.
    #[error("{} exists and is no socket; remove it, or set another `control_socket`", .0.display())]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("cannot listen on {}: {source}; see `control_socket` of the configuration", path.display())]
    System {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The socket's file. Dropping it removes the file, if it is still the one that was made.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    /// Listens on `path`. A socket that nobody answers any more is replaced.
    pub(super) fn listen(path: &Path) -> Result<(Self, UnixListener), SocketError> {
        let failed = |source| SocketError::System {
            path: path.to_owned(),
            source,
        };
        check_free(path)?;
        if let Some(parent) = path.parent() {
            Access::default().create_dir_all(parent).map_err(failed)?;
        }
        // Made aside and renamed: whoever finds the socket finds it listening and with its mode, and
        // a stale one is replaced in the same step.
        let aside = aside(path);
        let _ = fs::remove_file(&aside);
        let listener = UnixListener::bind(&aside).map_err(failed)?;
        let made = fs::set_permissions(&aside, Permissions::from_mode(MODE))
            .and_then(|()| identity(&aside))
            .and_then(|identity| fs::rename(&aside, path).map(|()| identity));
        match made {
            Ok(identity) => Ok((
                Self {
                    path: path.to_owned(),
                    identity,
                },
                listener,
            )),
            Err(source) => {
                let _ = fs::remove_file(&aside);
                Err(failed(source))
            }
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn check_free(path: &Path) -> Result<(), SocketError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(SocketError::System {
            path: path.to_owned(),
            source,
        }),
        Ok(file) if !file.file_type().is_socket() => Err(SocketError::NotASocket(path.to_owned())),
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => Err(SocketError::Live(path.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(source) => Err(SocketError::System {
                path: path.to_owned(),
                source,
            }),
        },
    }
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    path.with_file_name(name)
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_socket_is_left_alone_a_stale_one_replaced_and_the_own_one_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/control.sock");
        let (file, listener) = SocketFile::listen(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            MODE
        );
        assert!(matches!(
            SocketFile::listen(&path),
            Err(SocketError::Live(_))
        ));

        // A daemon that was killed: the file stays, nobody listens.
        std::mem::forget(file);
        drop(listener);
        let (file, _listener) = SocketFile::listen(&path).unwrap();
        drop(file);
        assert!(!path.exists());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_no_socket_is_never_touched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(
            SocketFile::listen(&path),
            Err(SocketError::NotASocket(_))
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
