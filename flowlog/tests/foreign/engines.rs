//! Engines that read a folder of Hive folders at once: Polars, chDB, pyarrow's datasets and Spark. The first
//! and the last file, which some of them take the columns' types from, hold the header alone.

use crate::{
    readers,
    support::{ACCEPT, Lab, TempDir, collector, logger, minute, packets, sent, udp},
};
use flowlog::{Compression, EmptyIntervals, FileName, Format, Partition, PortInfo, Ports, Storage};
use std::{fs, path::Path, process::Command};

/// Twelve flows in two hours, beside a row NODATA in each of four minutes: rows, packets, and rows of the
/// hours 08 and 09, which are no octal numbers.
const HOURS: &str = "16 24 8 8";
/// The same of a reader that makes no columns of folders.
const PLAIN: &str = "16 24";

/// The folders, named by how their files end, with quiet intervals written as files with the header alone.
const CSV: [&str; 3] = ["1-csv", "2-csv.gz", "3-csv.zst"];
const PARQUET: [&str; 3] = ["4-parquet", "5-parquet", "6-parquet"];
/// The one without quiet intervals (`empty_intervals: skip`).
const SKIPPED: &str = "7-csv";

#[test]
fn polars_chdb_and_pyarrow_read_hours_with_quiet_files_first_and_last_as_the_docs_say() {
    let Some(said) = read("others") else { return };
    let mut expected = Vec::new();
    for name in CSV {
        // What is guessed from files without rows does not fit the others.
        expected.push(format!(
            "polars {name} as it is: fails: InvalidOperationError"
        ));
        expected.push(format!("polars {name} types named: {PLAIN}"));
        expected.push(format!("chdb {name} as it is: fails: RuntimeError"));
        expected.push(format!("chdb {name} format named: {HOURS}"));
        if name != "3-csv.zst" {
            expected.push(format!("pyarrow {name} as it is: fails: ArrowInvalid"));
            expected.push(format!("pyarrow {name} types named: {HOURS}"));
        }
    }
    for name in PARQUET {
        for engine in ["polars", "chdb", "pyarrow"] {
            expected.push(format!("{engine} {name} as it is: {HOURS}"));
        }
    }
    expected.push(format!("polars {SKIPPED} as it is: {PLAIN}"));
    expected.push(format!("polars {SKIPPED} types named: {PLAIN}"));
    expected.push(format!("chdb {SKIPPED} as it is: {HOURS}"));
    expected.push(format!("chdb {SKIPPED} format named: {HOURS}"));
    expected.push(format!("pyarrow {SKIPPED} as it is: {HOURS}"));
    expected.push(format!("pyarrow {SKIPPED} types named: {HOURS}"));
    assert_eq!(said, expected);
}

#[test]
fn spark_reads_hours_with_quiet_files_first_and_last_in_every_format_and_compression() {
    if Command::new("java").arg("-version").output().is_err() {
        eprintln!("skipped: there is no java for Spark");
        return;
    }
    let Some(said) = read("spark") else { return };
    let names = CSV.into_iter().chain(PARQUET).chain([SKIPPED]);
    let expected: Vec<_> = names
        .map(|name| format!("spark {name} as it is: {HOURS}"))
        .collect();
    assert_eq!(said, expected);
}

/// What the engines say of the folders.
fn read(engines: &str) -> Option<Vec<String>> {
    let dir = TempDir::new().unwrap();
    write(dir.path());
    let said = readers::run("engines_read.py", &[dir.path(), Path::new(engines)])?;
    Some(said.lines().map(str::to_owned).collect())
}

fn write(directory: &Path) {
    use Compression::{Gzip, Raw, Zstd};
    let forms = [
        Format::Csv(Raw),
        Format::Csv(Gzip),
        Format::Csv(Zstd),
        Format::Parquet(Raw),
        Format::Parquet(Gzip),
        Format::Parquet(Zstd),
        Format::Csv(Raw),
    ];
    let names = CSV.into_iter().chain(PARQUET).chain([SKIPPED]);
    let specs: Vec<_> = (1..)
        .zip(forms.into_iter().zip(names))
        .map(|(n, (format, name))| {
            let mut spec = logger(n, directory);
            spec.storage = Storage::Directory(directory.join(name));
            spec.format = format;
            spec.no_data_rows = true;
            spec.empty_intervals = match name {
                SKIPPED => EmptyIntervals::Skip,
                _ => EmptyIntervals::Write,
            };
            spec.layout.partition =
                Partition::parse("year=#{year}/month=#{month}/day=#{day}/hour=#{hour}").unwrap();
            spec.layout.file_name = FileName::portable();
            spec
        })
        .collect();
    let mut collector = collector(&specs);
    // The minutes 07:59, 08:00, 08:01, 09:00, 09:01 and 10:00, counted from 05:00.
    for at in [179, 180, 181, 240, 241, 300] {
        let is_quiet = [179, 300].contains(&at);
        for n in 1..=3 {
            let o = sent(udp(n, 53), ACCEPT, packets(n.into()));
            if !is_quiet {
                collector.observe(minute(at), &Lab::new(), &o);
            }
        }
        collector.close(
            minute(at),
            &Members {
                are_there: !is_quiet,
            },
            &[],
        );
    }
    // The first file and the last are as they are meant to be.
    let day = directory.join("1-csv/year=2026/month=11/day=23");
    for hour in ["hour=07", "hour=10"] {
        let file = fs::read_dir(day.join(hour)).unwrap().next().unwrap();
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

/// The ports of the VPC; without them an interval has no row NODATA either, and a file the header alone.
struct Members {
    are_there: bool,
}

impl Ports for Members {
    fn get(&self, _: u16) -> Option<&PortInfo> {
        None
    }

    fn each(&self, visit: &mut dyn FnMut(&PortInfo)) {
        if self.are_there {
            Lab::new().each(visit);
        }
    }
}
