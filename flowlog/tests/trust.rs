//! Whose certificate is trusted, what is told of one that is not, and by which proxy a store is reached;
//! with certificates of OpenSSL, real handshakes and a real proxy.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod support;

use flowlog::{Bucket, Cause, Objects};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    thread,
};
use support::*;

const NAMES: &str = "subjectAltName=IP:127.0.0.1,DNS:localhost";

/// A folder of certificates.
struct Workshop {
    dir: TempDir,
}

/// How a certificate is made.
#[derive(Clone, Copy)]
struct Certificate {
    name: &'static str,
    /// Lines of its extensions.
    extensions: &'static [&'static str],
    years: [u16; 2],
    /// By another certificate; by itself where none is named.
    signed_by: Option<&'static str>,
}

const AUTHORITY: Certificate = Certificate {
    name: "authority",
    extensions: &["basicConstraints=critical,CA:TRUE"],
    years: [2020, 2045],
    signed_by: None,
};

const SERVER: Certificate = Certificate {
    name: "server",
    extensions: &[NAMES, "basicConstraints=CA:FALSE"],
    years: [2020, 2045],
    signed_by: Some("authority"),
};

impl Workshop {
    /// With an authority; `None` where OpenSSL is missing.
    fn new() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            eprintln!("skipped: there is no openssl");
            return None;
        }
        let workshop = Self {
            dir: TempDir::new().unwrap(),
        };
        let config = "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nnew_certs_dir=.\nrand_serial=yes\n\
                      policy=p\ndefault_md=sha256\nunique_subject=no\n[p]\ncommonName=supplied\n";
        fs::write(workshop.path("ca.cnf"), config).unwrap();
        fs::write(workshop.path("index.txt"), "").unwrap();
        workshop.make(AUTHORITY);
        Some(workshop)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn pem(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.pem"))
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        command
            .args(arguments.split(' '))
            .current_dir(self.dir.path());
        let done = command.output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{arguments}: {said}");
    }

    fn make(&self, of: Certificate) {
        let Certificate {
            name,
            extensions,
            years: [from, to],
            signed_by,
        } = of;
        fs::write(self.path(&format!("{name}.ext")), extensions.join("\n")).unwrap();
        self.openssl(&format!(
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"
        ));
        let signer = match signed_by {
            Some(signer) => format!("-cert {signer}.pem -keyfile {signer}.key"),
            None => format!("-selfsign -keyfile {name}.key"),
        };
        self.openssl(&format!(
            "ca -batch -notext -config ca.cnf -in {name}.csr -out {name}.pem -extfile {name}.ext \
             -startdate {from}0101000000Z -enddate {to}0101000000Z {signer}"
        ));
    }

    /// A store with this certificate, which answers every request with an empty listing.
    fn serve(&self, name: &str) -> String {
        use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
        let certificates = CertificateDer::pem_file_iter(self.pem(name)).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).unwrap();
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(certificates.map(Result::unwrap).collect(), key);
        let config = Arc::new(config.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = rustls::StreamOwned::new(session, connection);
                if stream.read(&mut [0; 1 << 16]).is_ok() {
                    let _ = stream.write_all(&listing());
                }
            }
        });
        format!("https://127.0.0.1:{port}")
    }

    /// What reading the bucket of a store says; `Ok` for a store that is trusted.
    fn ask(&self, endpoint: &str, ca_file: Option<&str>) -> Result<(), (Cause, String)> {
        write_keys(self.dir.path());
        let bucket = Bucket {
            ca_file: ca_file.map(|name| self.pem(name)),
            ..bucket(endpoint, self.dir.path())
        };
        ask(&bucket)
    }
}

fn ask(bucket: &Bucket) -> Result<(), (Cause, String)> {
    let listing = Objects::new(bucket).and_then(|objects| objects.list(1, |_| {}));
    listing
        .map(drop)
        .map_err(|error| (error.cause, error.to_string()))
}

