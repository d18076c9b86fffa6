//! The control socket of a running daemon. The daemon has no ports, so that no rights are needed.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use vswitch::config::Config;
use vswitch::control::{
    CLIENTS_MAX, ConnectionSelect, FOLLOWERS_MAX, Listing, Reply, Request, Select, Server, Session,
    SessionError, SocketError, ask,
};
use vswitch::run::Daemon;

struct Running {
    daemon: Daemon,
    server: Option<Server>,
    socket: PathBuf,
    directory: TempDir,
}

fn running() -> Running {
    let directory = tempfile::tempdir().unwrap();
    let text = format!(
        "region: KR1\nstate_dir: {0}/state\nvpcs: [{{ name: lab }}]\nsubnets: [{{ name: app, vpc: lab, cidr: 10.0.0.0/24 }}]\n\
         security_groups: [{{ name: web, rules: [] }}]\nports: [{{ name: vm1, instance: vm1, subnet: app, fixed_ips: [10.0.0.1], tap: {{ name: t1 }} }}]\nconntrack: {{ limit: 1024 }}\n",
        directory.path().display()
    );
    let (mut plan, _) = Config::parse(&text, "test").unwrap();
    plan.ports.clear();
    let daemon = Daemon::start(plan, "test").unwrap();
    let socket = directory.path().join("control.sock");
    let server = Some(Server::start(&socket, daemon.shared()).unwrap());
    Running {
        daemon,
        server,
        socket,
        directory,
    }
}

fn raw(socket: &Path, line: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(line.as_bytes()).unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    answer
}

#[test]
fn every_request_is_answered_in_kind() {
    let running = running();
    let answer = |request| ask(&running.socket, &request).unwrap();
    assert_eq!(
        answer(Request::Ports(Select::default())),
        Reply::Ports(Listing::all(Vec::new()))
    );
    assert_eq!(
        answer(Request::Fdb(Select::default())),
        Reply::Fdb(Listing::all(Vec::new()))
    );
    assert_eq!(
        answer(Request::Connections(ConnectionSelect::default())),
        Reply::Connections(Listing::all(Vec::new()))
    );
    assert_eq!(
        answer(Request::Flows(Select::default())),
        Reply::Flows(Listing::all(Vec::new()))
    );
    assert_eq!(
        answer(Request::Drops(Select::default())),
        Reply::Drops(Listing::all(Vec::new()))
    );
    assert_eq!(
        answer(Request::Loggers),
        Reply::Loggers(Listing::all(Vec::new()))
    );
    let Reply::Status(status) = answer(Request::Status) else {
        panic!("not the status")
    };
    assert_eq!((status.connections, status.connections_max), (0, 1024));
    assert!(status.uptime_s < 600);
    assert_eq!(
        answer(Request::Audit),
        Reply::Audit(Listing::all(Vec::new()))
    );
    let Reply::Groups(groups) = answer(Request::Groups(Select::default())) else {
        panic!("not the groups")
    };
    let web = groups
        .rows
        .iter()
        .find(|group| group.name == "web")
        .unwrap();
    assert_eq!(
        web.rules,
        ["egress IPv4 any to any", "egress IPv6 any to any"]
    );
    running.daemon.stop().unwrap();
}

#[test]
fn what_cannot_be_answered_is_told_in_words() {
    let running = running();
    let refused = |request| match ask(&running.socket, &request) {
        Err(SessionError::Refused(words)) => words,
        other => panic!("{other:?}"),
    };
    let trace = Request::Trace {
        port: "vm1".into(),
        packet: "tcp 1.2.3.4:5 > 1.2.3.5:6".into(),
    };
    assert!(refused(trace).contains("no port `vm1`"));
    let select = Select {
        port: Some("vm1".into()),
        ..Select::default()
    };
    assert!(refused(Request::Flows(select)).contains("no port `vm1`"));
    assert!(raw(&running.socket, "GET / HTTP/1.1\r\n").contains("not understood"));
    assert!(raw(&running.socket, "{\"flows\":{\"limit\":-1}}\n").contains("error"));
    running.daemon.stop().unwrap();
}

#[test]
fn clients_that_say_nothing_keep_nobody_else_waiting() {
    let running = running();
    let _silent: Vec<_> = (0..CLIENTS_MAX - 1)
        .map(|_| UnixStream::connect(&running.socket).unwrap())
        .collect();
    let mut dribbling = UnixStream::connect(&running.socket).unwrap();
    dribbling.write_all(b"\"au").unwrap();
    // Too many now: the next is told so at once.
    let began = Instant::now();
    assert!(raw(&running.socket, "\"audit\"\n").contains("clients are connected already"));
    drop(dribbling);
    let answered = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        ask(&running.socket, &Request::Audit).is_ok()
    });
    assert!(answered && began.elapsed() < Duration::from_secs(3));
    running.daemon.stop().unwrap();
}

