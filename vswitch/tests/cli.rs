//! The program from outside: exit codes, what goes where, and pipes that end early.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

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
        "wait",
        "reload",
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
        "top",
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

#[test]
fn a_state_or_protocol_that_is_none_is_wrong_usage_before_anybody_is_asked() {
    let directory = lab();
    let show = ["show", "connections"];
    let flush = ["connections", "flush"];
    for command in [show, flush] {
        for (wrong, words) in [
            (
                ["--state", "open_wide"],
                "`open_wide` is no state; write one of",
            ),
            (["--protocol", "any"], "`any` is no protocol; write a name"),
            (
                ["--tuple", "eth 0x88cc"],
                "belongs to no connection; write it as",
            ),
        ] {
            let (code, out, err) = run(directory.path(), &[command, wrong].concat());
            assert_eq!((code, out.as_str()), (2, ""), "{err}");
            assert!(err.contains(words), "{err}");
        }
    }
}

#[test]
fn the_help_of_show_connections_says_what_its_columns_count() {
    let directory = lab();
    let (code, out, _) = run(directory.path(), &["show", "connections", "--help"]);
    assert_eq!(code, 0);
    for words in ["INTERVAL PACKETS", "fall back when it closes", "judged_now"] {
        assert!(out.contains(words), "{out}");
    }
}

/// Two loggers' files of one packet, on two days.
fn two_logs() -> tempfile::TempDir {
    let directory = lab();
    let logs = directory.path().join("logs");
    fs::create_dir(&logs).unwrap();
    for (logger, start) in [("1", 1_732_320_007), ("2", 1_732_406_407)] {
        let name = format!("{logger}a85f556-0000-5000-8000-123456789abc_x.csv");
        let text = format!(
            "timestamp_start,timestamp_end,src_addr,src_port,packets\n{start},{start},10.0.0.1,99,{logger}\n"
        );
        fs::write(logs.join(name), text).unwrap();
    }
    directory
}

#[test]
fn lines_of_several_loggers_have_the_day_and_the_logger() {
    let directory = two_logs();
    let (code, out, err) = run(directory.path(), &["logs", "logs"]);
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        code == 0 && lines[0].starts_with("TIME                  LOGGER"),
        "{out}{err}"
    );
    assert!(
        lines[1].starts_with("2024-11-23T00:00:07Z  1a85f556 "),
        "{out}"
    );
    assert!(
        lines[2].starts_with("2024-11-24T00:00:07Z  2a85f556 "),
        "{out}"
    );
    let (_, out, _) = run(directory.path(), &["logs", "logs", "--json"]);
    assert!(
        out.contains("\"logger\":\"1a85f556-0000-5000-8000-123456789abc\""),
        "{out}"
    );
    let one = "logs/1a85f556-0000-5000-8000-123456789abc_x.csv";
    let (_, out, _) = run(directory.path(), &["logs", one]);
    assert!(!out.contains("LOGGER"), "{out}");
    let (_, out, _) = run(
        directory.path(),
        &["logs", "logs", "--sort", "packets", "--csv"],
    );
    let packets: Vec<_> = out
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(4).unwrap())
        .collect();
    assert_eq!(packets, ["2", "1"]);
}

#[test]
fn a_filter_on_a_field_that_files_have_not_says_so() {
    let directory = lab();
    fs::write(
        directory.path().join("a.csv"),
        "packets,dst_port\n1,22\n2,80\n",
    )
    .unwrap();
    let (code, out, err) = run(directory.path(), &["logs", "a.csv", "--since", "10m"]);
    let told = "--since: left out 2 records whose files have no field timestamp_end";
    assert!(code == 0 && out.is_empty() && err.contains(told), "{err}");
    let (_, out, err) = run(
        directory.path(),
        &["logs", "a.csv", "--src-port", "22", "--json"],
    );
    assert!(out.is_empty() && err.contains("no field src_port"), "{err}");
    let (_, out, err) = run(directory.path(), &["logs", "a.csv", "--dst-port", "22"]);
    assert!(err.is_empty() && !out.contains("00:00:00"), "{out}{err}");
}

#[test]
fn what_cannot_be_read_is_not_said_to_be_empty() {
    let directory = lab();
    fs::write(directory.path().join("a.parquet"), "PAR1 no more").unwrap();
    let (code, _, err) = run(directory.path(), &["logs", "a.parquet"]);
    assert!(code == 1 && err.contains("not a Parquet file"), "{err}");
    assert!(!err.contains("no record in them yet"), "{err}");
}