fn listing() -> Vec<u8> {
    let body = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[test]
fn a_certificate_that_is_named_is_trusted_as_authority_and_as_the_stores_own() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    workshop.make(SERVER);
    assert_eq!(
        workshop.ask(&workshop.serve("server"), Some("authority")),
        Ok(())
    );
    for (name, basic) in [
        ("own-ca", "basicConstraints=critical,CA:TRUE"),
        ("own-no-ca", "basicConstraints=CA:FALSE"),
    ] {
        let extensions: &'static [&'static str] = Box::leak(Box::new([NAMES, basic]));
        workshop.make(Certificate {
            name,
            extensions,
            signed_by: None,
            ..SERVER
        });
        assert_eq!(
            workshop.ask(&workshop.serve(name), Some(name)),
            Ok(()),
            "{name}"
        );
    }
    // Signed by an authority that is not named.
    assert_eq!(
        workshop.ask(&workshop.serve("server"), Some("server")),
        Ok(())
    );
    workshop.make(Certificate {
        name: "over",
        years: [2020, 2021],
        ..SERVER
    });
    let expired = workshop.ask(&workshop.serve("over"), Some("over"));
    assert!(expired.unwrap_err().1.contains("expired"));
    let elsewhere = Certificate {
        name: "elsewhere",
        extensions: &[
            "subjectAltName=DNS:other.example",
            "basicConstraints=CA:FALSE",
        ],
        ..SERVER
    };
    workshop.make(elsewhere);
    let other = workshop.ask(&workshop.serve("elsewhere"), Some("elsewhere"));
    assert!(other.unwrap_err().1.contains("other.example"));
    // The address by its name.
    let endpoint = workshop.serve("own-ca").replace("127.0.0.1", "localhost");
    assert_eq!(workshop.ask(&endpoint, Some("own-ca")), Ok(()));
}

#[test]
fn every_failure_of_a_certificate_has_a_remedy_of_its_own() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    workshop.make(Certificate {
        name: "stranger",
        ..AUTHORITY
    });
    let own = Certificate {
        signed_by: None,
        ..SERVER
    };
    let ca = &["basicConstraints=critical,CA:TRUE", NAMES][..];
    let other = &["subjectAltName=DNS:other.example,IP:10.1.2.3"][..];
    let other_ca = &[
        "subjectAltName=DNS:other.example",
        "basicConstraints=CA:TRUE",
    ][..];
    let none = &["basicConstraints=CA:FALSE"][..];
    let client = &[NAMES, "extendedKeyUsage=clientAuth"][..];
    let cases = [
        (
            Certificate {
                name: "expired",
                years: [2020, 2021],
                ..SERVER
            },
            Some("authority"),
            "expired on 2021-01-01T00:00:00Z; renew it",
        ),
        (
            Certificate {
                name: "early",
                years: [2044, 2045],
                ..SERVER
            },
            Some("authority"),
            "is not valid before 2044-01-01T00:00:00Z; set this host's clock",
        ),
        (
            Certificate {
                name: "other",
                extensions: other,
                ..SERVER
            },
            Some("authority"),
            "not for 127.0.0.1; write one of these names in endpoint",
        ),
        (
            Certificate {
                name: "nameless",
                extensions: none,
                ..SERVER
            },
            Some("authority"),
            "has no subject alternative name",
        ),
        (
            Certificate {
                name: "unknown",
                signed_by: Some("stranger"),
                ..SERVER
            },
            Some("authority"),
            "is not signed by an authority of ",
        ),
        (
            Certificate {
                name: "unknown-too",
                signed_by: Some("stranger"),
                ..SERVER
            },
            None,
            "name the authority's certificate with ca_file",
        ),
        (
            Certificate {
                name: "issued-ca",
                extensions: ca,
                ..SERVER
            },
            Some("authority"),
            "shows the certificate of an authority as its own",
        ),
        (
            Certificate {
                name: "self",
                ..own
            },
            None,
            "signed by itself; name that certificate with ca_file",
        ),
        (
            Certificate {
                name: "self-ca",
                extensions: ca,
                ..own
            },
            None,
            "signed by itself; name that certificate with ca_file",
        ),
        (
            Certificate {
                name: "self-other",
                extensions: ca,
                ..own
            },
            Some("authority"),
            "signed by itself and is another than that of ",
        ),
        (
            Certificate {
                name: "named-expired",
                extensions: ca,
                years: [2020, 2021],
                ..own
            },
            Some("named-expired"),
            "expired on 2021-01-01",
        ),
        (
            Certificate {
                name: "named-other",
                extensions: other_ca,
                ..own
            },
            Some("named-other"),
            "not for 127.0.0.1",
        ),
        (
            Certificate {
                name: "client",
                extensions: client,
                ..SERVER
            },
            Some("authority"),
            "is not for servers",
        ),
    ];
    for (certificate, ca_file, expected) in cases {
        workshop.make(certificate);
        let told = workshop.ask(&workshop.serve(certificate.name), ca_file);
        let (cause, text) = told.unwrap_err();
        assert_eq!(cause, Cause::Unreachable, "{text}");
        assert!(text.contains(expected), "{}: {text}", certificate.name);
    }
}

