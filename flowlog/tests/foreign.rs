//! The files in the hands of programs that others wrote (the matrix of `docs/formats.md`).
//!
//! The readers are Python packages, fetched once into `target/tmp/foreign-readers`.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

#[path = "foreign/engines.rs"]
mod engines;
#[path = "foreign/readers.rs"]
mod readers;
mod support;

use flowlog::{
    Account, AwsKey, AwsText, AwsVersion, Compression, Field, Format, Layout, LoggerSpec,
    Partition, Profile,
};
use packet::Verdict;
use std::{num::NonZeroU32, path::Path};
use support::*;

/// Packets of the flows below, and how many of them were refused.
const PACKETS: u64 = 55;

/// One minute of ten flows, five of them refused, in every given format; port 2 has nothing to report.
fn write(formats: &[Format], fields: &[Field], directory: &Path) {
    let specs: Vec<_> = (1..)
        .zip(formats)
        .map(|(n, format)| LoggerSpec {
            format: format.clone(),
            fields: fields.to_vec(),
            no_data_rows: true,
            layout: Layout {
                partition: Partition::parse("year=#{year}/month=#{month}").unwrap(),
                ..Layout::default()
            },
            ..logger(n, directory)
        })
        .collect();
    let mut collector = collector(&specs);
    for n in 1..=10 {
        let verdict: Verdict = if n % 2 == 0 { ACCEPT } else { DROP };
        collector.observe(
            minute(0),
            &Lab::new(),
            &sent(udp(n, 53), verdict, packets(n.into())),
        );
    }
    let closed = collector.close(minute(0), &Lab::new(), &[]);
    assert!(closed.iter().all(|closed| closed.rows == 11));
}

fn every_format() -> Vec<Format> {
    use Compression::{Gzip, Raw, Zstd};
    let all = [Raw, Gzip, Zstd];
    all.map(Format::Csv)
        .into_iter()
        .chain(all.map(Format::Parquet))
        .collect()
}

#[test]
fn duckdb_reads_every_format_with_its_types_and_hive_folders() {
    let dir = TempDir::new().unwrap();
    write(&every_format(), Field::NHN_24, dir.path());
    let Some(said) = readers::run("duckdb_reads.py", &[dir.path()]) else {
        return;
    };
    let lines: Vec<&str> = said.lines().collect();
    let sums = format!("11 10 {PACKETS} {} NODATA OK", PACKETS * 100);
    for (line, extension) in lines.iter().zip(["csv", "csv.gz", "csv.zst"]) {
        assert_eq!(
            *line,
            format!("{extension} {sums} BIGINT BIGINT BIGINT VARCHAR 2026 11")
        );
    }
    for line in &lines[3..] {
        assert_eq!(
            *line,
            format!("parquet {sums} BIGINT INTEGER BIGINT VARCHAR 2026 11")
        );
    }
    assert_eq!(lines.len(), 6);
}

#[test]
fn pyarrow_sees_typed_columns_with_dictionaries_statistics_and_codecs() {
    let dir = TempDir::new().unwrap();
    write(&every_format(), Field::ALL, dir.path());
    let Some(said) = readers::run("pyarrow_reads.py", &[dir.path()]) else {
        return;
    };
    for extension in ["csv", "csv.gz", "csv.zst"] {
        let head = format!("{extension} 11 55 int64");
        assert!(said.lines().any(|line| line == head), "{said}");
    }
    for codec in ["UNCOMPRESSED", "GZIP", "ZSTD"] {
        let head = format!("parquet {codec} 1.0 11 55");
        assert!(said.lines().any(|line| line == head), "{said}");
    }
    for column in [
        "timestamp_start int64 required False True",
        "packets int64 null False True",
        "src_port int32 null False True",
        "src_addr string null True True",
        "status string required True True",
        "is_reply bool null False True",
        "skipped_packets int64 required False True",
    ] {
        assert!(
            said.lines().any(|line| line.trim() == column),
            "{column}: {said}"
        );
    }
}

#[test]
fn pandas_reads_csv_gzip_and_parquet() {
    let dir = TempDir::new().unwrap();
    write(&every_format(), Field::NHN_18, dir.path());
    let Some(said) = readers::run("pandas_reads.py", &[dir.path()]) else {
        return;
    };
    let lines: Vec<&str> = said.lines().collect();
    let parquet = format!("parquet 11 {PACKETS} 5");
    let csv = ["csv", "csv.gz"].map(|extension| format!("{extension} 11 {PACKETS} 5"));
    assert_eq!(
        lines,
        [csv.as_slice(), &[parquet.clone(), parquet.clone(), parquet]].concat()
    );
}