#[test]
fn a_log_is_read_from_standard_input_and_from_a_pipe_whatever_it_is_made_of() {
    let directory = lab();
    let text = "packets,filter\n7,DROP\n";
    let parquet = parquet();
    for bytes in [text.as_bytes(), parquet.as_slice()] {
        for place in ["-", "/dev/stdin"] {
            let mut child = Command::new(env!("CARGO_BIN_EXE_vswitch"))
                .args(["logs", place, "--csv"])
                .current_dir(directory.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(bytes).unwrap();
            drop(stdin);
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success());
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text, "{place}");
        }
    }
}

/// A file of one record, packets 7 and DROP, as the program writes it.
fn parquet() -> Vec<u8> {
    use flowlog::{Compression, Field, Format};
    let record = flowlog::Record {
        port: Arc::default(),
        first_ns: 0,
        last_ns: 0,
        flow: Some(flowlog::Flow {
            direction: packet::Direction::Ingress,
            tuple: packet::FiveTuple {
                protocol: 6,
                src: [10, 0, 0, 1].into(),
                dst: [10, 0, 0, 2].into(),
                src_port: 1,
                dst_port: 22,
            },
            verdict: packet::Verdict::Drop(packet::Reason::DefaultDeny),
            rule: 0,
            is_reply: false,
            flags_seed: 2,
            flags_all: 2,
            packets: 7,
            bytes: 180,
            connections: 0,
            details: flowlog::Details::default(),
        }),
        status: flowlog::Status::Ok,
        skipped: flowlog::Skipped::default(),
        peer: None,
        security_group: None,
    };
    let mut file = Vec::new();
    let fields = [Field::Packets, Field::Filter];
    let mut encoder = Format::Parquet(Compression::Raw)
        .encoder(&fields, &mut file)
        .unwrap();
    encoder.row(&record).unwrap();
    encoder.finish().unwrap();
    file
}

#[test]
fn top_prints_one_frame_where_nobody_looks_and_says_when_there_is_no_daemon() {
    let directory = lab();
    let (code, out, err) = run(
        directory.path(),
        &["top", "--once", "--socket", "none.sock"],
    );
    assert!(
        code == 1 && out.is_empty() && err.contains("no daemon answers on none.sock"),
        "{err}"
    );

    let text = format!(
        "{LAB}state_dir: {0}/state\ncontrol_socket: {0}/s\n",
        directory.path().display()
    );
    let (mut plan, _) = vswitch::config::Config::parse(&text, "test").unwrap();
    plan.ports.clear();
    let daemon = vswitch::run::Daemon::start(plan, "cli-top").unwrap();
    let _server =
        vswitch::control::Server::start(&directory.path().join("s"), daemon.shared()).unwrap();
    let (code, out, err) = run(directory.path(), &["top", "--socket", "s"]);
    assert!(code == 0 && err.is_empty(), "{err}");
    for told in [
        "vswitch 0.1.0  up ",
        "connections 0 of ",
        "loggers none",
        "ports by bit/s\nno ports",
        "refused lately\n",
    ] {
        assert!(out.contains(told), "{told}\n{out}");
    }
    daemon.stop().unwrap();
}

/// A daemon without ports whose one logger writes to `there`, and its socket `s`.
fn logging_daemon(directory: &Path) -> (vswitch::run::Daemon, vswitch::control::Server) {
    let at = directory.display();
    let text = format!(
        "{LAB}state_dir: {at}/state\ncontrol_socket: {at}/s\nflowlog_loggers: [{{ name: everything, \
         resource_type: VPC, resource: lab, storage_url: {at}/there, fields: lab }}]\n"
    );
    let (mut plan, _) = vswitch::config::Config::parse(&text, "test").unwrap();
    plan.ports.clear();
    let daemon = vswitch::run::Daemon::start(plan, "cli-logs").unwrap();
    let server = vswitch::control::Server::start(&directory.join("s"), daemon.shared()).unwrap();
    (daemon, server)
}

#[test]
fn logs_are_where_the_running_daemon_writes_them_and_another_log_here_is_mentioned() {
    let directory = lab();
    let here = directory.path().join("here");
    for (place, port) in [("there", "22"), ("here/flowlogs", "80")] {
        let place = directory.path().join(place);
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("a.csv"), format!("dst_port\n{port}\n")).unwrap();
    }
    let (code, out, _) = run(&here, &["logs", "--csv", "--socket", "../s"]);
    assert_eq!((code, out.as_str()), (0, "dst_port\n80\n"));
    let (daemon, _server) = logging_daemon(directory.path());
    let (code, out, err) = run(
        &here,
        &["logs", "--csv", "--fields", "dst_port", "--socket", "../s"],
    );
    assert_eq!((code, out.as_str()), (0, "dst_port\n22\n"), "{err}");
    assert!(
        err.contains("/there") && err.contains("./flowlogs here is another log"),
        "{err}"
    );
    let (_, out, err) = run(
        directory.path(),
        &["logs", "--csv", "--fields", "dst_port", "--socket", "s"],
    );
    assert_eq!((out.as_str(), err.as_str()), ("dst_port\n22\n", ""));
    let (_, out, _) = run(&here, &["logs", "flowlogs", "--csv", "--socket", "../s"]);
    assert_eq!(out, "dst_port\n80\n", "a place that is named is the place");
    daemon.stop().unwrap();
}

