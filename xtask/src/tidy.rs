//! `cargo xtask tidy`: documents that lead somewhere.

use crate::{
    command::{command, target},
    root,
};
use anyhow::Result;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Cargo commands that a document may name.
const CARGO: [&str; 8] = [
    "build", "run", "test", "bench", "doc", "install", "clippy", "fmt",
];
/// Our own.
const XTASK: [&str; 5] = ["test", "bench", "scale", "instructions", "tidy"];

/// Checks every document and prints what is wrong. `Ok(false)`: something is.
pub(crate) fn run() -> Result<bool> {
    let mut wrong = vec![];
    for file in documents()? {
        let text = std::fs::read_to_string(root().join(&file))?;
        for link in links(&text) {
            if !leads_somewhere(&file, link) {
                wrong.push(format!(
                    "{}: the link `{link}` leads nowhere",
                    file.display()
                ));
            }
        }
        for line in commands(&text) {
            if !exists(line) {
                wrong.push(format!(
                    "{}: there is no such command: {line}",
                    file.display()
                ));
            }
        }
    }
    for line in &wrong {
        println!("{line}");
    }
    Ok(wrong.is_empty())
}

/// Every document that git knows, or would take.
fn documents() -> Result<Vec<PathBuf>> {
    let output = command("git", &["ls-files", "-co", "--exclude-standard", "*.md"]).output()?;
    let list = String::from_utf8(output.stdout)?;
    Ok(list
        .lines()
        .map(PathBuf::from)
        .filter(|file| root().join(file).exists())
        .collect())
}

/// Targets of `[text](target)` outside code.
fn links(text: &str) -> Vec<&str> {
    let prose = text
        .split("```")
        .step_by(2)
        .flat_map(|part| part.split('`').step_by(2));
    prose
        .flat_map(|part| part.split("](").skip(1))
        .filter_map(|rest| rest.split([')', ' ']).next())
        .collect()
}

fn leads_somewhere(file: &Path, link: &str) -> bool {
    let path = link.split('#').next().unwrap_or_default();
    let is_elsewhere = link.contains("://") || link.starts_with("mailto:");
    let folder = root()
        .join(file)
        .parent()
        .map(Path::to_owned)
        .unwrap_or_default();
    is_elsewhere || path.is_empty() || folder.join(path).exists()
}

/// Command lines in blocks marked `sh` or `console`, without prompt, `sudo` and environment.
fn commands(text: &str) -> Vec<&str> {
    let blocks = text.split("```").skip(1).step_by(2);
    let shells = blocks.filter_map(|block| {
        block
            .strip_prefix("sh\n")
            .or_else(|| block.strip_prefix("console\n"))
    });
    shells
        .flat_map(str::lines)
        .map(|line| line.trim_start_matches("$ ").trim_start_matches("sudo "))
        .filter(|line| {
            line.starts_with("vswitch ") || line.contains("/vswitch ") || line.starts_with("cargo ")
        })
        .collect()
}

/// Whether what the line calls is there. Only names are judged, not arguments.
fn exists(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let program = words.next().unwrap_or_default();
    let mut words = words.filter(|word| !word.starts_with(['-', '+']));
    let first = words.next().unwrap_or_default();
    match program {
        "cargo" if first == "xtask" => XTASK.contains(&words.next().unwrap_or_default()),
        "cargo" => CARGO.contains(&first),
        _ => {
            let nested = matches!(first, "lab" | "show")
                .then(|| words.next())
                .flatten();
            let mut help = Command::new(target("debug").join("vswitch"));
            help.arg(first).args(nested).arg("--help");
            first.is_empty() || help.output().is_ok_and(|output| output.status.success())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_in_prose_and_not_in_code() {
        let text = "see [a](b.md#c) and `[x](y)`\n```sh\n[p](q)\n```\n![i](j.png \"title\")";
        assert_eq!(links(text), ["b.md#c", "j.png"]);
    }

    #[test]
    fn commands_are_found_in_shell_blocks_alone() {
        let text = "```sh\n$ sudo vswitch demo\nls\n```\nvswitch none\n```yaml\nvswitch: 1\n```\n";
        assert_eq!(commands(text), ["vswitch demo"]);
    }

    #[test]
    fn the_tasks_that_documents_may_name_are_ours() {
        use clap::CommandFactory;
        let cli = crate::Cli::command();
        let names: Vec<_> = cli
            .get_subcommands()
            .map(|task| task.get_name().to_owned())
            .collect();
        assert_eq!(names, XTASK);
    }
}
