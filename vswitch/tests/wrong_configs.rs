//! Wrong files, and the exact message that each gets.
//!
//! `wrong/NAME.yaml` is a file with a mistake, `wrong/NAME.expected` what the program says about it.
//! `UPDATE_EXPECTED=1 cargo test -p vswitch --test wrong_configs` writes the messages anew; read them
//! before you keep them.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use std::path::{Path, PathBuf};
use vswitch::config::Config;

#[test]
fn every_wrong_file_gets_exactly_its_message() {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut differing = Vec::new();
    for path in wrong_files() {
        let message = message(&path);
        let expected_path = path.with_extension("expected");
        if update {
            std::fs::write(&expected_path, &message).unwrap();
        }
        let expected = std::fs::read_to_string(&expected_path).unwrap_or_default();
        if message != expected {
            differing.push(format!(
                "{}\n--- expected\n{expected}--- said\n{message}",
                path.display()
            ));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn every_expected_message_has_its_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_known = path.extension().is_some_and(|end| end == "yaml")
            || path.with_extension("yaml").is_file();
        assert!(is_known, "{}: no file of this name", path.display());
    }
}

#[test]
fn a_secret_that_was_typed_into_the_file_is_not_repeated_in_a_message() {
    for path in wrong_files() {
        assert!(!message(&path).contains("AKIA"), "{}", path.display());
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load(Path::new("no/such.yaml"))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "no/such.yaml: cannot be read: No such file or directory (os error 2)"
    );
}

/// What the program says, with the file's name alone: the path is this machine's.
fn message(path: &Path) -> String {
    let name = path.file_name().unwrap().to_string_lossy();
    let text = std::fs::read(path).unwrap();
    match Config::load(path) {
        Ok((plan, notices)) => panic!(
            "{name} is not wrong: {plan}{notices:?}\n{}",
            String::from_utf8_lossy(&text)
        ),
        Err(error) => {
            error
                .to_string()
                .replace(&path.display().to_string(), &name)
                + "\n"
        }
    }
}

fn wrong_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong");
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    files.sort();
    files
}