#[test]
fn names_of_the_configuration_stand_in_every_form_of_a_log_that_has_ids_alone() {
    let directory = lab();
    let (plan, _) = vswitch::config::Config::parse(LAB, "test").unwrap();
    let (vpc, port) = (plan.vpcs[0].id, plan.ports[1].id);
    fs::create_dir(directory.path().join("flowlogs")).unwrap();
    let text = format!(
        "interface_id,vpc_id,src_addr,dst_addr,direction,filter\n{port},{vpc},10.77.1.1,10.77.1.2,ingress,DROP\n"
    );
    fs::write(directory.path().join("flowlogs/a.csv"), text).unwrap();
    let logs = ["logs", "flowlogs", "--config", "lab.yaml"];
    let of = |more: &[&str]| run(directory.path(), &[&logs[..], more].concat()).1;
    let names = ["--csv", "--fields", "interface_name,peer_name,filter"];
    assert_eq!(
        of(&names),
        "interface_name,peer_name,filter\nvm2,vm1,DROP\n"
    );
    let json: serde_json::Value = serde_json::from_str(&of(&["--json"])).unwrap();
    assert_eq!(
        (&json["interface_name"], &json["peer_name"]),
        (&"vm2".into(), &"vm1".into())
    );
    let lines = of(&[]);
    let line = lines.lines().nth(1).unwrap();
    assert!(line.contains("vm2         ingress    vm1 "), "{lines}");
    let (code, _, err) = run(
        directory.path(),
        &["logs", "flowlogs", "--fields", "filter"],
    );
    assert!(code == 2 && err.contains("--csv or --json"), "{err}");
    let (code, _, err) = run(
        directory.path(),
        &["logs", "flowlogs", "--csv", "--fields", "colour"],
    );
    assert!(code == 2 && err.contains("`colour` is neither"), "{err}");
}

#[test]
fn columns_that_the_first_record_does_not_have_are_not_lost_without_a_word() {
    let directory = lab();
    fs::write(directory.path().join("a.csv"), "packets\n1\n").unwrap();
    fs::write(directory.path().join("b.csv"), "packets,reason\n2,rule\n").unwrap();
    let (_, out, err) = run(directory.path(), &["logs", "a.csv", "b.csv", "--csv"]);
    assert_eq!(out, "packets\n1\n2\n");
    assert!(
        err.contains("1 records have fields") && err.contains("reason"),
        "{err}"
    );
}

