//! The suites, from Debian's archive of sources.

use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A suite.
pub(super) struct Suite {
    /// Debian's source package.
    pub(super) package: &'static str,
    /// Its version.
    version: &'static str,
    /// What the source package is unpacked as.
    folder: &'static str,
    /// Where its captures lie.
    captures: &'static str,
}

/// As of Debian 12.
pub(super) const SUITES: &[Suite] = &[
    Suite {
        package: "tcpdump",
        version: "4.99.3-1",
        folder: "tcpdump-4.99.3",
        captures: "tests",
    },
    Suite {
        package: "wireshark",
        version: "4.0.17-0+deb12u3",
        folder: "wireshark-4.0.17",
        captures: "test/captures",
    },
];

/// Sources of packages; a machine's own lists often leave them out.
const ARCHIVE: &str = "\
deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main
deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian-security bookworm-security main
";

/// Names that are no captures.
const OTHERS: [&str; 8] = [
    ".out", ".txt", ".sh", ".tests", ".pl", ".py", ".keys", ".json",
];

/// The captures of all suites, which are brought into `folder` if they are not there.
pub(super) fn captures(folder: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    let missing: Vec<&Suite> = SUITES
        .iter()
        .filter(|suite| !folder.join(suite.folder).is_dir())
        .collect();
    if !missing.is_empty() {
        bring(folder, &missing)?;
    }
    let mut captures = Vec::new();
    for suite in SUITES {
        collect(
            &folder.join(suite.folder).join(suite.captures),
            &mut captures,
        )?;
    }
    captures.sort();
    Ok(captures)
}

fn bring(folder: &Path, suites: &[&Suite]) -> Result<()> {
    let list = folder.join("sources.list");
    fs::write(&list, ARCHIVE)?;
    for part in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(folder.join(part))?;
    }
    let options = [
        format!("Dir::Etc::SourceList={}", list.display()),
        "Dir::Etc::SourceParts=/dev/null".to_owned(),
        format!("Dir::State::Lists={}", folder.join("lists").display()),
        format!("Dir::Cache={}", folder.join("cache").display()),
    ];
    let apt = |arguments: &[String]| -> Result<()> {
        let mut command = Command::new("apt-get");
        command.current_dir(folder).arg("-q=2");
        for option in &options {
            command.args(["-o", option]);
        }
        let status = command.args(arguments).status();
        if !status.context("cannot run apt-get")?.success() {
            bail!("apt-get {} failed", arguments.join(" "));
        }
        Ok(())
    };
    apt(&["update".to_owned()])?;
    let packages = suites
        .iter()
        .map(|suite| format!("{}={}", suite.package, suite.version));
    let mut source = vec!["source".to_owned()];
    source.extend(packages);
    apt(&source)
}

fn collect(folder: &Path, captures: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        let name = path.to_string_lossy();
        if path.is_dir() {
            collect(&path, captures)?;
        } else if !OTHERS.iter().any(|other| name.ends_with(other)) {
            captures.push(path);
        }
    }
    Ok(())
}
