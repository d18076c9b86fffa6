//! What a logger's files look like: fields, format, names. An AWS profile settles all three.

use super::loggers::{Context, accept};
use super::values::{one_of, ranged};
use crate::config::file::{FlowlogLogger, OneOrMany};
use crate::config::mistake::{Findings, quoted};
use crate::config::places::Place;
use flowlog::{
    Account, AwsKey, AwsText, AwsVersion, Compression, Field, FileName, Format, Layout, Partition,
    Profile, Zone,
};
use std::num::NonZeroU32;

/// Rows of a file at most; a file is sent whole, so that its size is bounded too.
const MAX_ROWS_PER_FILE: u64 = 1_000_000;

/// What follows from the keys.
pub(super) struct Output {
    pub(super) fields: Vec<Field>,
    pub(super) no_data_rows: bool,
    pub(super) layout: Layout,
    pub(super) format: Format,
}

pub(super) fn resolve(
    typed: &FlowlogLogger,
    context: &Context<'_>,
    at: &Place,
    findings: &mut Findings,
) -> Output {
    let profile = match &typed.fields {
        None => Some(Profile::Nhn18),
        Some(OneOrMany::One(text)) => Profile::named(text),
        Some(OneOrMany::Many(names)) => {
            let first = names.first().and_then(|name| Profile::named(name));
            first.filter(|profile| profile.begins_lists())
        }
    };
    let (layout, format) = match profile {
        Some(Profile::Aws(version)) => aws(typed, version, context, at, findings),
        _ => {
            if typed.account_id.is_some() {
                findings.mistake(
                    &at.key("account_id"),
                    "`account_id` belongs to the AWS profiles",
                    "leave it out, or write `fields: aws-v5`",
                );
            }
            let format = format(typed, at, findings);
            (layout(typed, &format, context, at, findings), format)
        }
    };
    Output {
        fields: fields(typed, &at.key("fields"), findings),
        no_data_rows: profile.is_some_and(Profile::has_no_data_rows),
        layout,
        format,
    }
}

/// A profile, or a list, which may begin with one, in which every wrong name is a mistake of its own.
fn fields(typed: &FlowlogLogger, at: &Place, findings: &mut Findings) -> Vec<Field> {
    match &typed.fields {
        None => Field::NHN_18.to_vec(),
        Some(OneOrMany::One(text)) => {
            accept(Field::parse_list(text), at, findings).unwrap_or_default()
        }
        Some(OneOrMany::Many(names)) => {
            let before = findings.count();
            for (i, name) in names.iter().enumerate() {
                let known = match Profile::named(name) {
                    Some(profile) => profile.begin_list(i).map(drop),
                    None => name.parse::<Field>().map(drop),
                };
                accept(known, &at.item(i), findings);
            }
            if findings.count() > before {
                return Vec::new();
            }
            let names = names.iter().map(String::as_str);
            accept(Field::from_names(names), at, findings).unwrap_or_default()
        }
    }
}

fn layout(
    typed: &FlowlogLogger,
    format: &Format,
    context: &Context<'_>,
    at: &Place,
    findings: &mut Findings,
) -> Layout {
    let mut layout = Layout {
        zone: context.zone.clone(),
        rows_per_file: rows_per_file(typed, at, findings),
        ..Layout::default()
    };
    if let Some(text) = &typed.partition_period {
        let at = at.key("partition_period");
        check_partition(text, &at, findings);
        if let Some(partition) = accept(Partition::parse(text), &at, findings) {
            text.split('/')
                .for_each(|folder| check_hidden("folder", folder, &at, findings));
            layout.partition = partition;
        }
    }
    let is_for_engines = matches!(format, Format::Parquet(_)) || layout.partition.is_hive();
    if is_for_engines {
        layout.file_name = FileName::portable();
    }
    if let Some(text) = &typed.customized_file_name {
        let at = at.key("customized_file_name");
        if let Some(name) = accept(FileName::parse(text), &at, findings) {
            check_hidden("file name", text, &at, findings);
            if is_for_engines && text.contains(':') {
                let text = "the file name has a colon: Spark, and what else reads by Hadoop, reads no such file \
                            of a local directory";
                findings.notice(&at, text);
            }
            layout.file_name = name;
        }
    }
    if let Some(text) = &typed.time_zone
        && let Some(zone) = accept(Zone::parse(text), &at.key("time_zone"), findings)
    {
        layout.zone = zone;
    }
    layout
}

