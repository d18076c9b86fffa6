//! What a mistake in a logger's settings is told, word by word: the configuration checker shows
//! these texts as they are.

use flowlog::{Field, FileName, Format, Partition, Zone, read::TextReader};
use proptest::prelude::*;

const NAME: &str = "#{logger_id}_#{year}-#{month}-#{day}T#{hour}:#{minute}:#{second}";

#[test]
fn what_is_right_is_taken() {
    for partition in [
        "HOUR",
        "DAY",
        "year=#{year}/m-#{month}/#{day}_#{hour}",
        "flat",
    ] {
        assert!(Partition::parse(partition).is_ok(), "{partition}");
    }
    assert!(FileName::parse(NAME).is_ok());
    assert!(FileName::parse(&NAME.replace(':', "")).is_ok());
    assert_eq!(Field::parse_list("nhn-18").unwrap(), Field::NHN_18);
    assert_eq!(
        Field::parse_list("nhn-18, reason").unwrap(),
        [Field::NHN_18, &[Field::Reason]].concat()
    );
    assert_eq!(
        Field::from_names(["lab"]).unwrap(),
        [Field::NHN_18, Field::LAB_NAMES].concat()
    );
    assert_eq!(Field::parse_list("bytes").unwrap(), [Field::Bytes]);
    assert_eq!(
        Field::from_names(["bytes", "packets"]).unwrap(),
        [Field::Bytes, Field::Packets]
    );
    assert_eq!(Format::parse("CSV", "RAW").unwrap().extension(), ".csv");
    assert!(Zone::parse("UTC").is_ok());
}

