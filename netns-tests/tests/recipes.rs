//! What README and `docs/attach.md` have their readers paste, run as it stands: in namespaces of its own for
//! mounts and networks, so that paths, names and settings are those of the page and touch nothing.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use netns_tests::{
    binary::{root, vswitch},
    run,
};
use std::{fmt::Write, fs, process::Command, time::Duration};

/// Longest that a page may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// A host that a reader has for himself: `/run`, `/var/lib` and `/usr/local/bin` are empty, the current
/// folder is a clone with a built program.
const HOST: &str = r#"
mount -t tmpfs none /run
mount -t tmpfs none /var/lib
mkdir bin
mount --bind bin /usr/local/bin
ip link set lo up
export PATH=/usr/local/bin:$PATH
# Waits for what the page's next line takes for granted.
await() { i=0; until "$@" >/dev/null 2>&1; do i=$((i+1)); [ $i -lt 200 ] || { echo "never: $*" >&2; exit 1; }; sleep 0.1; done; }
ends() { await sh -c "! kill -0 $1"; }
"#;

/// The fenced blocks of a language in a section of a page.
fn blocks(page: &str, section: &str, language: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let (_, rest) = text.split_once(&format!("\n## {section}\n")).unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let fence = format!("```{language}\n");
    let blocks = section.split(&fence).skip(1);
    let block = blocks.map(|rest| rest.split("```").next().unwrap().to_owned());
    let blocks: Vec<_> = block.collect();
    assert!(
        !blocks.is_empty(),
        "{page} has no {language} under {section}"
    );
    blocks
}

/// Runs a script on such a host, and returns what it printed.
fn on_a_host(script: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let configs = folder.path().join("configs");
    fs::create_dir_all(&configs).unwrap();
    for name in ["minimal.yaml", "two-tier.yaml"] {
        fs::copy(root().join("configs").join(name), configs.join(name)).unwrap();
    }
    let release = folder.path().join("target/release");
    fs::create_dir_all(&release).unwrap();
    fs::copy(vswitch(), release.join("vswitch")).unwrap();
    let file = folder.path().join("script");
    fs::write(
        &file,
        format!("set -e\ncd {}\n{HOST}\n{script}", folder.path().display()),
    )
    .unwrap();
    let mut command = Command::new("unshare");
    // A process namespace too: whatever the script leaves running ends with it.
    let namespaces = [
        "--mount",
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ];
    command.args(namespaces).arg("bash").arg(&file);
    let done = run(None, &mut command, "", PATIENCE);
    assert_eq!(
        done.code,
        Some(0),
        "{script}\n{}\n{}",
        done.stdout,
        done.stderr
    );
    done.stdout
}

/// The line of a page, as a script has to say it: a reader ends with Ctrl-C what goes on for ever.
fn as_script(line: &str) -> String {
    let command = line.split("  #").next().unwrap_or(line).trim_end();
    if command == "vswitch top" || command.ends_with("--follow") {
        return format!("timeout --signal INT 1 {command} </dev/null || true");
    }
    if command.starts_with("vswitch run") {
        let command = command.trim_end_matches(" &");
        return format!("{command} & daemon=$!\nawait vswitch show ports");
    }
    line.to_owned()
}

#[test]
fn what_the_readme_has_pasted_works_twice_over_a_running_daemon() {
    let block = blocks("README.md", "Attach a namespace", "sh").remove(0);
    // The program is built already; which one is not the recipe's business.
    let mut script = "cargo() { :; }\n".to_owned();
    for line in block.lines() {
        writeln!(script, "{}", as_script(line)).unwrap();
        if line.starts_with("ip netns exec") {
            // A newer build over the one that runs.
            writeln!(script, "{}", block.lines().next().unwrap()).unwrap();
        }
    }
    script.push_str("ends $daemon\n[ -z \"$(ip netns list)\" ]\n");
    let said = on_a_host(&script);
    assert!(said.contains("3 received"), "{said}");
    assert!(said.contains("removed  network namespace min-a"), "{said}");
}

#[test]
fn guests_of_the_page_outlive_the_daemon() {
    let block = blocks("docs/attach.md", "Namespaces", "sh").remove(0);
    let lines: Vec<_> = block.lines().collect();
    let [up, start, down] = lines[..] else {
        panic!("{block}")
    };
    let start = as_script(start);
    let said = on_a_host(&format!(
        "install target/release/vswitch /usr/local/bin/
         {up}
         for time in 1 2; do
           {start}
           # What a daemon serves is not taken from it.
           if {down_alone}; then exit 1; fi
           kill -INT $daemon; ends $daemon
           ip netns exec web1 ip link show tap-web1
         done
         {down}
         [ -z \"$(ip netns list)\" ]",
        down_alone = down.split("  #").next().unwrap(),
    ));
    assert!(said.contains("removed  network namespace web1"), "{said}");
}

#[test]
fn a_machine_behind_a_bridge_survives_a_restart_and_reaches_the_world() {
    let page = "docs/attach.md";
    let config = blocks(page, "Virtual machines", "yaml").remove(0);
    let attach = blocks(page, "Virtual machines", "sh").remove(0);
    let nat = blocks(page, "The way out", "sh").remove(0);
    let attach: Vec<_> = attach.lines().map(as_script).collect();
    let start = attach.last().unwrap().clone();
    let said = on_a_host(&format!(
        "install target/release/vswitch /usr/local/bin/
cat > machine.yaml <<'CONFIG'
{config}
CONFIG
{attach}
# In QEMU's place: a namespace with the machine's MAC and address, on the same bridge.
ip netns add machine
ip link add veth0 type veth peer name eth0 netns machine
ip link set veth0 master br-vm1 up
ip -n machine link set eth0 address fa:16:3e:00:00:01 up
ip -n machine address add 10.77.1.11/24 dev eth0
ip -n machine route add default via 10.77.1.1
# The world, which has no way back to the machine's own address.
ip netns add world
ip link add out type veth peer name in netns world
ip address add 192.0.2.1/24 dev out
ip link set out up
ip -n world link set in up
ip -n world address add 192.0.2.2/24 dev in
{nat}
{nat}
for time in 1 2 3; do
  ping -c 1 -W 5 10.77.1.11
  ip netns exec machine ping -c 1 -W 5 192.0.2.2
  vswitch show ports | tee -a shown
  kill -INT $daemon; ends $daemon
  {start}
done
if grep incomplete shown; then exit 1; fi
nft delete table ip lab_nat",
        attach = attach.join("\n"),
    ));
    assert_eq!(said.matches("1 received").count(), 6, "{said}");
}
