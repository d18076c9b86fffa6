//! Programs that are run to their end, or to the end of their time.

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tap::Netns;

/// Longest that a program in a guest may take.
pub(crate) const LONGEST: Duration = Duration::from_secs(20);

/// What a program left.
#[derive(Debug, Clone)]
pub struct Done {
    /// Exit code; `None` where a signal or the end of its time ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Done {
    /// The output of a program that succeeded.
    ///
    /// # Panics
    /// Where it did not.
    #[must_use]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }
}

/// Runs `command` in `netns`, or here, with `input` on its standard input, for `timeout` at most.
///
/// # Panics
/// Where it cannot be started.
pub fn run(netns: Option<&Netns>, command: &mut Command, input: &str, timeout: Duration) -> Done {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // A child inherits the namespace of the thread that starts it.
    let spawned = match netns {
        Some(netns) => netns
            .run_in(|| command.spawn())
            .expect("the namespace is there"),
        None => command.spawn(),
    };
    let mut child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stdin = child.stdin.take();
    let stdout = child.stdout.take().map(read_all);
    let stderr = child.stderr.take().map(read_all);
    if let Some(mut stdin) = stdin {
        // A program that ends without reading its input is no fault.
        let _ = stdin.write_all(input.as_bytes());
    }
    let deadline = Instant::now() + timeout;
    let code = loop {
        match child.try_wait().expect("a child can be waited for") {
            Some(status) => break status.code(),
            None if Instant::now() > deadline => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    let text = |reader: Option<thread::JoinHandle<String>>| {
        reader
            .map(|reader| reader.join().expect("readers do not panic"))
            .unwrap_or_default()
    };
    Done {
        code,
        stdout: text(stdout),
        stderr: text(stderr),
    }
}

fn read_all(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