#[test]
fn a_store_that_speaks_no_tls_and_a_file_that_holds_no_certificate_are_told() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("https://{}", plain.local_addr().unwrap());
    thread::spawn(move || {
        for mut connection in plain.incoming().flatten() {
            let _ = connection.read(&mut [0; 1024]);
            let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let (_, text) = workshop.ask(&endpoint, Some("authority")).unwrap_err();
    assert!(
        text.contains("does not speak TLS there; write http://"),
        "{text}"
    );
    fs::write(workshop.pem("empty"), "nothing").unwrap();
    let (cause, text) = workshop.ask(&endpoint, Some("empty")).unwrap_err();
    assert_eq!(cause, Cause::Refused);
    assert!(text.contains("empty.pem: no certificate in it"), "{text}");
}

/// A proxy that opens tunnels, and what it was asked for.
struct Proxy {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://me:hush@{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let log = Arc::clone(&log);
                thread::spawn(move || tunnel(connection, status, &log));
            }
        });
        Self { address, asked }
    }
}

fn tunnel(mut client: TcpStream, status: &str, asked: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if client.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap().to_owned();
    asked.lock().unwrap().push(target.clone());
    let _ = client.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes());
    if !status.starts_with("200") {
        return;
    }
    let mut store = TcpStream::connect(target).unwrap();
    let (mut from, mut to) = (client.try_clone().unwrap(), store.try_clone().unwrap());
    thread::spawn(move || std::io::copy(&mut from, &mut to));
    let _ = std::io::copy(&mut store, &mut client);
}

/// Asks the store of `VSWITCH_TEST_ENDPOINT` and prints what it says: the environment is a process's own.
#[test]
#[ignore = "run by the test below, in an environment of its own"]
fn ask_by_environment() {
    let dir = TempDir::new().unwrap();
    write_keys(dir.path());
    let bucket = Bucket {
        ca_file: std::env::var("VSWITCH_TEST_CA").ok().map(PathBuf::from),
        ..bucket(&std::env::var("VSWITCH_TEST_ENDPOINT").unwrap(), dir.path())
    };
    println!("told: {:?}", ask(&bucket));
}

fn told_with(endpoint: &str, ca: &Path, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["ask_by_environment", "--exact", "--ignored", "--nocapture"]);
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command
        .env("VSWITCH_TEST_ENDPOINT", endpoint)
        .env("VSWITCH_TEST_CA", ca);
    let done = command.envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    let line = text.lines().find_map(|line| line.split_once("told: "));
    line.unwrap_or_else(|| panic!("{text}")).1.to_owned()
}

#[test]
fn the_environments_proxy_is_used_for_its_scheme_named_in_messages_and_never_with_its_password() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    workshop.make(SERVER);
    let (https, ca) = (workshop.serve("server"), workshop.pem("authority"));
    let store = s3::Server::start();
    let http = store.endpoint.clone();
    let (opens, refuses) = (Proxy::start("200 OK"), Proxy::start("407 No"));
    let taken = |proxy: &Proxy| std::mem::take(&mut *proxy.asked.lock().unwrap()).len();
    for (endpoint, name, is_used) in [
        (&https, "https_proxy", true),
        (&https, "HTTPS_PROXY", true),
        (&https, "HTTP_PROXY", false),
        (&https, "ALL_PROXY", true),
        (&http, "https_proxy", false),
        (&http, "http_proxy", true),
    ] {
        let told = told_with(endpoint, &ca, &[(name, &opens.address)]);
        assert_eq!(told, "Ok(())", "{name} {endpoint}");
        assert_eq!(taken(&opens) > 0, is_used, "{name} {endpoint}");
    }
    for exempt in ["localhost, 127.0.0.1", "10.0.0.0/8,127.0.0.0/8", "*"] {
        let variables = [
            ("HTTPS_PROXY", refuses.address.as_str()),
            ("NO_PROXY", exempt),
        ];
        assert_eq!(told_with(&https, &ca, &variables), "Ok(())", "{exempt}");
        assert_eq!(taken(&refuses), 0, "{exempt}");
    }
    let told = told_with(&https, &ca, &[("https_proxy", &refuses.address)]);
    let shown = refuses.address.replace("me:hush@", "");
    assert!(
        told.contains(&format!("through the proxy {shown} of https_proxy")),
        "{told}"
    );
    assert!(told.contains("407") && !told.contains("hush"), "{told}");
    let told = told_with(
        &https,
        &ca,
        &[("ALL_PROXY", "socks5://me:hush@127.0.0.1:1")],
    );
    assert!(
        told.contains("socks5://127.0.0.1:1 of ALL_PROXY speaks SOCKS"),
        "{told}"
    );
    assert!(!told.contains("hush"), "{told}");
}