/// Readers of folders of data (Spark, Hive, pyarrow and their like) leave out what begins so.
fn check_hidden(what: &str, name: &str, at: &Place, findings: &mut Findings) {
    if name.starts_with(['_', '.']) {
        let name = quoted(name);
        findings.notice(
            at,
            format!("the {what} {name} begins with `_` or `.`: many readers of folders leave such names out"),
        );
    }
}

/// A template without a variable is one folder for everything: meant by few, and by nobody who writes
/// `hour`. A bare word in capitals was meant as a period, too: `MONTH`, `MINUTE`.
fn check_partition(text: &str, at: &Place, findings: &mut Findings) {
    let words = ["HOUR", "DAY"];
    if text.is_empty() || text.contains("#{") || words.contains(&text) {
        return;
    }
    let is_meant = words.iter().find(|word| word.eq_ignore_ascii_case(text));
    let is_shouted = text.bytes().all(|byte| byte.is_ascii_uppercase());
    match is_meant {
        Some(word) => {
            let problem = format!("{} is not known here", quoted(text));
            findings.mistake(at, problem, format!("did you mean `{word}`?"));
        }
        None if is_shouted => {
            let problem = format!("{} is no period that is known here", quoted(text));
            let remedy = "write HOUR, DAY or a template in quotes, as \"#{year}/#{month}\"; for one folder of that name, \
                          small letters";
            findings.mistake(at, problem, remedy);
        }
        None => {
            let text = quoted(text);
            findings.notice(
                at,
                format!("{text} has no variable: all files go into one folder"),
            );
        }
    }
}

fn rows_per_file(typed: &FlowlogLogger, at: &Place, findings: &mut Findings) -> NonZeroU32 {
    let Some(rows) = typed.rows_per_file else {
        return flowlog::ROWS_PER_FILE;
    };
    let at = at.key("rows_per_file");
    let rows = ranged(rows, 1..=MAX_ROWS_PER_FILE, " rows", &at, findings);
    let rows = u32::try_from(rows).ok().and_then(NonZeroU32::new);
    rows.expect("the range begins at 1 and fits")
}

/// Format and compression, each with a mistake of its own.
fn format(typed: &FlowlogLogger, at: &Place, findings: &mut Findings) -> Format {
    let log_format = typed.log_format.as_deref().unwrap_or("CSV");
    let compression = typed.compression_type.as_deref().unwrap_or("RAW");
    let format = accept(
        Format::parse(log_format, "RAW"),
        &at.key("log_format"),
        findings,
    );
    let compressed = accept(
        Format::parse("CSV", compression),
        &at.key("compression_type"),
        findings,
    );
    format
        .and(compressed)
        .and_then(|_| Format::parse(log_format, compression).ok())
        .unwrap_or(Format::Csv(Compression::Raw))
}

/// The AWS text form and keys; every key that would ask for something else is a mistake.
fn aws(
    typed: &FlowlogLogger,
    version: AwsVersion,
    context: &Context<'_>,
    at: &Place,
    findings: &mut Findings,
) -> (Layout, Format) {
    let name = Profile::Aws(version).name();
    let others = [
        ("log_format", &typed.log_format, None),
        ("compression_type", &typed.compression_type, Some("GZIP")),
        ("customized_file_name", &typed.customized_file_name, None),
        ("time_zone", &typed.time_zone, Some("UTC")),
    ];
    for (key, value, only) in others {
        if let Some(value) = value
            && Some(value.as_str()) != only
        {
            let problem = format!(
                "{} does not go with `{name}`, which is gzip text under the names of AWS, in UTC",
                quoted(value)
            );
            findings.mistake(&at.key(key), problem, "leave it out");
        }
    }
    let account = account(typed, name, at, findings);
    let by_hour = typed.partition_period.as_deref().is_some_and(|period| {
        let known = [("HOUR", true), ("DAY", false)];
        one_of(period, &known, &at.key("partition_period"), findings) == Some(true)
    });
    let layout = Layout {
        rows_per_file: rows_per_file(typed, at, findings),
        aws: Some(AwsKey {
            account: account.clone(),
            region: context.region.to_owned(),
            by_hour,
        }),
        ..Layout::default()
    };
    (layout, Format::Aws(AwsText { version, account }))
}

fn account(typed: &FlowlogLogger, profile: &str, at: &Place, findings: &mut Findings) -> Account {
    let account = match &typed.account_id {
        Some(text) => accept(Account::parse(text), &at.key("account_id"), findings),
        None => {
            findings.mistake(
                at,
                format!("`{profile}` needs an `account_id`: rows and keys begin with it"),
                "write one, as account_id: \"123456789012\"",
            );
            None
        }
    };
    account.unwrap_or_else(Account::unknown)
}
