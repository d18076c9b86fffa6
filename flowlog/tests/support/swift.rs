//! OpenStack Swift with its S3 door, started by a test on the loopback.
//!
//! Needs root and the Debian packages swift-proxy, swift-account, swift-container, swift-object and
//! memcached (`--no-install-recommends`).

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

pub const USER: &str = "test:tester";
pub const KEY: &str = "testing";
pub const REGION: &str = "KR1";
pub const CONTAINER: &str = "flowlogs";

/// How long the servers get to answer.
const START: Duration = Duration::from_secs(60);

/// What has to be installed.
const PROGRAMS: [&str; 5] = [
    "swift-proxy-server",
    "swift-account-server",
    "swift-container-server",
    "swift-object-server",
    "memcached",
];

/// Why it cannot be started here, if it cannot.
pub fn absent() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("Swift needs root here".into());
    }
    let folders = std::env::var("PATH").unwrap_or_default();
    let is_there = |program: &&str| {
        let mut folders = folders.split(':');
        folders.any(|folder| Path::new(folder).join(program).exists())
    };
    let program = PROGRAMS.iter().find(|program| !is_there(program))?;
    Some(format!("{program} is not installed"))
}

/// The running servers; gone with the test.
pub struct Swift {
    dir: tempfile::TempDir,
    servers: Vec<Child>,
    pub port: u16,
}

impl Drop for Swift {
    fn drop(&mut self) {
        // Without workers (`workers = 0`) a server is one process.
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

impl Swift {
    pub fn start() -> Self {
        // Not in memory: objects carry extended attributes.
        let dir = tempfile::tempdir().unwrap();
        let [account, container, object, cache, proxy] = free_ports();
        let mut swift = Self {
            dir,
            servers: Vec::new(),
            port: proxy,
        };
        fs::create_dir_all(swift.path("srv/d1")).unwrap();
        let cached = ["-u", "root", "-l", "127.0.0.1", "-m", "16", "-p"];
        swift.run("memcached", &[&cached[..], &[&cache.to_string()]].concat());
        let kinds = [
            ("account", account),
            ("container", container),
            ("object", object),
        ];
        swift.build_rings(kinds);
        for (kind, port) in kinds {
            let config = swift.write(&format!("{kind}.conf"), &swift.storage_config(kind, port));
            swift.run(&format!("swift-{kind}-server"), &[&config]);
        }
        let config = swift.write("proxy.conf", &swift.proxy_config(cache));
        swift.run("swift-proxy-server", &[&config]);
        swift.wait();
        swift
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn run(&mut self, program: &str, arguments: &[&str]) {
        let log = fs::File::create(self.path(&format!("{program}.log"))).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .stdout(Stdio::from(log.try_clone().unwrap()))
            .stderr(Stdio::from(log))
            .spawn();
        self.servers.push(child.unwrap());
    }

    /// By one process: nine of `swift-ring-builder` take longer than all the rest.
    fn build_rings(&self, kinds: [(&str, u16); 3]) {
        let mut script = String::from("from swift.common.ring import RingBuilder\n");
        for (kind, port) in kinds {
            let ring = self.path(&format!("{kind}.ring.gz"));
            script.push_str(&format!(
                "b = RingBuilder(4, 1, 0)\n\
                 b.add_dev(dict(region=1, zone=1, ip='127.0.0.1', port={port}, device='d1', weight=1))\n\
                 b.rebalance()\n\
                 b.get_ring().save('{}')\n",
                ring.display()
            ));
        }
        // The system's own: that is where the packages are.
        let output = Command::new("/usr/bin/python3")
            .args(["-c", &script])
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn storage_config(&self, kind: &str, port: u16) -> String {
        let (etc, srv) = (self.dir.path().display(), self.path("srv"));
        format!(
            "[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {port}\nworkers = 0\nuser = root\n\
             swift_dir = {etc}\ndevices = {}\nmount_check = false\n\
             [pipeline:main]\npipeline = {kind}-server\n\
             [app:{kind}-server]\nuse = egg:swift#{kind}\n",
            srv.display()
        )
    }

    fn proxy_config(&self, cache: u16) -> String {
        let mut text = format!(
            "[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {}\nworkers = 0\nuser = root\nswift_dir = {}\n\
             [pipeline:main]\npipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk \
             s3api tempauth copy slo dlo versioned_writes symlink proxy-server\n\
             [app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n\
             error_suppression_limit = 1000000\n\
             [filter:tempauth]\nuse = egg:swift#tempauth\nuser_test_tester = {KEY} .admin .reseller_admin\n\
             [filter:s3api]\nuse = egg:swift#s3api\nlocation = {REGION}\n\
             [filter:cache]\nuse = egg:swift#memcache\nmemcache_servers = 127.0.0.1:{cache}\n\
             [filter:versioned_writes]\nuse = egg:swift#versioned_writes\nallow_versioned_writes = true\n",
            self.port,
            self.dir.path().display()
        );
        let plain = "catch_errors gatekeeper healthcheck listing_formats bulk copy slo dlo symlink";
        for filter in plain.split(' ') {
            text.push_str(&format!("[filter:{filter}]\nuse = egg:swift#{filter}\n"));
        }
        text
    }

    /// Until the proxy and what stands behind it answer.
    fn wait(&mut self) {
        let start = Instant::now();
        loop {
            if self
                .token()
                .is_some_and(|(token, path)| self.is_ready(&token, &path))
            {
                return;
            }
            assert!(start.elapsed() < START, "no answer: {}", self.logs());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Makes the container, and an object in it that does not stay: every server has answered then.
    fn is_ready(&self, token: &str, account: &str) -> bool {
        let container = format!("{account}/{CONTAINER}");
        let object = format!("{container}/ready");
        let steps = [("PUT", &container), ("PUT", &object), ("DELETE", &object)];
        let mut steps = steps.iter();
        steps.all(|(method, path)| self.call(method, path, token).0 / 100 == 2)
    }

    pub fn logs(&self) -> String {
        let read = |program: &&str| fs::read_to_string(self.path(&format!("{program}.log")));
        PROGRAMS
            .iter()
            .filter_map(|program| read(program).ok())
            .collect()
    }

    /// A token of Swift's own door, and the path of the account.
    pub fn token(&self) -> Option<(String, String)> {
        let login = format!("X-Auth-User: {USER}\r\nX-Auth-Key: {KEY}\r\n");
        let (status, head, _) = self.exchange("GET", "/auth/v1.0", &login)?;
        let header = |name: &str| {
            let line = head
                .lines()
                .find(|line| line.to_lowercase().starts_with(name))?;
            Some(line.split_once(": ")?.1.to_owned())
        };
        let url = header("x-storage-url:")?;
        let (_, path) = url.split_once("/v1/")?;
        (status == 200).then_some((header("x-auth-token:")?, format!("/v1/{path}")))
    }

    pub fn call(&self, method: &str, path: &str, token: &str) -> (u16, Vec<u8>) {
        let header = format!("X-Auth-Token: {token}\r\n");
        let answer = self.exchange(method, path, &header);
        answer.map_or((0, Vec::new()), |(status, _, body)| (status, body))
    }

    fn exchange(&self, method: &str, path: &str, headers: &str) -> Option<(u16, String, Vec<u8>)> {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n"
        );
        connection.write_all(request.as_bytes()).ok()?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).ok()?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
        let body = answer.split_off(end + 4);
        let head = String::from_utf8(answer).ok()?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, head, body))
    }
}

fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
