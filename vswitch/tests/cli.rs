//! The program from outside: exit codes, what goes where, and pipes that end early.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const LAB: &str = "
region: KR1
vpcs: [{ name: lab }]
subnets: [{ name: app, vpc: lab, cidr: 10.77.1.0/24 }]
security_groups: [{ name: web, rules: [] }]
ports:
  - { name: vm1, instance: vm1, subnet: app, fixed_ips: [10.77.1.1], security_groups: [web], tap: { name: t1 } }
  - { name: vm2, instance: vm2, subnet: app, fixed_ips: [10.77.1.2], security_groups: [web], tap: { name: t2 } }
";

fn vswitch(directory: &Path, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_vswitch");
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(directory)
        .env_remove("VSWITCH_LOG")
        .output()
        .unwrap()
}

/// Runs, and gives exit code, standard output and standard error.
fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = vswitch(directory, arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn lab() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("lab.yaml"), LAB).unwrap();
    directory
}

#[test]
fn check_tells_which_secret_is_not_to_be_had_here_and_passes_all_the_same() {
    let directory = lab();
    fs::write(directory.path().join("access"), "key").unwrap();
    let store = "object_storage: { endpoint: 'http://127.0.0.1:9', access_key_file: ./access, \
                 secret_key_env: VSWITCH_TEST_NO_SUCH_KEY }\n";
    let logger = "flowlog_loggers:\n  - { name: l, resource_type: VPC, resource: lab, storage_type: OBS, \
                  storage_url: 's3://logs' }\n";
    for (loggers, told) in [("", false), (logger, true)] {
        fs::write(
            directory.path().join("b.yaml"),
            format!("{LAB}{store}{loggers}"),
        )
        .unwrap();
        let (code, _, err) = run(directory.path(), &["check", "b.yaml"]);
        assert_eq!(code, 0, "{err}");
        assert_eq!(
            err.contains("VSWITCH_TEST_NO_SUCH_KEY is not set"),
            told,
            "{err}"
        );
        assert!(!err.contains("./access"), "{err}");
    }
}

#[test]
fn every_command_has_help() {
    let directory = lab();
    for command in [
        "",
        "demo",
        "run",
        "check",
        "lab",
        "lab up",
        "lab down",
        "show",
        "show ports",
        "show fdb",
        "show groups",
        "show connections",
        "show flows",
        "show loggers",
        "show drops",
        "show audit",
        "trace",
        "logs",
        "replay",
    ] {
        let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let (code, out, err) = run(directory.path(), &arguments);
        assert!(
            code == 0 && out.contains("Usage:") && err.is_empty(),
            "{command}: {code} {err}"
        );
    }
}

#[test]
fn a_good_configuration_is_printed_and_a_bad_one_exits_with_2() {
    let directory = lab();
    let (code, out, _) = run(directory.path(), &["check", "lab.yaml"]);
    assert!(code == 0 && out.contains("vm1"), "{out}");
    let (code, out, _) = run(directory.path(), &["check", "lab.yaml", "--json"]);
    let checked: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(code == 0 && checked["valid"] == true);

    fs::write(
        directory.path().join("bad.yaml"),
        LAB.replace("subnet: app, fixed_ips: [10.77.1.2]", "subnet: ap"),
    )
    .unwrap();
    let (code, out, err) = run(directory.path(), &["check", "bad.yaml"]);
    assert!(
        code == 2 && out.is_empty() && err.contains("bad.yaml") && err.contains("`ap`"),
        "{err}"
    );
    let (code, out, _) = run(directory.path(), &["check", "bad.yaml", "--json"]);
    let checked: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(
        code == 2
            && checked["valid"] == false
            && checked["mistakes"]
                .as_array()
                .is_some_and(|list| !list.is_empty())
    );
    for command in [
        vec!["run", "bad.yaml"],
        vec!["lab", "up", "bad.yaml"],
        vec!["run", "missing.yaml"],
        vec!["frobnicate"],
    ] {
        let (code, out, err) = run(directory.path(), &command);
        assert!(
            code == 2 && out.is_empty() && !err.is_empty(),
            "{command:?}: {code} {err}"
        );
    }
}

#[test]
fn a_trace_of_a_file_needs_no_daemon_and_no_rights() {
    let directory = lab();
    let packet = "tcp 10.77.1.1:40000 > 10.77.1.2:22 syn";
    let (code, out, err) = run(
        directory.path(),
        &[
            "trace", "--config", "lab.yaml", "--port", "vm1", packet, "--json",
        ],
    );
    assert_eq!((code, err.as_str()), (0, ""));
    let trace: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&trace["accepted"], &trace["sides"][1]["verdict"]),
        (&false.into(), &"DROP(default_deny)".into())
    );
}

#[test]
fn a_trace_of_a_fragment_ahead_of_its_first_says_that_it_is_held() {
    let directory = lab();
    let packet = "udp 10.77.1.1 > 10.77.1.2 frag=5:1480:520";
    let question = ["trace", "--config", "lab.yaml", "--port", "vm1", packet];
    let (code, out, err) = run(directory.path(), &question);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("kept until that comes"), "{out}");
    assert!(
        out.contains("HELD") && out.contains("frag_timeout"),
        "{out}"
    );
}

#[test]
fn nobody_to_ask_is_a_failure_that_says_what_to_do() {
    let directory = lab();
    let (code, out, err) = run(
        directory.path(),
        &["show", "ports", "--socket", "none.sock"],
    );
    assert!(
        code == 1 && out.is_empty() && err.contains("none.sock") && err.contains("vswitch run"),
        "{err}"
    );
}

