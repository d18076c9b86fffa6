//! A Python environment with the foreign readers, made once below `target/` and kept.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

const REQUIREMENTS: &str = include_str!("requirements.txt");

/// What pip says where there is no way to the package index.
const NO_NETWORK: [&str; 6] = [
    "Temporary failure in name resolution",
    "Name or service not known",
    "Network is unreachable",
    "Connection refused",
    "Max retries exceeded",
    "No matching distribution found",
];

/// Runs a script of this folder with the readers at hand and returns what it prints. `None`, with the
/// reason on standard error, where the readers cannot be had.
pub(crate) fn run(script: &str, arguments: &[&Path]) -> Option<String> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let python = PYTHON.get_or_init(python).as_ref()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/foreign")
        .join(script);
    let mut command = Command::new(python);
    // Keys that boto3 wants to see, of nobody.
    command
        .env("AWS_ACCESS_KEY_ID", "none")
        .env("AWS_SECRET_ACCESS_KEY", "none");
    let output = command.arg(script).args(arguments).output().unwrap();
    Some(printed(&output))
}

/// The interpreter of the environment, which is made where it is missing or has other versions.
fn python() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("foreign-readers");
    let (python, stamp) = (folder.join("bin/python"), folder.join("made-from.txt"));
    let lock = File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == REQUIREMENTS) {
        return Some(python);
    }
    let made = Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&folder)
        .output();
    let Ok(made) = made else {
        eprintln!("skipped: there is no python3 for the foreign readers");
        return None;
    };
    printed(&made);
    let list = folder.join("requirements.txt");
    fs::write(&list, REQUIREMENTS).unwrap();
    let installed = Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--retries", "1", "-r"])
        .arg(&list)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&installed.stderr);
    if !installed.status.success() && NO_NETWORK.iter().any(|text| said.contains(text)) {
        eprintln!("skipped: the foreign readers cannot be fetched: {said}");
        return None;
    }
    printed(&installed);
    fs::write(&stamp, REQUIREMENTS).unwrap();
    Some(python)
}

fn printed(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout.clone()).unwrap()
}