#[test]
fn exactly_the_expected_flows_end_with_0_and_any_other_with_their_difference_and_1() {
    let directory = lab();
    let log = "timestamp_start,interface_name,direction,protocol,dst_port,filter,packets\n\
               1,web,ingress,6,80,ACCEPT,6\n61,web,ingress,6,80,ACCEPT,4\n61,web,ingress,6,22,DROP,1\n";
    fs::write(directory.path().join("log.csv"), log).unwrap();
    let expect = |text: &str, more: &[&str]| {
        fs::write(directory.path().join("expected"), text).unwrap();
        let words = [&["logs", "log.csv", "--expect", "expected"], more].concat();
        run(directory.path(), &words)
    };
    let columns = "interface_name,dst_port,filter";
    // Times and counters count only where they are named, and times not even then.
    let (code, out, err) = expect(&format!("{columns}\nweb,22,DROP\nweb,80,ACCEPT\n"), &[]);
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (0, "as expected: 2 flows in 3 records\n", "")
    );
    assert_eq!(
        expect(log, &[]).0,
        0,
        "what was printed is what is expected"
    );
    let (code, out, err) = expect(&format!("{columns}\nweb,80,ACCEPT\nweb,22,ACCEPT\n"), &[]);
    let difference =
        format!("--- expected\n+++ found in 3 records\n {columns}\n-web,22,ACCEPT\n+web,22,DROP\n");
    assert_eq!((code, out), (1, difference));
    assert_eq!(
        err,
        "vswitch: not as expected: 1 flows are missing; 1 are not expected\n"
    );
    let (code, out, _) = expect("dst_port,packets\n80,9\n22,1\n", &[]);
    assert!(code == 1 && out.ends_with("\n-80,9\n+80,10\n"), "{out}");
    let json = "{\"protocol\":\"tcp\",\"filter\":\"DROP\"}\n{\"dst_port\":80,\"packets\":10}\n";
    assert_eq!(expect(json, &[]).0, 0);
    let (code, out, _) = expect("{\"dst_port\":80}\n", &["--json"]);
    assert_eq!(code, 1);
    assert_eq!(
        out,
        "{\"found\":{\"dst_port\":22}}\n{\"flows\":1,\"met\":false,\"records\":3}\n"
    );
    // A filter narrows what is compared; no flow at all can be expected too.
    assert_eq!(expect("dst_port\n22\n", &["--verdict", "DROP"]).0, 0);
    assert_eq!(expect("dst_port\n", &["--address", "10.9.9.9"]).0, 0);
    let (code, _, err) = expect("dst_port,reason\n22,default_deny\n80,rule\n", &[]);
    assert!(
        code == 1 && err.contains("records without the field reason"),
        "{err}"
    );
    for wrong in [
        "",
        "colour\n1\n",
        "{\"colour\":1}\n",
        "{oops\n",
        "packets\n1\n",
    ] {
        let (code, out, err) = expect(wrong, &[]);
        assert_eq!((code, out.as_str()), (2, ""), "{wrong}");
        assert!(err.contains("expected"), "{err}");
    }
}

#[test]
fn nothing_that_a_file_holds_acts_on_the_terminal_or_forges_a_row() {
    let directory = lab();
    let evil = "a\u{1b}[2J\u{9b}31m\u{202e}b";
    let text = format!(
        "interface_name,direction,filter,src_addr,packets,reason\n{evil},{evil},{evil},10.0.0.1,1,\"{evil},x\"\n"
    );
    let name = "e\u{1b}]0;pwned\u{7}.csv";
    fs::write(directory.path().join(name), text).unwrap();
    fs::write(directory.path().join("c.csv"), format!("{evil}\n")).unwrap();
    fs::write(directory.path().join("v.csv"), format!("packets\n{evil}\n")).unwrap();
    let acts = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
    for form in [
        &[][..],
        &["--csv"],
        &["--json"],
        &["--summary"],
        &["--summary", "--json"],
        &["--sort", "port"],
    ] {
        let words = [&["logs", name, "c.csv", "v.csv"], form].concat();
        let (code, out, err) = run(directory.path(), &words);
        assert_eq!(code, 1, "{form:?}: {err}");
        assert!(!out.is_empty() && !out.contains(acts), "{form:?}: {out:?}");
        assert!(
            err.contains("c.csv") && !err.contains(acts),
            "{form:?}: {err:?}"
        );
    }
    let (_, out, _) = run(directory.path(), &["logs", name, "--csv"]);
    assert_eq!(out.lines().count(), 2);
    assert!(
        out.ends_with(",1,\"a\\u{1b}[2J\\u{9b}31m\\u{202e}b,x\"\n"),
        "{out}"
    );
    let (_, out, _) = run(directory.path(), &["logs", name, "--json"]);
    let row: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(row["interface_name"], evil, "JSON keeps the value");
    let (code, _, err) = run(directory.path(), &["logs", "gone\u{1b}[2J"]);
    assert!(code == 2 && !err.contains(acts), "{err:?}");
}

#[test]
fn several_files_in_one_are_read_compressed_ones_too() {
    use flate2::{Compression, write::GzEncoder};
    let directory = lab();
    let packed = |text: &str| {
        let mut file = GzEncoder::new(Vec::new(), Compression::fast());
        file.write_all(text.as_bytes()).unwrap();
        file.finish().unwrap()
    };
    let files = [
        "\u{feff}packets\r\n1\r\n",
        "packets,reason\n2,rule\n",
        "packets\n3\n",
    ];
    let joined = files.map(packed).concat();
    fs::write(directory.path().join("all.csv.gz"), joined).unwrap();
    fs::write(directory.path().join("all.csv"), files.concat()).unwrap();
    for file in ["all.csv.gz", "all.csv"] {
        let arguments = ["logs", file, "--csv", "--fields", "packets,reason"];
        let (code, out, err) = run(directory.path(), &arguments);
        assert_eq!((code, err.as_str()), (0, ""), "{file}");
        assert_eq!(out, "packets,reason\n1,\n2,rule\n3,\n", "{file}");
    }
}
