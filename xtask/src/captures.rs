//! `cargo xtask captures`: the captures of tcpdump's and Wireshark's own test suites, replayed and read by
//! tshark. Per tuple both must count the same packets; where they do not, `docs/captures.md` says why.
//!
//! The suites come with Debian's source packages, of fixed versions; nothing of them is kept in the project.

mod ours;
mod suites;
mod theirs;

use crate::{
    command::{cargo, target},
    packages, root,
};
use anyhow::{Context, Result, bail};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

/// Where the differences are explained: a table whose first column names the capture.
const EXPLAINED: &str = "docs/captures.md";

/// Captures that are read at the same time.
const AT_ONCE: usize = 2;

/// A five-tuple as both sides write it: protocol, addresses, ports.
type Tuple = String;

/// Packets by tuple.
type Packets = BTreeMap<Tuple, u64>;

/// What to compare.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only captures whose name contains this, with the tuples that differ.
    #[arg(long, default_value = "")]
    only: String,
}

/// What came of a capture.
#[derive(Debug)]
enum Outcome {
    Same,
    /// What only the first or only the second has counted, in words.
    Differs(Vec<String>),
    /// Of a kind that is not read, as `vswitch replay` says.
    NotRead(String),
}

/// Compares. `Ok(false)`: a difference that is not explained, or an explanation without a difference.
pub(crate) fn run(options: &Options) -> Result<bool> {
    packages::install(&[("tshark", "tshark"), ("dpkg-source", "dpkg-dev")]);
    if !cargo(&["build", "-q", "-p", "vswitch"]).status()?.success() {
        bail!("vswitch does not build");
    }
    let vswitch = target("debug").join("vswitch");
    let captures = suites::captures(&root().join("target/captures"))?;
    let chosen: Vec<PathBuf> = captures
        .into_iter()
        .filter(|path| name(path).contains(&options.only))
        .collect();
    let outcomes = outcomes(&vswitch, chosen)?;
    report(&outcomes, !options.only.is_empty());
    if !options.only.is_empty() {
        return Ok(true);
    }
    let text = fs::read_to_string(root().join(EXPLAINED))?;
    let explained: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let differing: BTreeSet<&str> = outcomes
        .iter()
        .filter(|(_, outcome)| matches!(outcome, Outcome::Differs(_)))
        .map(|(name, _)| name.as_str())
        .collect();
    for name in differing.difference(&explained) {
        println!("{name}: differs, and {EXPLAINED} does not say why");
    }
    for name in explained.difference(&differing) {
        println!("{name}: does not differ, and {EXPLAINED} says why it does");
    }
    Ok(differing == explained)
}

/// Reads every capture both ways.
fn outcomes(vswitch: &Path, captures: Vec<PathBuf>) -> Result<BTreeMap<String, Outcome>> {
    let captures = Mutex::new(captures.into_iter());
    let outcomes = Mutex::new(BTreeMap::new());
    let work = || -> Result<()> {
        loop {
            let next = captures.lock().expect("no thread panics").next();
            let Some(path) = next else { return Ok(()) };
            let outcome = compare(vswitch, &path).with_context(|| name(&path))?;
            let mut outcomes = outcomes.lock().expect("no thread panics");
            outcomes.insert(name(&path), outcome);
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().expect("no thread panics"))
    })?;
    Ok(outcomes.into_inner().expect("no thread panics"))
}

fn compare(vswitch: &Path, capture: &Path) -> Result<Outcome> {
    let ours = match ours::packets(vswitch, capture)? {
        Ok(packets) => packets,
        Err(refusal) => return Ok(Outcome::NotRead(refusal)),
    };
    let theirs = theirs::packets(capture)?;
    let tuples: BTreeSet<&Tuple> = ours.keys().chain(theirs.keys()).collect();
    let differences: Vec<String> = tuples
        .into_iter()
        .map(|tuple| (tuple, ours.get(tuple), theirs.get(tuple)))
        .filter(|(_, ours, theirs)| ours != theirs)
        .map(|(tuple, ours, theirs)| {
            let count = |packets: Option<&u64>| packets.copied().unwrap_or(0);
            format!("{tuple}: {} here, {} by tshark", count(ours), count(theirs))
        })
        .collect();
    Ok(match differences.is_empty() {
        true => Outcome::Same,
        false => Outcome::Differs(differences),
    })
}

fn report(outcomes: &BTreeMap<String, Outcome>, with_tuples: bool) {
    let (mut same, mut differing) = (0, 0);
    let mut refusals: BTreeMap<&str, u32> = BTreeMap::new();
    for (name, outcome) in outcomes {
        match outcome {
            Outcome::Same => same += 1,
            Outcome::NotRead(refusal) => *refusals.entry(refusal).or_default() += 1,
            Outcome::Differs(tuples) => {
                differing += 1;
                println!("{name}: {} tuples differ", tuples.len());
                let shown = if with_tuples { tuples.len() } else { 3 };
                for tuple in tuples.iter().take(shown) {
                    println!("    {tuple}");
                }
            }
        }
    }
    println!("the same packets per tuple: {same}; others: {differing}");
    for (refusal, captures) in refusals {
        println!("not read, {captures}: {refusal}");
    }
}

/// A capture's name: suite and file.
fn name(path: &Path) -> String {
    let mut parts = path.iter().rev().map(|part| part.to_string_lossy());
    let file = parts.next().unwrap_or_default();
    let suite = path.iter().map(|part| part.to_string_lossy());
    let suite = suite
        .filter_map(|part| part.split_once('-').map(|(suite, _)| suite.to_owned()))
        .rfind(|suite| suites::SUITES.iter().any(|known| known.package == suite));
    format!("{}/{file}", suite.unwrap_or_default())
}
