//! The daemon's own settings: paths, workers, connection tracking, spool, object storage.

use super::values::{
    check_word, is_host, is_port, one_of, parsed, ranged, timeout_mistake, worded,
};
use crate::config::file::{self, File};
use crate::config::limits::{MAX_CONNECTIONS, MAX_SPOOL_BYTES, MAX_WORKERS, MIN_SPOOL_BYTES};
use crate::config::mistake::{Findings, quoted};
use crate::config::places::Place;
use crate::config::plan::{Conntrack, Io, ObjectStorage, Plan, Workers};
use crate::config::units::{ByteSize, Seconds};
use flowlog::{Access, Encryption, Secret, Zone};
use nix::unistd::Group;
use secgroup::conntrack::{Settings, Timeouts};
use std::net::Ipv4Addr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Connections of the table where nothing is said.
const DEFAULT_CONNECTIONS: u32 = 1 << 20;
/// Bytes of the spool where nothing is said: 1 GiB.
const DEFAULT_SPOOL_BYTES: u64 = 1 << 30;
/// How long a store's answer may take where nothing is said, and at all, seconds.
const DEFAULT_STORE_TIMEOUT_S: u32 = 30;
const MAX_STORE_TIMEOUT_S: u32 = 600;
/// Zone of file names where nothing is said.
const DEFAULT_TIME_ZONE: &str = "UTC";

/// The number that means "no change" to chown(2).
const NO_GROUP: u32 = u32::MAX;

/// Who may read what is written: a group that this host knows, or any number.
pub(super) fn access(group: Option<&str>, at: &Place, findings: &mut Findings) -> Access {
    let Some(text) = group else {
        return Access::default();
    };
    let gid = text.parse::<u32>().ok().filter(|gid| *gid != NO_GROUP);
    let gid = gid.or_else(|| {
        let group = Group::from_name(text).ok().flatten();
        group.map(|group| group.gid.as_raw())
    });
    if gid.is_none() {
        let problem = format!("{} is not a group of this system", quoted(text));
        let remedy = "write the name of a group (groupadd makes one), or its number";
        findings.mistake(at, problem, remedy);
    }
    Access::of_group(gid)
}

/// `auto` or a number.
pub(super) fn workers(text: Option<&str>, at: &Place, findings: &mut Findings) -> Workers {
    let Some(text) = text.filter(|text| *text != "auto") else {
        return Workers::Auto;
    };
    let number = text
        .parse::<u32>()
        .ok()
        .filter(|number| (1..=MAX_WORKERS).contains(number));
    let number = number.and_then(|number| NonZeroUsize::new(number as usize));
    let Some(number) = number else {
        let problem = format!("{} is not a number of workers", quoted(text));
        findings.mistake(at, problem, format!("write `auto`, or 1 to {MAX_WORKERS}"));
        return Workers::Auto;
    };
    Workers::Fixed(number)
}

/// How frames are read and written.
pub(super) fn io(text: Option<&str>, at: &Place, findings: &mut Findings) -> Io {
    let Some(text) = text else {
        return Io::Auto;
    };
    let named = Io::NAMES.iter().find(|(name, _)| *name == text);
    named.map_or_else(
        || {
            let problem = format!("{} is not a way to read and write", quoted(text));
            findings.mistake(at, problem, "write `auto`, `read_write` or `io_uring`");
            Io::Auto
        },
        |(_, io)| *io,
    )
}

/// Notes how many files the process has to open where that is more than Linux allows by default
/// (`fs.nr_open`, proc_sys_fs(5)).
pub(super) fn check_files(plan: &Plan, findings: &mut Findings) {
    const NR_OPEN: usize = 1 << 20;
    let Workers::Fixed(workers) = plan.workers else {
        return;
    };
    let queues = plan.ports.len().saturating_mul(workers.get());
    if queues >= NR_OPEN {
        let text = format!(
            "{} ports with {workers} queues each are {queues} open files, and Linux allows {NR_OPEN} unless \
             `sysctl fs.nr_open` is raised",
            plan.ports.len()
        );
        findings.notice(&Place::root().key("workers"), text);
    }
}

/// The zone of file names, known to this host, with its name.
pub(super) fn time_zone(file: &File, findings: &mut Findings) -> (String, Zone) {
    let name = file.time_zone.as_deref().unwrap_or(DEFAULT_TIME_ZONE);
    let zone = Zone::parse(name).unwrap_or_else(|error| {
        worded(&error, &Place::root().key("time_zone"), findings);
        Zone::utc()
    });
    (name.to_owned(), zone)
}

