//! Where a logger's records go: `storage_type` and `storage_url`.

use super::values::{is_host, is_port, one_of};
use crate::config::file::{self, File};
use crate::config::mistake::{Findings, quoted};
use crate::config::places::Place;
use crate::config::plan::ObjectStorage;
use flowlog::{Bucket, Storage};
use std::path::PathBuf;

/// Longest name of a bucket, or container, bytes: OpenStack Swift's; S3 itself takes 63.
const MAX_BUCKET_BYTES: usize = 255;
/// Longest name of a folder (Linux `NAME_MAX`), bytes.
const MAX_FILE_NAME_BYTES: usize = 255;
/// Longest directory, bytes: with partition and file name a path stays below `PATH_MAX`, 4096.
const MAX_DIRECTORY_BYTES: usize = 3000;
/// Longest bucket in a host name, bytes (RFC 1035, a label).
const MAX_LABEL_BYTES: usize = 63;
/// Longest prefix, bytes: with partition and file name a key stays below S3's 1024.
const MAX_PREFIX_BYTES: usize = 400;

/// Where files go if nothing is said.
const DEFAULT_DIRECTORY: &str = "./flowlogs";

const BUCKET_REMEDY: &str = "with `storage_type: OBS` write s3://bucket or s3://bucket/prefix";
const COLLECTOR_REMEDY: &str =
    "with `storage_type: IPFIX` write udp://host:port, as udp://127.0.0.1:4739";

#[derive(Clone, Copy)]
enum Type {
    File,
    Obs,
    Ipfix,
}

/// The storage; of a wrong one a stand-in.
pub(super) fn resolve(
    typed: &file::FlowlogLogger,
    file: &File,
    object_storage: Option<&ObjectStorage>,
    at: &Place,
    findings: &mut Findings,
) -> Storage {
    let known = [
        ("FILE", Type::File),
        ("OBS", Type::Obs),
        ("IPFIX", Type::Ipfix),
    ];
    let text = typed.storage_type.as_deref().unwrap_or("FILE");
    let found = one_of(text, &known, &at.key("storage_type"), findings);
    let url = typed.storage_url.as_deref();
    let url_at = at.key("storage_url");
    let given = |remedy: &str, findings: &mut Findings| {
        if url.is_none() {
            findings.mistake(at, "`storage_url` is missing", remedy);
        }
        url
    };
    let storage = match found {
        // Of an unknown type the address is another, and the type is a mistake already.
        None => None,
        Some(Type::File) => directory(url.unwrap_or(DEFAULT_DIRECTORY), &url_at, findings),
        Some(Type::Obs) => {
            if file.object_storage.is_none() {
                let remedy =
                    "write `object_storage:` with endpoint and keys, at the top of the file";
                let problem = "no object storage is configured";
                findings.mistake(&at.key("storage_type"), problem, remedy);
            }
            given(BUCKET_REMEDY, findings)
                .and_then(|url| bucket(url, object_storage, &url_at, findings))
        }
        Some(Type::Ipfix) => {
            check_no_files(typed, at, findings);
            given(COLLECTOR_REMEDY, findings).and_then(|url| collector(url, &url_at, findings))
        }
    };
    storage.unwrap_or_else(|| Storage::Directory(PathBuf::from(DEFAULT_DIRECTORY)))
}

fn directory(url: &str, at: &Place, findings: &mut Findings) -> Option<Storage> {
    let problem = if url.is_empty() || url.contains('\0') {
        format!("{} is not a directory", quoted(url))
    } else if url.contains("://") {
        format!("{} is an address, not a directory", quoted(url))
    } else if let Some(problem) = too_long(url) {
        findings.mistake(at, problem, "shorten it");
        return None;
    } else {
        return Some(Storage::Directory(PathBuf::from(url)));
    };
    let remedy = "with `storage_type: FILE` write a path, as ./flowlogs";
    findings.mistake(at, problem, remedy);
    None
}

fn bucket(
    url: &str,
    account: Option<&ObjectStorage>,
    at: &Place,
    findings: &mut Findings,
) -> Option<Storage> {
    let (name, prefix) = match bucket_parts(url) {
        Ok(parts) => parts,
        Err(wrong) => {
            let (problem, remedy) = wrong.words(url);
            findings.mistake(at, problem, remedy);
            return None;
        }
    };
    let account = account?;
    if !account.path_style {
        check_host_label(name, &account.endpoint, at, findings);
    }
    Some(Storage::Bucket(Bucket {
        endpoint: account.endpoint.clone(),
        region: account.region.clone(),
        path_style: account.path_style,
        name: name.to_owned(),
        prefix: prefix.to_owned(),
        access_key: account.access_key.clone(),
        secret_key: account.secret_key.clone(),
        session_token: account.session_token.clone(),
        encryption: account.encryption.clone(),
        ca_file: account.ca_file.clone(),
        timeout: account.timeout,
    }))
}

