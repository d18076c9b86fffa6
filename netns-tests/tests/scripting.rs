//! What scripts do with the program: wait for it, run several at once, without root, have it reload, kill it.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use netns_tests::{Done, Plan, binary::vswitch, eventually, rules::ping_in, run};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};
use tap::Netns;

/// How long a script may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// A user without rights.
const NOBODY: &str = "65534";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn example() -> PathBuf {
    repository().join("examples/lab-in-a-script.sh")
}

/// Runs `script` as a user without rights, as root of a user namespace with mounts and network of its own.
/// `/dev/net/tun` has the mode that udev gives it.
fn without_root(script: &str) -> Done {
    // The program may lie in a folder that only root may enter.
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("vswitch");
    fs::copy(vswitch(), &program).unwrap();
    fs::copy(example(), dir.path().join("example.sh")).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(dir.path(), open).unwrap();
    let prepare = format!(
        "mount -t tmpfs tmpfs /dev/net && mknod -m 0666 /dev/net/tun c 10 200 && cd {dir} && \
         exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups \
         env VSWITCH={dir}/vswitch TMPDIR=/tmp unshare -Urnm bash -c \"$0\"",
        dir = dir.path().display()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "bash", "-c", &prepare, script]);
    run(None, &mut command, "", PATIENCE)
}

#[test]
fn the_example_of_a_script_runs_twice_at_once() {
    let script = || {
        let mut command = Command::new("bash");
        run(
            None,
            command.arg(example()).env("VSWITCH", vswitch()),
            "",
            PATIENCE,
        )
    };
    thread::scope(|scope| {
        let both = [scope.spawn(script), scope.spawn(script)];
        for done in both.map(|thread| thread.join().unwrap()) {
            let said = done.ok();
            assert!(said.ends_with("as expected\n"), "{said}");
        }
    });
}

#[test]
fn the_example_of_a_script_is_about_thirty_lines() {
    let text = fs::read_to_string(example()).unwrap();
    assert!(text.lines().count() <= 40, "{}", text.lines().count());
}

#[test]
fn a_user_without_rights_runs_a_lab_in_a_namespace_of_their_own() {
    let done = without_root("mount -t tmpfs tmpfs /run && exec ./example.sh");
    let said = done.ok();
    assert!(said.ends_with("as expected\n"), "{said}");
}

#[test]
fn the_first_configuration_runs_as_it_is() {
    let first = repository().join("configs/first.yaml");
    assert_eq!(fs::read_to_string(&first).unwrap().lines().count(), 4);
    // Namespaces of its own: it names its guests vm1 and vm2, as a user's own lab may.
    let script = format!(
        "mount -t tmpfs tmpfs /run && cd $(mktemp -d) && mkfifo ready && \
         {{ '{vswitch}' run '{first}' --control-socket ./c --state-dir ./s --ready-fd 3 3> ready & }} && \
         read -r line < ready && [ \"$line\" = READY ] && ip netns exec vm1 ping -c 1 -W 5 10.77.1.12; \
         code=$?; kill %1; wait; exit $code",
        vswitch = vswitch().display(),
        first = first.display()
    );
    let mut command = Command::new("unshare");
    let done = run(
        None,
        command.args(["--mount", "--net", "bash", "-c", &script]),
        "",
        PATIENCE,
    );
    let said = done.ok();
    assert!(said.contains("1 received"), "{said}");
}

#[test]
fn reload_answers_with_what_it_changed_or_why_not() {
    let plan = Plan::new().group("ping", &[ping_in()]);
    let lab = plan.guest("a", &["ping"]).guest("b", &["ping"]).start();
    let socket = lab.dir().join("control.sock");
    let socket = socket.to_str().unwrap();
    let reload = || lab.vswitch(&["reload", "--socket", socket]);
    let said = reload().ok();
    assert!(said.contains("nothing differs"), "{said}");

    let config = lab.config();
    let before = fs::read_to_string(&config).unwrap();
    fs::write(
        &config,
        before
            .replace("name: ping", "name: pong")
            .replace("[ping]", "[pong]"),
    )
    .unwrap();
    let said = reload().ok();
    for line in [
        "added    security group pong",
        "removed  security group ping",
        "changed  port ",
    ] {
        assert!(said.contains(line), "{said}");
    }

    for (wrong, why) in [
        (before.replace("ports:", "prots:"), "unknown key `prots`"),
        (format!("workers: 3\n{before}"), "`workers` cannot change"),
    ] {
        fs::write(&config, wrong).unwrap();
        let done = reload();
        assert_eq!(done.code, Some(1), "{}", done.stdout);
        assert!(done.stderr.contains(why), "{}", done.stderr);
    }
    fs::write(&config, &before).unwrap();
    let json: serde_json::Value =
        serde_json::from_str(&lab.vswitch(&["reload", "--json", "--socket", socket]).ok()).unwrap();
    assert_eq!(json["removed"][0], "security group pong");
}

#[test]
fn wait_ends_when_all_ports_are_up_and_names_those_that_are_not() {
    let plan = Plan::new().group("ping", &[ping_in()]);
    let mut lab = plan.guest("a", &["ping"]).prepare();
    let socket = lab.dir().join("control.sock");
    let socket = socket.to_str().unwrap().to_owned();
    let waiting = Command::new(vswitch())
        .args(["wait", "--control-socket", &socket])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    lab.start_daemon();
    let waited = waiting.wait_with_output().unwrap();
    assert!(
        waited.status.success(),
        "{}",
        String::from_utf8_lossy(&waited.stderr)
    );

    let done = lab.vswitch(&[
        "wait",
        "--timeout",
        "0",
        "--port",
        "nosuch",
        "--socket",
        &socket,
    ]);
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("nosuch"), "{}", done.stderr);
    lab.end();
    let done = lab.vswitch(&["wait", "--timeout", "0", "--socket", &socket]);
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("no daemon answers"), "{}", done.stderr);
}

#[test]
fn what_a_kill_leaves_the_next_start_takes_over_and_removes() {
    let dir = tempfile::tempdir().unwrap();
    let name = format!("vst-{}-killed", std::process::id());
    let netns = Netns::named(&name).unwrap();
    let text =
        format!("ports: [{{ name: a, fixed_ips: [10.77.1.11], tap: {{ netns: {name} }} }}]\n");
    fs::write(dir.path().join("lab.yaml"), text).unwrap();
    let start = || {
        let mut daemon = Command::new(vswitch())
            .args(["run", "lab.yaml"])
            .current_dir(dir.path())
            .env("VSWITCH_CONTROL_SOCKET", "./c.sock")
            .env("VSWITCH_STATE_DIR", "./state")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let ready = || {
            let mut wait = Command::new(vswitch());
            wait.args(["wait", "--timeout", "0"])
                .env("VSWITCH_CONTROL_SOCKET", "./c.sock");
            run(None, wait.current_dir(dir.path()), "", PATIENCE).code == Some(0)
        };
        eventually("the daemon is ready", || {
            ready() || daemon.try_wait().unwrap().is_some()
        });
        daemon
    };
    let mut killed = start();
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(netns.exists() && dir.path().join("c.sock").exists());
    let next = start();
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&next),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    assert!({ next }.wait().unwrap().success());
    assert!(!netns.exists() && !dir.path().join("c.sock").exists());
}
