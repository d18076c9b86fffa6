//! `vswitch logs` over a bucket.

#![allow(clippy::unwrap_used, reason = "a test may stop")]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the store can do more than is asked of it here"
)]

#[path = "../../flowlog/tests/support/s3/mod.rs"]
mod s3;

use s3::{ACCESS, BUCKET, REGION, SECRET, Server};
use std::fs;
use std::path::Path;
use std::process::Command;

const PREFIX: &str = "lab/a/2026/11/23/05";
const LOGGER: &str = "00000001-0000-5000-8000-000000000000";

/// A store with two objects of a log, and the configuration that leads to it.
fn scene() -> (Server, tempfile::TempDir) {
    let server = Server::start();
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in [("access", ACCESS), ("secret", SECRET)] {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let at = |name: &str| directory.path().join(name).display().to_string();
    let (access, secret, endpoint) = (at("access"), at("secret"), &server.endpoint);
    let config = format!(
        "region: {REGION}\nvpcs: [{{ name: lab }}]\nsubnets: [{{ name: app, vpc: lab, cidr: 10.77.1.0/24 }}]\n\
         ports: [{{ name: vm1, subnet: app, fixed_ips: [10.77.1.11], tap: {{ name: t1 }} }}]\n\
         flowlog_loggers: [{{ name: archive, resource_type: VPC, resource: lab, storage_type: OBS, \
         storage_url: 's3://{BUCKET}/lab/a' }}]\n\
         object_storage: {{ endpoint: '{endpoint}', access_key_file: '{access}', secret_key_file: '{secret}' }}\n"
    );
    fs::write(directory.path().join("lab.yaml"), config).unwrap();
    let header =
        "src_addr,dst_addr,protocol,dst_port,direction,filter,packets,bytes,security_group_id";
    let rows = [
        "10.77.1.11,10.77.1.12,6,80,egress,ACCEPT,3,300,11111111-0000-5000-8000-000000000000",
        "192.0.2.7,10.77.1.11,6,22,ingress,DROP,9,540,",
    ];
    for (minute, row) in rows.iter().enumerate() {
        let key = format!("{PREFIX}/{LOGGER}_2026-11-23T05:0{minute}:00Z.csv");
        let text = format!("{header}\n{row}\n");
        server.state().objects.insert(key, text.into_bytes());
    }
    let probe = format!("lab/a/_vswitch_probe_{LOGGER}");
    server.state().objects.insert(probe, b"probe".to_vec());
    (server, directory)
}

fn logs(directory: &Path, words: &str) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_vswitch"))
        .arg("logs")
        .args(words.split_whitespace())
        .current_dir(directory)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn a_bucket_is_read_filtered_sorted_and_summed_like_a_directory() {
    let (_server, directory) = scene();
    for place in ["", "s3://flowlogs/lab/a/", "s3://flowlogs/lab/a/2026"] {
        let words = format!("{place} --config lab.yaml --json --sort packets");
        let (code, out, err) = logs(directory.path(), &words);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{place}");
        let packets: Vec<_> = out
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["packets"].clone())
            .collect();
        assert_eq!(packets, [9, 3]);
    }
    let (_, out, _) = logs(
        directory.path(),
        "s3://flowlogs/lab --config lab.yaml --verdict DROP --csv",
    );
    assert_eq!(out.lines().count(), 2, "{out}");
    let (_, out, _) = logs(directory.path(), "--config lab.yaml --summary");
    for part in [
        "Top talkers",
        "Top refused",
        "192.0.2.7",
        "Security groups",
        "11111111-",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
}

#[test]
fn what_is_wrong_with_a_bucket_is_told_apart() {
    let (server, directory) = scene();
    let (code, _, err) = logs(directory.path(), "s3://flowlogs/lab");
    assert!(code == Some(2) && err.contains("--config"), "{err}");
    let (code, _, err) = logs(directory.path(), "s3://absent --config lab.yaml");
    assert!(
        code == Some(1) && err.contains("there is no bucket absent"),
        "{err}"
    );
    server.state().unreadable = true;
    let (code, _, err) = logs(directory.path(), "--config lab.yaml");
    assert!(
        code == Some(1) && err.contains("may not list and read"),
        "{err}"
    );
    fs::write(directory.path().join("secret"), "wrong").unwrap();
    let (code, _, err) = logs(directory.path(), "--config lab.yaml");
    assert!(
        code == Some(1) && err.contains("does not belong to the access key"),
        "{err}"
    );
}

#[test]
fn an_object_that_is_no_log_is_told_and_the_rest_is_read() {
    let (server, directory) = scene();
    let key = format!("{PREFIX}/broken.csv");
    server
        .state()
        .objects
        .insert(key.clone(), b"\0\xff\n".to_vec());
    let (code, out, err) = logs(directory.path(), "--config lab.yaml --json");
    assert_eq!((code, out.lines().count()), (Some(1), 2));
    assert!(err.contains(&format!("s3://{BUCKET}/{key}")), "{err}");
}

#[test]
fn a_prefix_may_have_a_plus_and_a_key_longer_than_any_is_left_out_with_a_word() {
    let (server, directory) = scene();
    let row = "dst_port,packets\n7,1\n".to_owned().into_bytes();
    let prefix = "lab/a+b@c,d$e";
    let objects = [
        format!("{prefix}/x.csv"),
        format!("{prefix}/{}.csv", "y".repeat(2000)),
    ];
    for key in objects {
        server.state().objects.insert(key, row.clone());
    }
    let config = fs::read_to_string(directory.path().join("lab.yaml")).unwrap();
    let config = config.replace("/lab/a'", &format!("/{prefix}'"));
    fs::write(directory.path().join("plus.yaml"), config).unwrap();
    for place in ["", "s3://flowlogs/lab/a+b@c,d$e "] {
        let (code, out, err) = logs(
            directory.path(),
            &format!("{place}--config plus.yaml --csv"),
        );
        assert_eq!(out, "dst_port,packets\n7,1\n", "{place}: {err}");
        assert_eq!(code, Some(1));
        assert!(
            err.contains("1 objects are left out: their keys are longer"),
            "{err}"
        );
    }
}
