//! Instructions per packet under callgrind, held against those that are expected.
//!
//! ```text
//!   vswitch/benches/packets ─ profile `instructions` ─▶ callgrind, twice a kind ─▶ the difference, by its packets
//! ```
//! Counts repeat from run to run, not from compiler to compiler: what another one has counted is not
//! compared.

use crate::{
    command::{cargo, target},
    packages, root,
};
use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// Optimised like a release, but for what takes longest to build and is not on the packet path.
const PROFILE: &str = "instructions";

/// Where the expected counts stand.
const EXPECTED: &str = "vswitch/benches/instructions.txt";

/// Packets of the two runs.
const PACKETS: [u32; 2] = [1_600, 16_000];

/// How far a count may be from the expected one, either way.
const TOLERANCE_PERCENT: u64 = 3;

/// Has the C library copy memory as every x86-64 processor can: its other ways differ in instructions.
const PLAIN_COPIES: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.cpu.hwcaps=-AVX2,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM",
);

/// How to take what is counted for what is expected.
const ACCEPT: &str = "cargo xtask instructions --accept";

/// Instructions per packet by kind of packet, as one compiler makes them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    compiler: String,
    kinds: BTreeMap<String, u64>,
}

/// Whether they can be counted here: `Some` with the reason why not. Root with apt has no excuse.
pub(crate) fn excuse() -> Option<&'static str> {
    let may_install = packages::is_root() && packages::is_there("apt-get");
    let excused = !packages::is_there("valgrind") && !may_install;
    excused.then_some("valgrind is not installed")
}

/// Counts, prints, and makes it what is expected if that is asked for. `Ok(false)`: a count is not what it
/// should be.
pub(crate) fn run(accept: bool) -> Result<bool> {
    let counted = count()?;
    if accept {
        fs::write(root().join(EXPECTED), counted.text())?;
        println!("{}wrote {EXPECTED}", counted.text());
        return Ok(true);
    }
    let findings = compare(&counted)?;
    let complaints: Vec<_> = findings.into_iter().filter_map(Result::err).collect();
    complaints
        .iter()
        .for_each(|complaint| eprintln!("{complaint}"));
    Ok(complaints.is_empty())
}

/// Counts and prints. For each kind whether it is as expected, with what to say if not; empty, and says
/// why, where the expected counts are another compiler's.
pub(crate) fn compare(counted: &Counts) -> Result<Vec<Result<(), String>>> {
    let text = fs::read_to_string(root().join(EXPECTED))
        .with_context(|| format!("cannot read {EXPECTED}; `{ACCEPT}` makes it"))?;
    let expected = Counts::parse(&text).with_context(|| format!("{EXPECTED} makes no sense"))?;
    println!("{}", table(counted, &expected));
    if counted.compiler != expected.compiler {
        println!(
            "not compared: {EXPECTED} is by {}, this is {}; `{ACCEPT}` and commit it",
            expected.compiler, counted.compiler
        );
        return Ok(vec![]);
    }
    let kinds = counted.kinds.keys().chain(expected.kinds.keys());
    let mut kinds: Vec<_> = kinds.collect();
    kinds.sort_unstable();
    kinds.dedup();
    let findings = kinds
        .into_iter()
        .map(|kind| judge(kind, counted.kinds.get(kind), expected.kinds.get(kind)));
    Ok(findings.collect())
}

/// Whether a kind's count is as expected.
fn judge(kind: &str, counted: Option<&u64>, expected: Option<&u64>) -> Result<(), String> {
    let (counted, expected) = match (counted, expected) {
        (Some(counted), Some(expected)) => (*counted, *expected),
        (Some(_), None) => return Err(format!("{kind}: not in {EXPECTED}; `{ACCEPT}` adds it")),
        (None, _) => {
            return Err(format!(
                "{kind}: the bench knows it no more; `{ACCEPT}` removes it"
            ));
        }
    };
    if counted.abs_diff(expected) * 100 <= expected * TOLERANCE_PERCENT {
        return Ok(());
    }
    let more = if counted > expected { "more" } else { "fewer" };
    let percent = change(counted, expected).abs();
    Err(format!(
        "{kind}: {counted} instructions per packet, {percent:.1} % {more} than the {expected} expected \
         (within {TOLERANCE_PERCENT} %); if that is meant, `{ACCEPT}` and commit {EXPECTED}"
    ))
}

/// By how many percent a count is above the expected one.
fn change(counted: u64, expected: u64) -> f64 {
    (counted as f64 / expected as f64 - 1.0) * 100.0
}

/// Counted, expected and the difference, a line each.
fn table(counted: &Counts, expected: &Counts) -> String {
    let mut text = format!(
        "{:24} {:>8} {:>8}\n",
        "instructions per packet", "counted", "expected"
    );
    for (kind, count) in &counted.kinds {
        let known = expected.kinds.get(kind);
        let change = known.map_or(String::new(), |known| {
            format!("{known:8} {:+6.1} %", change(*count, *known))
        });
        let _ = writeln!(text, "{kind:24} {count:8} {change}");
    }
    text
}