#[test]
fn logs_are_filtered_and_a_broken_file_exits_with_1() {
    let directory = lab();
    let logs = directory.path().join("flowlogs/2026/11/23");
    fs::create_dir_all(&logs).unwrap();
    fs::write(
        logs.join("a.csv"),
        "src_addr,dst_port,packets,filter\n10.0.0.1,22,3,DROP\n10.0.0.2,80,4,ACCEPT\n",
    )
    .unwrap();
    let (code, out, err) = run(directory.path(), &["logs", "--verdict", "DROP", "--csv"]);
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (
            0,
            "src_addr,dst_port,packets,filter\n10.0.0.1,22,3,DROP\n",
            ""
        )
    );
    fs::write(logs.join("b.csv"), "no,log\n").unwrap();
    let (code, out, err) = run(directory.path(), &["logs", "--json"]);
    assert!(
        code == 1 && out.lines().count() == 2 && err.contains("b.csv"),
        "{out}{err}"
    );
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    let directory = lab();
    let rows = "10.0.0.1,22,3,DROP\n".repeat(100_000);
    fs::create_dir(directory.path().join("flowlogs")).unwrap();
    fs::write(
        directory.path().join("flowlogs/a.csv"),
        format!("src_addr,dst_port,packets,filter\n{rows}"),
    )
    .unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_vswitch"))
        .args(["logs", "--json"])
        .current_dir(directory.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
fn an_output_that_takes_nothing_is_named() {
    let directory = lab();
    fs::create_dir(directory.path().join("flowlogs")).unwrap();
    fs::write(directory.path().join("flowlogs/a.csv"), "packets\n1\n").unwrap();
    for arguments in [
        ["check", "lab.yaml"].as_slice(),
        &["check", "lab.yaml", "--json"],
        &["logs", "--json"],
        &["logs", "--summary"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_vswitch"))
            .args(arguments)
            .current_dir(directory.path())
            .stdout(fs::File::create("/dev/full").unwrap())
            .output()
            .unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert_eq!(
            err,
            "vswitch: cannot write to standard output: No space left on device (os error 28)\n"
        );
    }
}

#[test]
fn levels_of_messages_that_are_none_are_told_and_stop_nothing() {
    let directory = lab();
    let output = Command::new(env!("CARGO_BIN_EXE_vswitch"))
        .args(["check", "lab.yaml"])
        .current_dir(directory.path())
        .env("VSWITCH_LOG", "%%%")
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && err.contains("VSWITCH_LOG=%%%"),
        "{err}"
    );
}

/// Two loggers' files in one directory, of the same three packets of port `vm1`.
fn two_loggers(directory: &Path) {
    let vm1 = vswitch::config::Kind::Port.derive("vm1");
    fs::create_dir(directory.join("flowlogs")).unwrap();
    for logger in 1..=2 {
        let name = format!("0000000{logger}-0000-5000-8000-000000000000_2026-11-23T05:00:00Z.csv");
        let text =
            format!("interface_id,direction,filter,packets,bytes\n{vm1},egress,DROP,3,180\n");
        fs::write(directory.join("flowlogs").join(name), text).unwrap();
    }
}

#[test]
fn a_summary_never_adds_up_what_two_loggers_recorded_of_the_same_packets() {
    let directory = lab();
    two_loggers(directory.path());
    let (code, out, err) = run(directory.path(), &["logs", "--summary"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("LOGGER ") && out.contains("Each logger has counted for itself"));
    let totals = out
        .lines()
        .filter(|line| line.ends_with(": 1 records, 3 packets, 180 bytes"));
    assert_eq!(totals.count(), 2, "{out}");
    let (_, out, _) = run(directory.path(), &["logs", "--summary", "--json"]);
    let lines: Vec<serde_json::Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.len() == 2 && lines.iter().all(|line| line["packets"] == 3));
    assert_ne!(lines[0]["logger"], lines[1]["logger"]);
}

#[test]
fn logs_that_show_nothing_say_why() {
    let directory = lab();
    fs::create_dir(directory.path().join("empty")).unwrap();
    let (code, out, err) = run(directory.path(), &["logs", "empty"]);
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(
        err.contains("no file of a flow log in empty yet") && err.contains("--follow"),
        "{err}"
    );
    two_loggers(directory.path());
    let (code, out, err) = run(directory.path(), &["logs", "--port", "zzz"]);
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(
        err.contains("of 2 records in 2 files in flowlogs, none") && err.contains("`zzz`"),
        "{err}"
    );
    let (code, out, err) = run(directory.path(), &["logs", "--verdict", "ACCEPT"]);
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(err.contains("none") && !err.contains("--config"), "{err}");
    let (code, out, err) = run(directory.path(), &["logs", "--port", "vm1"]);
    assert!(
        code == 0 && out.lines().count() == 3 && err.is_empty(),
        "{err}"
    );
}

#[test]
fn a_port_that_the_configuration_does_not_have_is_wrong_usage() {
    let directory = lab();
    two_loggers(directory.path());
    let arguments = ["logs", "flowlogs", "--config", "lab.yaml", "--port"];
    let (code, out, err) = run(directory.path(), &[&arguments[..], &["zzz"]].concat());
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("no port `zzz`; it has vm1, vm2"), "{err}");
    let (code, out, _) = run(directory.path(), &[&arguments[..], &["vm1"]].concat());
    assert!(code == 0 && out.lines().count() == 3);
}
