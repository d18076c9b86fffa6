//! Where a log is: directories, files and buckets.

use super::LogsArgs;
use super::names::Names;
use crate::cli::failure::Usage;
use crate::cli::plain::escaped;
use crate::config::Plan;
use crate::control::{LogSources, Reply, Request, SessionError, ask};
use crate::messages::note;
use flowlog::{Bucket, Storage};
use std::path::Path;

/// Where the files are if nobody says so: the demo's directory, and the examples'.
const DIRECTORY: &str = "flowlogs";

/// What the address of a bucket begins with.
const SCHEME: &str = "s3://";

/// Where the records are, and what the ids in them are called.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) storages: Vec<Storage>,
    pub(super) names: Names,
    /// The user named them: one that is not there is a mistake. Others are made when a daemon starts.
    pub(super) are_named: bool,
}

/// The places of a command line, else of the configuration, else of the daemon that runs, else
/// `./flowlogs`.
///
/// # Errors
/// [`Usage`] for a bucket without a configuration that says how to get in.
pub(super) fn places(args: &LogsArgs, plan: Option<&Plan>) -> Result<Places, Usage> {
    let names = || plan.map(Names::of_plan).unwrap_or_default();
    if !args.paths.is_empty() {
        let storages = args.paths.iter().map(|path| place(path, plan));
        return Ok(Places {
            storages: storages.collect::<Result<_, _>>()?,
            names: names(),
            are_named: true,
        });
    }
    if let Some(plan) = plan {
        return Ok(Places {
            storages: configured(plan),
            names: names(),
            are_named: false,
        });
    }
    match ask(&args.socket, &Request::LogSources) {
        Ok(Reply::LogSources(sources)) if !sources.loggers.is_empty() => of_daemon(sources),
        Ok(Reply::LogSources(_)) if !Path::new(DIRECTORY).exists() => Err(Usage(
            "the running daemon has no logger, so that there are no records: add `flowlog_loggers` to its \
             configuration; `vswitch show drops` counts what it refuses"
                .to_owned(),
        )),
        Ok(_) | Err(SessionError::NoDaemon { .. }) => Ok(usual()),
        Err(error) => {
            let error = error.to_string();
            note(format_args!(
                "vswitch: {}; reading ./{DIRECTORY} here",
                escaped(&error)
            ));
            Ok(usual())
        }
    }
}

/// `./flowlogs`.
fn usual() -> Places {
    Places {
        storages: vec![Storage::Directory(DIRECTORY.into())],
        names: Names::default(),
        are_named: true,
    }
}

/// Where the daemon's loggers write. Into its buckets only its configuration leads.
fn of_daemon(sources: LogSources) -> Result<Places, Usage> {
    let mut storages: Vec<Storage> = Vec::new();
    let mut elsewhere = Vec::new();
    for logger in &sources.loggers {
        match &logger.directory {
            Some(path) => storages.push(Storage::Directory(path.clone())),
            None => elsewhere.push(format!("{} ({})", logger.name, logger.storage)),
        }
    }
    storages.sort_by_cached_key(Storage::to_string);
    storages.dedup();
    if storages.is_empty() {
        return Err(Usage(format!(
            "the running daemon writes to no directory: {}; name its configuration with --config, or the files",
            elsewhere.join(", ")
        )));
    }
    if !elsewhere.is_empty() {
        let elsewhere = elsewhere.join(", ");
        note(format_args!(
            "vswitch: without the files of {}: only the configuration leads there, see --config",
            escaped(&elsewhere)
        ));
    }
    let here = std::fs::canonicalize(DIRECTORY).ok();
    let is_read = |path: &Path| {
        let directories = storages.iter().filter_map(Storage::directory);
        directories
            .filter_map(|read| std::fs::canonicalize(read).ok())
            .any(|read| path.starts_with(&read) || read.starts_with(path))
    };
    if here.is_some_and(|here| !is_read(&here)) {
        let read: Vec<_> = storages.iter().map(Storage::to_string).collect();
        note(format_args!(
            "vswitch: reading {}, where the running daemon writes; ./{DIRECTORY} here is another log: name it to read it",
            escaped(&read.join(", "))
        ));
    }
    Ok(Places {
        storages,
        names: Names::of_daemon(sources),
        are_named: false,
    })
}

