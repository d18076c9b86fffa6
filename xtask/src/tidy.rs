//! `cargo xtask tidy`: documents that lead somewhere, and whose excerpts are what the code says.

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
const XTASK: [&str; 6] = ["test", "bench", "scale", "instructions", "captures", "tidy"];

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
        for (path, line) in excerpts(&text).filter(|excerpt| !is_excerpt(excerpt)) {
            wrong.push(format!("{}: not in {path}: {line}", file.display()));
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
    wrong.extend(lost_references()?);
    for line in &wrong {
        println!("{line}");
    }
    Ok(wrong.is_empty())
}

/// References that no link checker sees: a test that a document names and no file has, and a decision
/// that code names by a path that does not exist.
fn lost_references() -> Result<Vec<String>> {
    let (mut wrong, mut code) = (vec![], String::new());
    for file in tracked(&["*.rs", "*.toml"])? {
        let text = std::fs::read_to_string(root().join(&file))?;
        for path in decisions(&text).filter(|path| !root().join(path).is_file()) {
            wrong.push(format!("{}: there is no `{path}`", file.display()));
        }
        code += &text;
    }
    for file in documents()? {
        let text = std::fs::read_to_string(root().join(&file))?;
        for name in tests_named(&text).filter(|name| !code.contains(&format!("fn {name}("))) {
            wrong.push(format!("{}: there is no test `{name}`", file.display()));
        }
    }
    Ok(wrong)
}

/// Paths of decisions that a text names.
fn decisions(text: &str) -> impl Iterator<Item = String> + '_ {
    const FOLDER: &str = concat!("docs/", "decisions/");
    text.split(FOLDER).skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-.".contains(c));
        let name = rest[..end.unwrap_or(rest.len())].trim_end_matches('.');
        format!("{FOLDER}{name}")
    })
}

/// Names of tests in a document: code such as `state::a_reset_closes_its_own_connection`. A test is a
/// sentence, so its name has more words than that of a function or a module.
fn tests_named(text: &str) -> impl Iterator<Item = &str> {
    const WORDS_MIN: usize = 5;
    text.split('`')
        .filter_map(|code| code.rsplit_once("::"))
        .map(|(_, name)| name)
        .filter(|name| name.split('_').count() >= WORDS_MIN)
        .filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

/// Every document.
fn documents() -> Result<Vec<PathBuf>> {
    tracked(&["*.md"])
}

/// Every file of these patterns that git knows, or would take.
fn tracked(patterns: &[&str]) -> Result<Vec<PathBuf>> {
    let output = command("git", &["ls-files", "-co", "--exclude-standard"])
        .args(patterns)
        .output()?;
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

/// Excerpts of code: blocks marked with their language and the file that they are from.
fn excerpts(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let blocks = text.split("```").skip(1).step_by(2);
    blocks.filter_map(|block| {
        let (mark, code) = block.split_once('\n')?;
        Some((mark.split_once(' ')?.1, code))
    })
}

/// Whether the file has these lines, one behind the other; how far they are indented does not count.
fn is_excerpt((path, code): &(&str, &str)) -> bool {
    let lines = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    std::fs::read_to_string(root().join(path)).is_ok_and(|file| lines(&file).contains(&lines(code)))
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
    fn excerpts_are_found_by_the_file_they_name() {
        let text = "```sh\nls\n```\n```rust src/lib.rs\nfn f() {\n```\n";
        assert_eq!(
            excerpts(text).collect::<Vec<_>>(),
            [("src/lib.rs", "fn f() {\n")]
        );
        assert!(!is_excerpt(&(
            "xtask/src/main.rs",
            "fn no_such_function() {\n"
        )));
    }

    #[test]
    fn tests_and_decisions_are_found_by_their_names() {
        let text = "see `x::the_name_of_a_test`, `x::a_function` and `x::Y`";
        assert_eq!(
            tests_named(text).collect::<Vec<_>>(),
            ["the_name_of_a_test"]
        );
        let folder = concat!("docs/", "decisions");
        let text = format!("({folder}/0001-x.md). {folder}/0002");
        let found: Vec<_> = decisions(&text).collect();
        assert_eq!(
            found,
            [format!("{folder}/0001-x.md"), format!("{folder}/0002")]
        );
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