/// Why no file could be written below a directory: Linux's limits (`NAME_MAX`, `PATH_MAX`).
fn too_long(directory: &str) -> Option<String> {
    let longest = directory.split('/').map(str::len).max().unwrap_or_default();
    if longest > MAX_FILE_NAME_BYTES {
        return Some(format!(
            "a folder's name has {longest} bytes, and Linux takes {MAX_FILE_NAME_BYTES}"
        ));
    }
    (directory.len() > MAX_DIRECTORY_BYTES).then(|| {
        let bytes = directory.len();
        format!("the path has {bytes} bytes, and {MAX_DIRECTORY_BYTES} leave room for file names")
    })
}

/// With `path_style: false` a bucket is the first part of a host name, which has rules of its own
/// (RFC 1123; Amazon S3, "Virtual hosting of buckets").
fn check_host_label(bucket: &str, endpoint: &str, at: &Place, findings: &mut Findings) {
    let is_label = |label: &str| {
        let is_of_label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !label.is_empty()
            && label.chars().all(is_of_label)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if bucket.len() > MAX_LABEL_BYTES || !bucket.split('.').all(is_label) {
        let problem = format!(
            "with `path_style: false` the bucket stands in the host name, and {} cannot",
            quoted(bucket)
        );
        let remedy =
            "leave `path_style` out, or name a bucket of at most 63 small letters, digits, `. -`";
        findings.mistake(at, problem, remedy);
    } else if bucket.contains('.') && endpoint.starts_with("https://") {
        let text = "the store's certificate has to hold the bucket's whole host name: `*` stands for no dot";
        findings.notice(at, text);
    }
}

/// What is wrong with the address of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WrongBucket {
    /// No bucket is named, or none can have that name.
    Name,
    /// Of the prefix: a folder without a name, or a character.
    Prefix,
    /// Of the prefix: its length, bytes.
    Length(usize),
}

impl WrongBucket {
    /// Problem and remedy.
    fn words(self, url: &str) -> (String, String) {
        let url = quoted(url);
        match self {
            Self::Name => (
                format!("{url} is not a bucket"),
                BUCKET_REMEDY.to_owned(),
            ),
            Self::Prefix => (
                format!("the prefix of {url} cannot be the beginning of a key"),
                "use letters, digits, `! - _ . * ' ( ) = :` and one / between two folders, none of them . or .."
                    .to_owned(),
            ),
            Self::Length(bytes) => (
                format!("the prefix of {url} has {bytes} bytes"),
                format!("write at most {MAX_PREFIX_BYTES}"),
            ),
        }
    }
}

/// Name and prefix of `s3://name/prefix`.
fn bucket_parts(url: &str) -> Result<(&str, &str), WrongBucket> {
    let rest = url.strip_prefix("s3://").ok_or(WrongBucket::Name)?;
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_folder =
        |folder: &str| !matches!(folder, "" | "." | "..") && folder.chars().all(is_of_key);
    if !(1..=MAX_BUCKET_BYTES).contains(&name.len()) || !name.chars().all(is_name) {
        return Err(WrongBucket::Name);
    }
    if prefix.len() > MAX_PREFIX_BYTES {
        return Err(WrongBucket::Length(prefix.len()));
    }
    if !prefix.is_empty() && !prefix.split('/').all(is_folder) {
        return Err(WrongBucket::Prefix);
    }
    Ok((name, prefix))
}

/// What S3 calls safe in a key, and of what may need care that which the signature and the address of
/// a request carry as it is meant.
fn is_of_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!-_.*'()=:+@,$".contains(c)
}

fn collector(url: &str, at: &Place, findings: &mut Findings) -> Option<Storage> {
    let found = url.strip_prefix("udp://").filter(|rest| {
        let Some((host, port)) = rest.rsplit_once(':') else {
            return false;
        };
        is_host(host) && is_port(port)
    });
    if found.is_none() {
        let problem = format!("{} is not a collector", quoted(url));
        findings.mistake(at, problem, COLLECTOR_REMEDY);
    }
    found.map(|collector| Storage::Ipfix(collector.to_owned()))
}

/// What shapes files has no effect on messages; none of it is taken without effect.
fn check_no_files(typed: &file::FlowlogLogger, at: &Place, findings: &mut Findings) {
    let of_files = [
        ("fields", typed.fields.is_some()),
        ("account_id", typed.account_id.is_some()),
        ("log_format", typed.log_format.is_some()),
        ("compression_type", typed.compression_type.is_some()),
        ("partition_period", typed.partition_period.is_some()),
        ("customized_file_name", typed.customized_file_name.is_some()),
        ("time_zone", typed.time_zone.is_some()),
        ("rows_per_file", typed.rows_per_file.is_some()),
        ("empty_intervals", typed.empty_intervals.is_some()),
    ];
    for (key, _) in of_files.iter().filter(|(_, is_given)| *is_given) {
        let problem = format!("`{key}` has no effect on IPFIX messages");
        findings.mistake(&at.key(key), problem, "leave it out");
    }
}