/// The spool's limit.
pub(super) fn spool_max_bytes(file: &File, findings: &mut Findings) -> u64 {
    let at = Place::root().key("spool").key("max_bytes");
    let Some(text) = &file.spool.max_bytes else {
        return DEFAULT_SPOOL_BYTES;
    };
    let Some(size) = parsed(text, &at, findings) else {
        return DEFAULT_SPOOL_BYTES;
    };
    let ByteSize(bytes) = ranged(
        size,
        ByteSize(MIN_SPOOL_BYTES)..=ByteSize(MAX_SPOOL_BYTES),
        "",
        &at,
        findings,
    );
    bytes
}

/// Connection tracking.
pub(super) fn conntrack(file: &File, findings: &mut Findings) -> Conntrack {
    let at = Place::root().key("conntrack");
    let typed = &file.conntrack;
    let limit = ranged(
        typed.limit.unwrap_or(DEFAULT_CONNECTIONS.into()),
        1..=i64::from(MAX_CONNECTIONS),
        " connections",
        &at.key("limit"),
        findings,
    );
    Conntrack {
        limit: u32::try_from(limit).unwrap_or(MAX_CONNECTIONS),
        persist_established: typed.persist_established.unwrap_or(false),
        settings: Settings {
            tcp_loose: typed.tcp_loose.unwrap_or(true),
            tcp_be_liberal: typed.tcp_be_liberal.unwrap_or(false),
            timeouts: timeouts(&typed.timeouts, &at.key("timeouts"), findings),
        },
    }
}

/// Idle timeouts: the kernel's defaults, and over them what the file says.
fn timeouts(typed: &file::Timeouts, at: &Place, findings: &mut Findings) -> Timeouts {
    let mut timeouts = Timeouts::default();
    for (name, seconds) in typed.given() {
        if let Err(error) = timeouts.set(name, seconds) {
            timeout_mistake(&error, name, at, findings);
        }
    }
    timeouts
}

/// Object storage, where it is configured.
pub(super) fn object_storage(file: &File, findings: &mut Findings) -> Option<ObjectStorage> {
    let at = Place::root().key("object_storage");
    let typed = file.object_storage.as_ref()?;
    check_endpoint(&typed.endpoint, &at.key("endpoint"), findings);
    check_ca_file(typed, &at, findings);
    check_path_style(typed, &at.key("path_style"), findings);
    if let Some(region) = &typed.region {
        check_word(region, "a region", &at.key("region"), findings);
    }
    let access_key = secret(
        typed.access_key_env.as_ref(),
        typed.access_key_file.as_ref(),
        "access_key",
        &at,
        findings,
    );
    let secret_key = secret(
        typed.secret_key_env.as_ref(),
        typed.secret_key_file.as_ref(),
        "secret_key",
        &at,
        findings,
    );
    Some(ObjectStorage {
        endpoint: typed.endpoint.trim_end_matches('/').to_owned(),
        region: typed.region.clone().unwrap_or_else(|| file.region.clone()),
        path_style: typed.path_style.unwrap_or(true),
        access_key: access_key?,
        secret_key: secret_key?,
        session_token: session_token(typed, &at, findings),
        encryption: encryption(typed, &at, findings),
        ca_file: typed.ca_file.as_ref().map(PathBuf::from),
        timeout: store_timeout(typed.timeout.as_deref(), &at.key("timeout"), findings),
    })
}

/// The token of temporary keys, which many have not.
fn session_token(
    typed: &file::ObjectStorage,
    at: &Place,
    findings: &mut Findings,
) -> Option<Secret> {
    let (variable, path) = (&typed.session_token_env, &typed.session_token_file);
    if variable.is_none() && path.is_none() {
        return None;
    }
    secret(
        variable.as_ref(),
        path.as_ref(),
        "session_token",
        at,
        findings,
    )
}

fn encryption(
    typed: &file::ObjectStorage,
    at: &Place,
    findings: &mut Findings,
) -> Option<Encryption> {
    let key_id = typed.kms_key_id.clone();
    let key_at = at.key("kms_key_id");
    let is_word = |id: &str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_graphic());
    if let Some(id) = key_id.as_deref().filter(|id| !is_word(id)) {
        let problem = format!("{} is no key's id", quoted(id));
        findings.mistake(
            &key_at,
            problem,
            "write the id or the ARN of the key, without blanks",
        );
        return None;
    }
    let kms = Encryption::Kms {
        key_id: key_id.clone(),
    };
    let known = [("AES256", Encryption::Aes256), ("aws:kms", kms)];
    let at = at.key("server_side_encryption");
    let wanted = match &typed.server_side_encryption {
        Some(text) => {
            let names = known.clone().map(|(name, _)| (name, name));
            let name = one_of(text, &names, &at, findings)?;
            known
                .into_iter()
                .find(|(known, _)| *known == name)
                .map(|(_, encryption)| encryption)
        }
        None => None,
    };
    if key_id.is_some() && !matches!(wanted, Some(Encryption::Kms { .. })) {
        let problem = "`kms_key_id` belongs to `server_side_encryption: aws:kms`";
        findings.mistake(&key_at, problem, "write that too, or leave the key out");
    }
    wanted
}