/// Builds, and counts every kind that the bench knows.
pub(crate) fn count() -> Result<Counts> {
    let bench = build()?;
    let kinds = Command::new(&bench).arg("count").output()?;
    let kinds = String::from_utf8(kinds.stdout)?;
    let kinds: Vec<&str> = kinds.lines().collect();
    let next = AtomicUsize::new(0);
    let take = || -> Result<Vec<(String, u64)>> {
        let mut taken = vec![];
        while let Some(kind) = kinds.get(next.fetch_add(1, Ordering::Relaxed)) {
            taken.push(((*kind).to_owned(), count_kind(&bench, kind)?));
        }
        Ok(taken)
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let counted: Result<Vec<_>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(take)).collect();
        let counted = workers.into_iter().map(|worker| worker.join());
        counted
            .map(|counted| counted.expect("counting does not panic"))
            .collect()
    });
    Ok(Counts {
        compiler: compiler()?,
        kinds: counted?.into_iter().flatten().collect(),
    })
}

/// The bench that knows the kinds.
fn build() -> Result<PathBuf> {
    let output = cargo(&["bench", "--no-run", "--profile", PROFILE])
        .args(["-p", "vswitch", "--bench", "packets"])
        .args(["-q", "--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("the packet path's bench does not build");
    }
    let messages = String::from_utf8(output.stdout)?;
    let made = messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_it = message["target"]["name"] == "packets";
        let path = message["executable"].as_str().filter(|_| is_it)?;
        Some(PathBuf::from(path))
    });
    made.context("cargo tells where the bench is")
}

/// Instructions per packet: two runs differ in the number of packets alone.
fn count_kind(bench: &Path, kind: &str) -> Result<u64> {
    let [few, many] = PACKETS.map(|packets| instructions(bench, kind, packets));
    let more = many?.saturating_sub(few?);
    let packets = u64::from(PACKETS[1] - PACKETS[0]);
    Ok((more + packets / 2) / packets)
}

fn instructions(bench: &Path, kind: &str, packets: u32) -> Result<u64> {
    let log = target(PROFILE).join(format!("{kind}-{packets}.log"));
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--log-file={}", log.display()))
        .arg(bench)
        .args(["count", kind, &packets.to_string()])
        .env(PLAIN_COPIES.0, PLAIN_COPIES.1)
        .status()
        .context("cannot start valgrind")?;
    let text = fs::read_to_string(&log).unwrap_or_default();
    if !status.success() {
        bail!("{kind} does not run under valgrind:\n{text}");
    }
    let count = text
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let (_, count) = count.context("callgrind tells what it collected")?;
    Ok(count.trim().parse()?)
}

/// The compiler and what it compiles for.
fn compiler() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output()?;
    let text = String::from_utf8(output.stdout)?;
    let word = |name: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(name));
        found.context("rustc tells its version and host")
    };
    Ok(format!("rustc {} {}", word("release: ")?, word("host: ")?))
}

impl Counts {
    /// Instructions per established IPv4 TCP packet, as many data as acknowledgements.
    pub(crate) fn per_tcp_packet(&self) -> f64 {
        let of = |kind| self.kinds.get(kind).copied().unwrap_or_default() as f64;
        (of("tcp4-data") + of("tcp4-ack")) / 2.0
    }

    fn text(&self) -> String {
        let mut text = format!(
            "# Instructions per packet, from its bytes to the counters (docs/benchmarks.md).\n\
             # Written by `{ACCEPT}`.\n\
             compiler: {}\n",
            self.compiler
        );
        for (kind, count) in &self.kinds {
            let _ = writeln!(text, "{kind}: {count}");
        }
        text
    }

    fn parse(text: &str) -> Result<Self> {
        let mut counts = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line
                .split_once(": ")
                .with_context(|| format!("`{line}` is not `kind: count`"))?;
            if name == "compiler" {
                counts.compiler = value.to_owned();
            } else {
                let count = value
                    .parse()
                    .with_context(|| format!("`{value}` is no count"))?;
                counts.kinds.insert(name.to_owned(), count);
            }
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_percent_either_way_is_as_expected_and_more_is_told_with_its_remedy() {
        assert_eq!(judge("tcp4", Some(&1030), Some(&1000)), Ok(()));
        assert_eq!(judge("tcp4", Some(&970), Some(&1000)), Ok(()));
        let told = judge("tcp4", Some(&1040), Some(&1000)).unwrap_err();
        assert!(
            told.contains("tcp4: 1040") && told.contains("4.0 % more") && told.contains(ACCEPT),
            "{told}"
        );
        let told = judge("tcp4", Some(&960), Some(&1000)).unwrap_err();
        assert!(told.contains("4.0 % fewer"), "{told}");
    }

    #[test]
    fn a_kind_that_only_one_side_knows_is_told() {
        assert!(judge("new", Some(&1), None).is_err());
        assert!(judge("old", None, Some(&1)).is_err());
    }

    #[test]
    fn counts_are_read_as_they_are_written() {
        let counts = Counts {
            compiler: "rustc 1.95.0 x86_64-unknown-linux-gnu".into(),
            kinds: BTreeMap::from([("arp".into(), 7), ("tcp4".into(), 350)]),
        };
        assert_eq!(Counts::parse(&counts.text()).unwrap(), counts);
        assert!(Counts::parse("tcp4 350").is_err());
    }
}
