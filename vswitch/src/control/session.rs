//! The client's side: one request to the daemon, its reply or its stream of replies.

use super::request::Request;
use super::rows::Reply;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Nobody listens.
    #[error("no daemon answers on {}: {source}; start one with `vswitch run CONFIG`, or name its socket with --socket", path.display())]
    NoDaemon {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not permitted to ask.
    #[error("not permitted to ask the daemon on {}; run as root, or as a member of the socket's group", .0.display())]
    NotPermitted(PathBuf),
    /// It began, and broke off.
    #[error("the daemon broke off: {0}")]
    Broken(#[source] io::Error),
    /// A line that is no reply: another version.
    #[error("the daemon's reply is not understood ({0}); is it of another version?")]
    NotUnderstood(#[source] serde_json::Error),
    /// The daemon's own words.
    #[error("{0}")]
    Refused(String),
}

/// A request that is being answered.
#[derive(Debug)]
pub struct Session {
    input: BufReader<UnixStream>,
}

impl Session {
    /// Asks the daemon that listens on `socket`.
    ///
    /// # Errors
    /// [`SessionError`] where there is none or it cannot be asked.
    pub fn ask(socket: &Path, request: &Request) -> Result<Self, SessionError> {
        let mut stream = UnixStream::connect(socket).map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => SessionError::NotPermitted(socket.to_owned()),
            _ => SessionError::NoDaemon {
                path: socket.to_owned(),
                source,
            },
        })?;
        let mut line = serde_json::to_vec(request).map_err(SessionError::NotUnderstood)?;
        line.push(b'\n');
        stream.write_all(&line).map_err(SessionError::Broken)?;
        Ok(Self {
            input: BufReader::new(stream),
        })
    }

    /// The only, or the next reply; `None` where there are no more.
    ///
    /// # Errors
    /// [`SessionError`], [`SessionError::Refused`] with the daemon's words among them.
    pub fn reply(&mut self) -> Result<Option<Reply>, SessionError> {
        let mut line = String::new();
        if self
            .input
            .read_line(&mut line)
            .map_err(SessionError::Broken)?
            == 0
        {
            return Ok(None);
        }
        match serde_json::from_str(&line).map_err(SessionError::NotUnderstood)? {
            Reply::Error(words) => Err(SessionError::Refused(words)),
            reply => Ok(Some(reply)),
        }
    }
}

/// Asks and takes the one reply.
///
/// # Errors
/// [`SessionError`].
pub fn ask(socket: &Path, request: &Request) -> Result<Reply, SessionError> {
    let broken = || SessionError::Broken(io::ErrorKind::UnexpectedEof.into());
    Session::ask(socket, request)?.reply()?.ok_or_else(broken)
}
