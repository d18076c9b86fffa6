//! The program under test.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The `vswitch` binary: the one that `VSWITCH_BIN` names, else the one beside this test, built once
/// per process if need be.
///
/// # Panics
/// Where it cannot be built.
pub fn vswitch() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("VSWITCH_BIN") {
        Some(path) => path.into(),
        None => build(),
    })
}

fn build() -> PathBuf {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "vswitch"])
        .current_dir(root())
        .status()
        .expect("cargo starts");
    assert!(status.success(), "cargo build -p vswitch failed");
    target_dir().join("debug/vswitch")
}

/// The top folder of the project.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the workspace")
}

/// Where cargo builds.
#[must_use]
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