#[test]
fn a_wrong_partition_is_told_what_to_write() {
    let long = "x".repeat(256);
    let cases = [
        (
            "",
            "the partition is empty; write HOUR, DAY or a template such as year=#{year}/month=#{month}",
        ),
        (&long, "the partition has 256 bytes; write at most 255"),
        (
            "#{year}/../x",
            "`.` may not stand in a partition; use digits, letters, / - _ = and #{year} #{month} #{day} #{hour}",
        ),
        (
            "a b",
            "` ` may not stand in a partition; use digits, letters, / - _ = and #{year} #{month} #{day} #{hour}",
        ),
        (
            "#{year}/#",
            "`#` may not stand in a partition; use digits, letters, / - _ = and #{year} #{month} #{day} #{hour}",
        ),
        (
            "#{year",
            "a `#{` of the partition is not closed; write the variable as #{year}",
        ),
        (
            "#{YEAR}",
            "`#{YEAR}` is no variable of a partition; use #{year}, #{month}, #{day} and #{hour}",
        ),
        (
            "#{minute}",
            "`#{minute}` is no variable of a partition; use #{year}, #{month}, #{day} and #{hour}",
        ),
        (
            "#{logger_id}",
            "`#{logger_id}` is no variable of a partition; use #{year}, #{month}, #{day} and #{hour}",
        ),
        (
            "/#{year}",
            "a folder of the partition `/#{year}` has no name; write one / between two folders and none at the ends",
        ),
        (
            "#{year}//x",
            "a folder of the partition `#{year}//x` has no name; write one / between two folders and none at the ends",
        ),
        (
            "x/",
            "a folder of the partition `x/` has no name; write one / between two folders and none at the ends",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(Partition::parse(text).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_wrong_file_name_is_told_what_to_write() {
    let cases = [
        (String::new(), format!("the file name is empty; leave customized_file_name out or write {NAME}")),
        (format!("{NAME}{}", "x".repeat(200)), "the file name has 264 bytes; write at most 200".into()),
        (format!("a/{NAME}"), "`/` may not stand in a file name; folders belong into partition_period".into()),
        (format!(".{NAME}"), "`.` may not stand in a file name; use digits, letters, - _ = : and the variables".into()),
        (format!("{NAME}#{{"), "a `#{` of the file name is not closed; write the variable as #{year}".into()),
        (format!("{NAME}#{{id}}"), "`#{id}` is no variable of a file name; use #{logger_id}, #{year}, #{month}, #{day}, #{hour}, #{minute} and #{second}".into()),
        (NAME.replace("#{second}", ""), "the file name lacks #{second}; use each of the seven variables exactly once, or two intervals may share a name".into()),
        (format!("{NAME}#{{day}}#{{day}}"), "the file name has #{day} 3 times; use each of the seven variables exactly once".into()),
    ];
    for (text, message) in cases {
        assert_eq!(FileName::parse(&text).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_wrong_list_of_fields_is_told_what_to_write() {
    let profiles = "nhn-18, nhn-24, lab, aws-v2, aws-v5";
    let all = "timestamp_start, timestamp_end, interface_id, vm_id, subnet_id, vpc_id, region, protocol, src_addr, dst_addr, src_port, dst_port, tcp_flag, packets, bytes, direction, filter, status, owner_type, owner_id, transithub_drop_no_route_packets, transithub_drop_no_route_bytes, transithub_drop_black_hole_packets, transithub_drop_black_hole_bytes, traffic_path, reason, rule_id, security_group_id, security_group_name, is_reply, connections, icmp_type, icmp_code, tcp_flags_all, first_ns, last_ns, policy_epoch, interface_name, instance_name, peer_name, mac_src, mac_dst, skipped_packets, skipped_bytes";
    let cases = [
        (
            "",
            format!(
                "the list of fields is empty; write one of the profiles {profiles} or name at least one field"
            ),
        ),
        (
            "packets,colour",
            format!(
                "`colour` is neither a field nor a profile; the profiles are {profiles}, the fields are {all}"
            ),
        ),
        (
            "bytes, packets, bytes",
            "the field `bytes` is named twice; name each field once".into(),
        ),
        (
            "nhn-18, bytes",
            "the field `bytes` is named twice; name each field once".into(),
        ),
        (
            "reason, nhn-18",
            "the profile `nhn-18` can only begin a list; write it first, and the further fields behind it".into(),
        ),
        (
            "aws-v5, reason",
            "the profile `aws-v5` is a form of its own and takes no further fields; write it alone".into(),
        ),
    ];
    for (text, message) in cases {
        assert_eq!(Field::parse_list(text).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_wrong_format_or_zone_is_told_what_to_write() {
    let format = |log_format, compression| {
        Format::parse(log_format, compression)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        format("JSON", "RAW"),
        "`JSON` is no log format; write CSV or PARQUET"
    );
    assert_eq!(
        format("CSV", "ZIP"),
        "`ZIP` is no compression; write RAW, GZIP or ZSTD"
    );
    let zone = Zone::parse("Asia/Soul").unwrap_err().to_string();
    assert_eq!(
        zone,
        "`Asia/Soul` is not a time zone of this system; write an IANA name such as UTC or Asia/Seoul (package tzdata)"
    );
}

proptest! {
    #[test]
    fn nothing_that_is_read_panics_and_a_reader_always_ends(text: String, lines: Vec<u8>, cut in 0..20_usize) {
        let _ = (Partition::parse(&text), FileName::parse(&text), Field::parse_list(&text));
        let around: String = NAME.chars().take(cut).chain(text.chars()).collect();
        let _ = (Partition::parse(&around), FileName::parse(&around));
        let file = [b"packets,src_addr,region\n", lines.as_slice()].concat();
        let rows = TextReader::new("x", file.as_slice()).map(Iterator::count);
        prop_assert!(rows.is_ok_and(|rows| rows <= lines.len()));
    }
}

#[test]
fn every_field_is_explained_in_the_document() {
    let document = include_str!("../../docs/formats.md");
    for field in Field::ALL {
        let name = format!("`{field}`");
        assert!(document.contains(&name), "docs/formats.md lacks {name}");
    }
}
