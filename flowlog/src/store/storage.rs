//! What a configuration says of a store.

use super::{Cause, StoreError};
use std::{
    env, fmt, fs,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

/// Longest secret in a file, bytes.
const SECRET_LEN_MAX: u64 = 4096;

/// Where a logger's records go.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each logger, and none on the packet path"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// Files below a directory.
    Directory(PathBuf),
    /// Objects in a bucket.
    Bucket(Bucket),
    /// RFC 7011 messages to a collector, as `host:port`.
    Ipfix(String),
}

impl Storage {
    /// The directory, if it is one.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Self::Directory(root) => Some(root),
            _ => None,
        }
    }

    /// Where an object of this name is found: a path or an address.
    pub(crate) fn location(&self, name: &str) -> PathBuf {
        match self {
            Self::Directory(root) => root.join(name),
            Self::Bucket(bucket) => format!("s3://{}/{}", bucket.name, bucket.key(name)).into(),
            Self::Ipfix(collector) => format!("udp://{collector}").into(),
        }
    }
}

/// As the configuration's `storage_url` writes it.
impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(root) => write!(f, "{}", root.display()),
            Self::Bucket(bucket) if bucket.prefix.is_empty() => write!(f, "s3://{}", bucket.name),
            Self::Bucket(bucket) => write!(f, "s3://{}/{}", bucket.name, bucket.prefix),
            Self::Ipfix(collector) => write!(f, "udp://{collector}"),
        }
    }
}

/// A bucket of an S3-compatible store, and how to get in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// `http://` or `https://` address of the store, without a path.
    pub endpoint: String,
    /// Region for signatures.
    pub region: String,
    /// Bucket in the path, not in the host name.
    pub path_style: bool,
    /// Its name.
    pub name: String,
    /// What every key begins with, without a slash at either end; may be empty.
    pub prefix: String,
    /// Where the access key is found.
    pub access_key: Secret,
    /// Where the secret key is found.
    pub secret_key: Secret,
    /// Where the token of temporary keys is found.
    pub session_token: Option<Secret>,
    /// How the store is asked to encrypt objects; not at all where nothing is said.
    pub encryption: Option<Encryption>,
    /// Certificates (PEM) of the authorities that vouch for the store, or its own, in place of the
    /// system's.
    pub ca_file: Option<PathBuf>,
    /// How long an answer may take.
    pub timeout: Duration,
}

impl Bucket {
    /// The key of an object.
    pub(crate) fn key(&self, name: &str) -> String {
        match self.prefix.as_str() {
            "" => name.to_owned(),
            prefix => format!("{prefix}/{name}"),
        }
    }
}

/// Encryption by the store, which a bucket's policy may demand of writers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// With keys of the store (`AES256`).
    Aes256,
    /// With a key of a key service (`aws:kms`).
    Kms {
        /// Which key; the bucket's default where nothing is said.
        key_id: Option<String>,
    },
}

/// Where a secret is found. The secret itself is read when it is used, never kept and never shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// In the environment variable of this name.
    Env(String),
    /// In this file, blanks around it left out.
    File(PathBuf),
}

impl Secret {
    /// Whether it can be read here and now.
    ///
    /// # Errors
    /// What is wrong, without the secret.
    pub fn check(&self) -> Result<(), StoreError> {
        self.read().map(drop)
    }

    /// Reads it. What is wrong is told without the secret.
    pub(crate) fn read(&self) -> Result<String, StoreError> {
        let secret = match self {
            Self::Env(name) => env::var(name).map_err(|error| match error {
                env::VarError::NotPresent => {
                    format!("the environment variable {name} is not set; set it and start again")
                }
                env::VarError::NotUnicode(_) => {
                    format!("the environment variable {name} is not text")
                }
            }),
            Self::File(path) => read_file(path)
                .map_err(|error| format!("cannot read the secret in {}: {error}", path.display())),
        };
        let secret = secret.and_then(|secret| match secret.trim() {
            "" => Err(format!("{self} is empty")),
            secret => Ok(secret.to_owned()),
        });
        secret.map_err(|text| StoreError::new(Cause::Credentials, text))
    }
}

fn read_file(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?
        .take(SECRET_LEN_MAX)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// Where it is, never what it is.
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "the environment variable {name}"),
            Self::File(path) => write!(f, "the file {}", path.display()),
        }
    }
}