/// Where the loggers of a configuration write.
fn configured(plan: &Plan) -> Vec<Storage> {
    let loggers = plan.loggers.iter().map(|logger| &logger.storage);
    // Messages that went to a collector cannot be had back.
    let mut places: Vec<Storage> = loggers
        .filter(|storage| !matches!(storage, Storage::Ipfix(_)))
        .cloned()
        .collect();
    places.sort_by_cached_key(Storage::to_string);
    places.dedup();
    places
}

fn place(path: &Path, plan: Option<&Plan>) -> Result<Storage, Usage> {
    match path.to_str().and_then(|text| text.strip_prefix(SCHEME)) {
        Some(rest) => bucket(rest, plan).map(Storage::Bucket),
        None => Ok(Storage::Directory(path.to_owned())),
    }
}

/// The bucket of `name/prefix`, with the endpoint and the keys of the configuration.
fn bucket(rest: &str, plan: Option<&Plan>) -> Result<Bucket, Usage> {
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || !name.chars().all(is_of_name) {
        let text = format!("{SCHEME}{rest}: write s3://bucket or s3://bucket/prefix");
        return Err(Usage(text));
    }
    let Some(plan) = plan else {
        return Err(Usage(format!(
            "{SCHEME}{rest}: how to get in stands in a configuration under `object_storage`; name it with --config"
        )));
    };
    let Some(account) = &plan.object_storage else {
        return Err(Usage(format!(
            "{SCHEME}{rest}: the configuration has no `object_storage`; write it, with endpoint and keys"
        )));
    };
    Ok(Bucket {
        endpoint: account.endpoint.clone(),
        region: account.region.clone(),
        path_style: account.path_style,
        name: name.to_owned(),
        prefix: prefix.trim_matches('/').to_owned(),
        access_key: account.access_key.clone(),
        secret_key: account.secret_key.clone(),
        session_token: account.session_token.clone(),
        encryption: account.encryption.clone(),
        ca_file: account.ca_file.clone(),
        timeout: account.timeout,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_takes_its_account_from_the_configuration_and_needs_one() {
        let lab = "region: KR1\nvpcs: [{ name: lab }]\nsubnets: [{ name: app, vpc: lab, cidr: 10.0.0.0/24 }]\n\
                   ports: [{ name: vm1, subnet: app, fixed_ips: [10.0.0.1], tap: { name: t1 } }]\n";
        let account = "object_storage: { endpoint: 'http://127.0.0.1:9000', access_key_env: A, secret_key_env: B }\n";
        let plan = |text: &str| crate::config::Config::parse(text, "test").unwrap().0;
        let (without, with) = (plan(lab), plan(&format!("{lab}{account}")));
        let place = |text: &str, plan| place(Path::new(text), plan);
        let Storage::Bucket(bucket) = place("s3://logs/lab/2026/", Some(&with)).unwrap() else {
            unreachable!("an address of a bucket")
        };
        let parts = (bucket.name.as_str(), bucket.prefix.as_str());
        assert_eq!(parts, ("logs", "lab/2026"));
        assert_eq!(bucket.endpoint, "http://127.0.0.1:9000");
        for (text, plan, told) in [
            ("s3://logs", None, "--config"),
            ("s3://logs", Some(&without), "`object_storage`"),
            ("s3:///lab", Some(&with), "s3://bucket"),
        ] {
            let error = place(text, plan).unwrap_err().to_string();
            assert!(error.starts_with(text) && error.contains(told), "{error}");
        }
    }
}