#[test]
fn flowlogs_reader_finds_and_reads_the_aws_profiles_parts_included() {
    for version in [AwsVersion::V2, AwsVersion::V5] {
        let dir = TempDir::new().unwrap();
        let account = Account::parse("123456789012").unwrap();
        let aws = AwsKey {
            account: account.clone(),
            region: "KR1".into(),
            by_hour: version == AwsVersion::V5,
        };
        let spec = LoggerSpec {
            fields: Profile::Aws(version).fields(),
            no_data_rows: true,
            format: Format::Aws(AwsText { version, account }),
            layout: Layout {
                aws: Some(aws),
                rows_per_file: NonZeroU32::new(2).unwrap(),
                ..Layout::default()
            },
            ..logger(1, dir.path())
        };
        let mut collector = collector(&[spec]);
        for (n, verdict) in [(1, ACCEPT), (2, DROP)] {
            collector.observe(
                minute(0),
                &Lab::new(),
                &sent(udp(n, 53), verdict, packets(n.into())),
            );
        }
        collector.close(minute(0), &Lab::new(), &[]);
        let root = dir.path().join("1");
        let Some(said) = readers::run("flowlogs_reader_reads.py", &[&root]) else {
            return;
        };
        let in_sql = readers::run("tables_read_aws.py", &[&root]).unwrap();
        assert_eq!(in_sql, "duckdb 3 3 BIGINT\npandas 3 3\n");
        let v = if version == AwsVersion::V2 { 2 } else { 5 };
        assert_eq!(
            said.lines().collect::<Vec<_>>(),
            [
                format!("{v} 123456789012 10.77.1.11 53 17 1 ACCEPT OK 05:00:00"),
                format!("{v} 123456789012 10.77.1.11 53 17 2 REJECT OK 05:00:00"),
                format!("{v} 123456789012 None None None None None NODATA 05:00:00"),
            ]
        );
    }
}

/// The first query of `docs/formats.md` that takes files of several profiles together.
fn query_of_the_docs(directory: &Path) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/formats.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let mut queries = docs.split("```sql\n").skip(1);
    let query = queries
        .find(|query| query.contains("union_by_name"))
        .unwrap();
    let query = query.split_once("```").unwrap().0;
    query.replace("'flowlogs/", &format!("'{}/", directory.display()))
}

#[test]
fn the_query_of_the_docs_says_who_was_refused_lately_and_why_whatever_the_profiles() {
    let dir = TempDir::new().unwrap();
    let now = std::time::SystemTime::now();
    let now_s = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let minute = |ago: u64| flowlog::Window::of(now_s - ago * 60, 60);
    let profiles = [Profile::Lab, Profile::Nhn18];
    let specs: Vec<_> = (1..)
        .zip(profiles)
        .map(|(n, profile)| LoggerSpec {
            fields: profile.fields(),
            ..logger(n, dir.path())
        })
        .collect();
    let mut collector = collector(&specs);
    let lab = Lab::new();
    // An empty interval first and last: a header alone.
    for ago in [20, 10, 2, 1] {
        let count = if ago == 20 || ago == 1 { 0 } else { ago };
        if count > 0 {
            let refused = sent(udp(2, 53), DROP, packets(u32::try_from(count).unwrap()));
            collector.observe(minute(ago), &lab, &refused);
            collector.observe(minute(ago), &lab, &sent(udp(2, 80), ACCEPT, packets(1)));
        }
        collector.close(minute(ago), &lab, &[]);
    }
    let query = dir.path().join("query.sql");
    std::fs::write(&query, query_of_the_docs(dir.path())).unwrap();
    let Some(said) = readers::run("duckdb_query.py", &[&query]) else {
        return;
    };
    let mut rows: Vec<&str> = said
        .lines()
        .map(|row| row.split_once(',').unwrap().1)
        .collect();
    rows.sort_unstable();
    assert_eq!(
        rows,
        [
            "None,None,egress,17,10.77.1.11,10.77.1.12,53,None,2",
            "port1,port2,egress,17,10.77.1.11,10.77.1.12,53,default_deny,2",
        ]
    );
}