#[test]
fn followers_leave_room_for_questions_and_end_with_the_server() {
    let mut running = running();
    let mut followers: Vec<Session> = (0..FOLLOWERS_MAX)
        .map(|_| Session::ask(&running.socket, &Request::Follow).unwrap())
        .collect();
    let refused = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        let mut one_more = UnixStream::connect(&running.socket).unwrap();
        one_more.write_all(b"\"follow\"\n").unwrap();
        one_more
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let mut word = [0; 8];
        one_more
            .read(&mut word)
            .is_ok_and(|len| word[..len].starts_with(b"{\"error"))
    });
    assert!(refused, "one follower too many was let in");
    assert!(ask(&running.socket, &Request::Audit).is_ok());

    let began = Instant::now();
    drop(running.server.take());
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    assert!(
        followers
            .iter_mut()
            .all(|follower| matches!(follower.reply(), Ok(None) | Err(SessionError::Broken(_))))
    );
    assert!(!running.socket.exists());
    running.daemon.stop().unwrap();
}

#[test]
fn a_second_daemon_does_not_take_the_socket_of_a_live_one() {
    let running = running();
    let error = Server::start(&running.socket, Arc::clone(&running.daemon.shared())).unwrap_err();
    assert!(matches!(error, SocketError::Live(_)), "{error}");
    assert!(ask(&running.socket, &Request::Loggers).is_ok());
    drop(running.server);
    assert!(matches!(
        ask(&running.socket, &Request::Loggers),
        Err(SessionError::NoDaemon { .. })
    ));
    running.daemon.stop().unwrap();
    drop(running.directory);
}

/// Between two slices of a long answer a worker is never passed over, however soon the next slice comes.
#[test]
fn a_worker_that_waits_has_the_switch_before_the_next_slice() {
    let running = running();
    let shared = running.daemon.shared();
    let worked = AtomicBool::new(false);
    std::thread::scope(|threads| {
        shared.slice(|_| {
            let (tell, worker) = std::sync::mpsc::channel();
            let (worked, shared) = (&worked, &shared);
            threads.spawn(move || {
                tell.send(std::fs::read_link("/proc/thread-self").unwrap())
                    .unwrap();
                let _switch = shared.switch.lock();
                worked.store(true, Ordering::Release);
            });
            let status = Path::new("/proc").join(worker.recv().unwrap());
            // A thread may sleep for a moment on its way to the lock; there it sleeps on.
            let mut looks = 0;
            while looks < 20 {
                looks = if is_asleep(&status) { looks + 1 } else { 0 };
                std::thread::sleep(Duration::from_millis(1));
            }
            assert!(!worked.load(Ordering::Acquire));
        });
        // The daemon's own worker may have waited before it: then that one has the switch first, and
        // whoever comes after the worker may be passed over once. Three slices take a microsecond.
        let has_worked = |_: &mut _| worked.load(Ordering::Acquire);
        assert!((0..3).any(|_| shared.slice(has_worked)));
    });
    running.daemon.stop().unwrap();
}

/// Whether a thread, by its directory below `/proc`, waits for something.
fn is_asleep(thread: &Path) -> bool {
    let stat = std::fs::read_to_string(thread.join("stat")).unwrap();
    // Behind the name, which may hold anything but ends at the last parenthesis.
    stat.rsplit_once(") ").unwrap().1.starts_with('S')
}

#[test]
fn connections_are_chosen_by_words_and_what_is_no_word_is_told() {
    let running = running();
    let flush = |connections, all| ask(&running.socket, &Request::Flush { connections, all });
    assert_eq!(
        flush(ConnectionSelect::default(), true).unwrap(),
        Reply::Flushed(0)
    );
    let everything = flush(ConnectionSelect::default(), false).unwrap_err();
    assert!(everything.to_string().contains("`all`"), "{everything}");
    let of_lab = ConnectionSelect {
        network: Some("lab".into()),
        protocol: Some("TCP".into()),
        state: Some("cookie_wait".into()),
        address: Some("10.0.0.0/24".parse().unwrap()),
        tuple: Some("tcp 10.0.0.1:1 > 10.0.0.2:2".into()),
        ..ConnectionSelect::default()
    };
    assert_eq!(flush(of_lab.clone(), false).unwrap(), Reply::Flushed(0));
    assert!(flush(of_lab.clone(), true).is_err());
    assert_eq!(
        ask(&running.socket, &Request::Connections(of_lab)).unwrap(),
        Reply::Connections(Listing::all(Vec::new()))
    );
    let wrong = [
        (
            r#"{"connections":{"port":"vm9"}}"#,
            "there is no port `vm9`",
        ),
        (
            r#"{"connections":{"network":"net9"}}"#,
            "there is no VPC and no subnet `net9`",
        ),
        (
            r#"{"connections":{"protocol":"any"}}"#,
            "`any` is no protocol",
        ),
        (
            r#"{"connections":{"state":"open_wide"}}"#,
            "`open_wide` is no state; write one of ",
        ),
        (r#"{"connections":{"tuple":"tcp 1 > 2"}}"#, "is no packet"),
        (
            r#"{"connections":{"tuple":"eth 0x88cc"}}"#,
            "belongs to no connection",
        ),
        (r#"{"flush":{}}"#, "say which connections are meant"),
    ];
    for (line, words) in wrong {
        let answer = raw(&running.socket, &format!("{line}\n"));
        assert!(answer.contains(words), "{line}: {answer}");
    }
    drop(running.server);
    running.daemon.stop().unwrap();
}
