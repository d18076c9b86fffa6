//! `cargo xtask test`: all that has to hold, cheapest first, up to the first step that fails. One
//! build profile for everything, so that nothing is compiled twice but for the checks' metadata.

use crate::{
    command::{cargo, command, target, watch},
    instructions, packages, root, tidy,
};
use anyhow::{Result, bail};
use std::{
    process::Command,
    time::{Duration, Instant},
};

/// Namespace tests that run at the same time: most of their time is waiting.
const LABS_AT_ONCE: &str = "--test-threads=2";

/// A step: its name and what it does.
type Step = (&'static str, fn(&mut Count) -> Result<()>);

/// In this order.
const STEPS: &[Step] = &[
    ("format", format),
    ("clippy", clippy),
    ("build", build),
    ("tests", tests),
    ("instructions", instructions_per_packet),
    ("namespaces", namespaces),
    ("examples", examples),
    ("configs", configs),
    ("rustdoc", rustdoc),
    ("tidy", tidy_up),
];

/// What a step found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
}

impl Count {
    fn add(&mut self, is_good: bool) {
        if is_good {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
    }
}

/// Runs the steps of these names, or all. `Ok(false)`: one failed.
pub(crate) fn run(names: &[String]) -> Result<bool> {
    if let Some(unknown) = names
        .iter()
        .find(|name| !STEPS.iter().any(|(known, _)| known == name))
    {
        let known: Vec<_> = STEPS.iter().map(|(name, _)| *name).collect();
        bail!(
            "there is no step `{unknown}`; the steps are {}",
            known.join(", ")
        );
    }
    packages::install(packages::FOR_TESTS);
    let mut done = vec![];
    let chosen = STEPS
        .iter()
        .filter(|(name, _)| names.is_empty() || names.iter().any(|n| n == name));
    for (name, step) in chosen {
        println!("\n==== {name}");
        let (mut count, start) = (Count::default(), Instant::now());
        if let Err(error) = step(&mut count) {
            eprintln!("{name}: {error:#}");
            count.add(false);
        }
        done.push((*name, count, start.elapsed()));
        if count.failed > 0 {
            break;
        }
    }
    Ok(summarize(&done))
}

fn summarize(done: &[(&str, Count, Duration)]) -> bool {
    println!("\n==== summary");
    let mut total = Count::default();
    for (name, count, time) in done {
        println!(
            "{name:12} {:5} passed {:3} failed {:6.1} s",
            count.passed,
            count.failed,
            time.as_secs_f64()
        );
        total.passed += count.passed;
        total.failed += count.failed;
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    total.failed == 0
}

/// Runs a command that passes or fails as a whole.
fn check(count: &mut Count, command: &mut Command) -> Result<()> {
    count.add(watch(command, |_| ())?);
    Ok(())
}

fn format(count: &mut Count) -> Result<()> {
    check(count, &mut cargo(&["fmt", "--all", "--check"]))
}

fn clippy(count: &mut Count) -> Result<()> {
    check(
        count,
        &mut cargo(&[
            "clippy",
            "-q",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]),
    )
}

fn build(count: &mut Count) -> Result<()> {
    check(
        count,
        &mut cargo(&["build", "-q", "--workspace", "--all-targets"]),
    )
}

fn tests(count: &mut Count) -> Result<()> {
    cargo_test(count, &["--workspace", "--exclude", "netns-tests"])
}

/// One for each kind of packet; none where they cannot be counted, or not be compared.
fn instructions_per_packet(count: &mut Count) -> Result<()> {
    if let Some(excuse) = instructions::excuse() {
        println!("skipped: {excuse}");
        return Ok(());
    }
    for finding in instructions::compare(&instructions::count()?)? {
        count.add(finding.is_ok());
        if let Err(complaint) = finding {
            eprintln!("{complaint}");
        }
    }
    Ok(())
}

fn namespaces(count: &mut Count) -> Result<()> {
    if !packages::is_root() {
        bail!("network namespaces and TAPs need root; run it as root");
    }
    cargo_test(count, &["-p", "netns-tests", "--", LABS_AT_ONCE])
}

/// `cargo test`, its own summaries added up. A failure without any count (it did not compile, it was
/// killed) counts as one.
fn cargo_test(count: &mut Count, arguments: &[&str]) -> Result<()> {
    let mut command = cargo(&["test", "-q", "--no-fail-fast"]);
    command
        .args(arguments)
        .env("VSWITCH_BIN", target("debug").join("vswitch"));
    let mut found = Count::default();
    let is_good = watch(&mut command, |line| {
        if let Some((passed, failed)) = counts_in(line) {
            found.passed += passed;
            found.failed += failed;
        }
    })?;
    if !is_good && found.failed == 0 {
        found.failed = 1;
    }
    *count = found;
    Ok(())
}

/// The counts of `test result: ok. 12 passed; 0 failed; …`.
fn counts_in(line: &str) -> Option<(u64, u64)> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |unit: &str| {
        let part = counts.split("; ").find(|part| part.ends_with(unit))?;
        part.split(' ').next()?.parse().ok()
    };
    Some((number(" passed")?, number(" failed")?))
}

fn examples(count: &mut Count) -> Result<()> {
    for name in files("examples", ".rs")? {
        println!("-- {name}");
        let program = target("debug").join(&name);
        check(count, command("timeout", &["60"]).arg(program))?;
    }
    Ok(())
}

fn configs(count: &mut Count) -> Result<()> {
    let vswitch = target("debug").join("vswitch");
    for name in files("configs", ".yaml")? {
        println!("-- configs/{name}.yaml");
        let mut command = Command::new(&vswitch);
        command
            .args(["check", &format!("configs/{name}.yaml")])
            .current_dir(root());
        check(count, &mut command)?;
    }
    Ok(())
}

fn rustdoc(count: &mut Count) -> Result<()> {
    let mut command = cargo(&[
        "doc",
        "-q",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ]);
    check(count, command.env("RUSTDOCFLAGS", "-D warnings"))
}

fn tidy_up(count: &mut Count) -> Result<()> {
    count.add(tidy::run()?);
    Ok(())
}

/// Names, without their ending, of the files of `folder` that end so; in order.
fn files(folder: &str, ending: &str) -> Result<Vec<String>> {
    let mut names = vec![];
    for entry in std::fs::read_dir(root().join(folder))? {
        if let Some(name) = entry?.file_name().to_string_lossy().strip_suffix(ending) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_a_test_run_are_read_from_its_summary() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        assert_eq!(counts_in(line), Some((12, 3)));
        assert_eq!(counts_in("running 12 tests"), None);
    }
}
