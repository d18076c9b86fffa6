//! Loggers and where their files go, as typed.

use super::shape::{self, OneOrMany, TextOrNumber};
use schemars::JsonSchema;
use serde::Deserialize;

/// A logger: which records are collected, how they are written, and where to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowlogLogger {
    /// UUID, part of the default file name; derived from the name when absent.
    pub id: Option<String>,
    /// Name: letters, digits, `. _ -`.
    pub name: String,
    /// What is watched: `VPC` (default), `SUBNET` or `PORT`.
    #[schemars(extend("enum" = ["VPC", "SUBNET", "PORT", null]))]
    pub resource_type: Option<String>,
    /// The VPC, subnet or port, by name or id; absent, the only one of its type.
    pub resource: Option<String>,
    /// Which verdicts: `ALL` (default), `ACCEPT` or `DROP`.
    #[schemars(extend("enum" = ["ALL", "ACCEPT", "DROP", null]))]
    pub filter: Option<String>,
    /// Only what opens connections, and every DROP; default false.
    pub connection_setup_only: Option<bool>,
    /// Whole seconds with their unit, `1s` to `15m`, default `60s`.
    pub aggregation_interval: Option<String>,
    /// A profile (`nhn-18`, default, `nhn-24`, `lab`, `aws-v2`, `aws-v5`), or a list of field names, which
    /// may begin with one of the first three.
    pub fields: Option<OneOrMany>,
    /// `CSV` (default) or `PARQUET`; not with an AWS profile.
    #[schemars(extend("enum" = ["CSV", "PARQUET", null]))]
    pub log_format: Option<String>,
    /// `RAW` (default), `GZIP` or `ZSTD`.
    #[schemars(extend("enum" = ["RAW", "GZIP", "ZSTD", null]))]
    pub compression_type: Option<String>,
    /// `FILE` (default), `OBS` or `IPFIX`.
    #[schemars(extend("enum" = ["FILE", "OBS", "IPFIX", null]))]
    pub storage_type: Option<String>,
    /// FILE: a directory, default `./flowlogs`; OBS: `s3://bucket/prefix`; IPFIX: `udp://host:port`.
    pub storage_url: Option<String>,
    /// `HOUR` (default), `DAY` or a template of `#{year} #{month} #{day} #{hour}`.
    #[serde(default, deserialize_with = "shape::template")]
    #[schemars(with = "Option<String>")]
    pub partition_period: Option<String>,
    /// File name with each of its seven variables once.
    #[serde(default, deserialize_with = "shape::template")]
    #[schemars(with = "Option<String>")]
    pub customized_file_name: Option<String>,
    /// Time zone of file names and partitions; the file's own `time_zone` when absent.
    pub time_zone: Option<String>,
    /// Rows of a file at most, 1 to 1000000, default 20000.
    pub rows_per_file: Option<u64>,
    /// Whether an interval without a record has a file: `write` (default) or `skip`.
    #[schemars(extend("enum" = ["write", "skip", null]))]
    pub empty_intervals: Option<String>,
    /// Which packets: `seed` (default), or `all`: also IPv6, multicast, metadata and other protocols.
    #[schemars(extend("enum" = ["seed", "all", null]))]
    pub scope: Option<String>,
    /// Records of one port in an interval at most, and of all together beyond each one's first 4096.
    pub flow_limit: Option<u32>,
    /// Account in the rows and keys of the AWS profiles, which need it.
    pub account_id: Option<String>,
    /// Whether it collects, default true.
    pub admin_state_up: Option<bool>,
}

/// S3-compatible object storage. The keys themselves stand in the environment or in files.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectStorage {
    /// `http://` or `https://` address.
    pub endpoint: String,
    /// Region for signatures; the file's own `region` when absent.
    pub region: Option<String>,
    /// Bucket in the path, not in the host name; default true.
    pub path_style: Option<bool>,
    /// Name of the environment variable with the access key.
    pub access_key_env: Option<String>,
    /// File with the access key.
    pub access_key_file: Option<String>,
    /// Name of the environment variable with the secret key.
    pub secret_key_env: Option<String>,
    /// File with the secret key.
    pub secret_key_file: Option<String>,
    /// Name of the environment variable with the session token of temporary keys.
    pub session_token_env: Option<String>,
    /// File with the session token, read anew for every object, as are those of the keys.
    pub session_token_file: Option<String>,
    /// Encryption that the store is asked for: `AES256` or `aws:kms`; none when absent.
    #[schemars(extend("enum" = ["AES256", "aws:kms", null]))]
    pub server_side_encryption: Option<String>,
    /// Key of `aws:kms`; the bucket's default when absent.
    pub kms_key_id: Option<String>,
    /// PEM file with the certificates of the authorities that vouch for the store, or with its own;
    /// the system's authorities when absent.
    pub ca_file: Option<String>,
    /// How long an answer may take, whole seconds with their unit, default `30s`.
    pub timeout: Option<String>,
}

/// Where flow-log files wait until their store has them.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spool {
    /// Size at most, 1MiB to 1024TiB, default `1GiB`: bytes, or a number with `KiB`, `MiB`, `GiB`, `TiB`.
    #[schemars(with = "Option<TextOrNumber>")]
    pub max_bytes: Option<String>,
}