fn store_timeout(text: Option<&str>, at: &Place, findings: &mut Findings) -> Duration {
    let seconds = match text {
        None => DEFAULT_STORE_TIMEOUT_S,
        Some(text) => match parsed(text, at, findings) {
            Some(Seconds(seconds)) => {
                ranged(seconds, 1..=MAX_STORE_TIMEOUT_S, " seconds", at, findings)
            }
            None => DEFAULT_STORE_TIMEOUT_S,
        },
    };
    Duration::from_secs(seconds.into())
}

fn check_endpoint(endpoint: &str, at: &Place, findings: &mut Findings) {
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| endpoint.strip_prefix(scheme));
    let host = rest
        .map(|rest| rest.trim_end_matches('/'))
        .filter(|host| !host.is_empty());
    match host {
        // Not quoted: what stands before the @ would be a secret.
        Some(host) if host.contains('@') => {
            let remedy =
                "secrets do not stand in this file: use `access_key_env` and `secret_key_env`";
            findings.mistake(at, "the address holds credentials", remedy);
        }
        Some(host) if is_authority(host) => {}
        _ => {
            let problem = format!("{} is not the address of a store", quoted(endpoint));
            findings.mistake(
                at,
                problem,
                "write scheme, host and port, as http://127.0.0.1:9000",
            );
        }
    }
}

/// A bucket can stand before a host name, and before no address.
fn check_path_style(typed: &file::ObjectStorage, at: &Place, findings: &mut Findings) {
    let authority = typed
        .endpoint
        .split_once("://")
        .map_or("", |(_, rest)| rest);
    let authority = authority.trim_end_matches('/');
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) => host,
        _ => authority,
    };
    let is_address = host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok();
    if typed.path_style == Some(false) && is_address {
        let problem = format!(
            "the bucket would stand before the host name, and {} is an address",
            quoted(host)
        );
        let remedy = "leave `path_style` out, or write a host name in `endpoint`";
        findings.mistake(at, problem, remedy);
    }
}

/// A host, and a port where it is not the scheme's.
fn is_authority(text: &str) -> bool {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => is_host(host) && is_port(port),
        _ => is_host(text),
    }
}

fn check_ca_file(typed: &file::ObjectStorage, at: &Place, findings: &mut Findings) {
    let Some(path) = &typed.ca_file else { return };
    let at = at.key("ca_file");
    if path.is_empty() || path.contains('\0') {
        let remedy = "name a file with certificates (PEM), or leave it out";
        findings.mistake(&at, format!("{} is not a file", quoted(path)), remedy);
    } else if typed.endpoint.starts_with("http://") {
        let remedy = "write `endpoint` with https://, or leave it out";
        findings.mistake(&at, "`ca_file` has no effect on http://", remedy);
    }
}

/// Where a secret is found: exactly one of two keys.
fn secret(
    env: Option<&String>,
    file: Option<&String>,
    key: &str,
    at: &Place,
    findings: &mut Findings,
) -> Option<Secret> {
    match (env, file) {
        (Some(name), None) => {
            check_variable(name, &at.key(&format!("{key}_env")), findings);
            Some(Secret::Env(name.clone()))
        }
        (None, Some(path)) if !path.is_empty() => Some(Secret::File(PathBuf::from(path))),
        (Some(_), Some(_)) => {
            let problem = format!("`{key}_env` and `{key}_file` are both there");
            findings.mistake(&at.key(&format!("{key}_file")), problem, "leave one");
            None
        }
        _ => {
            let remedy = format!(
                "name an environment variable with `{key}_env`, or a file with `{key}_file`"
            );
            findings.mistake(at, format!("no {} is named", key.replace('_', " ")), remedy);
            None
        }
    }
}

/// The name is not quoted: who mistakes the key for its name has written a secret here.
fn check_variable(name: &str, at: &Place, findings: &mut Findings) {
    let is_name = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name
            .bytes()
            .next()
            .is_some_and(|first| !first.is_ascii_digit());
    if !is_name {
        let remedy = "write the variable's name, as VSWITCH_S3_ACCESS_KEY, never the key itself";
        findings.mistake(
            at,
            "this is not the name of an environment variable",
            remedy,
        );
    }
}
