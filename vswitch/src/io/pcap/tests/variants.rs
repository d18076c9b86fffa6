//! Captures as tools write them: compressed, of several interfaces, sections and clocks.

use super::*;
use std::io::Write as _;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// A reader's frames, and what it did not read.
fn read_all(file: &[u8]) -> (Vec<Captured>, Vec<Foreign>) {
    let mut reader = PcapReader::new("in", file).unwrap();
    let frames = reader.by_ref().map(Result::unwrap).collect();
    let foreign = reader.foreign().collect();
    (frames, foreign)
}

/// An interface description in little-endian: link type, snap length, options.
fn interface(link_type: u16, snap_len: u32, options: &[u8]) -> (u32, Vec<u8>) {
    let body = [
        &link_type.to_le_bytes(),
        &[0; 2],
        &snap_len.to_le_bytes()[..],
        options,
    ];
    (1, body.concat())
}

#[test]
fn compressed_captures_are_read_whatever_they_are_called() {
    let frames = [captured(1, 1), captured(2, 2)];
    let plain = written(&frames);
    let (first, second) = plain.split_at(60);
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 7, 7];
    for packed in [
        gzip(&plain),
        zstd(&plain),
        [gzip(first), gzip(second)].concat(),
        [&skippable[..], &zstd(first), &zstd(second)].concat(),
    ] {
        assert_eq!(read(&packed).unwrap(), frames);
    }
}

#[test]
fn a_compressed_capture_that_breaks_off_gives_what_came_before() {
    // Bytes that do not become less by much.
    let noise = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    let frames: Vec<_> = (0..2000)
        .map(|n| Captured {
            frame: (n..n + 60).flat_map(noise).collect(),
            ..captured(n, 0)
        })
        .collect();
    for packed in [gzip(&written(&frames)), zstd(&written(&frames))] {
        let cut = &packed[..packed.len() / 2];
        let mut reader = PcapReader::new("in.pcap", cut).unwrap();
        let whole = reader.by_ref().take_while(Result::is_ok).count();
        assert!(whole < 2000);
        let error = read(cut).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error.problem, Problem::CutOff(_)), "{text}");
        assert!(text.contains(" unpacked: the file ends within"), "{text}");
    }
}

#[test]
fn an_interface_of_another_link_type_is_lost_alone_and_counted() {
    let file = ng(
        false,
        &[
            interface(1, 0, &[]),
            interface(127, 0, &[]),
            enhanced(false, 1, 1, &[1; 60]),
            enhanced(false, 0, 2, &[2; 60]),
            enhanced(false, 1, 3, &[3; 60]),
        ],
    );
    let (frames, foreign) = read_all(&file);
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0].frame, [2; 60]);
    let lost = Foreign {
        interface: 1,
        link_type: 127,
        frames: 2,
    };
    assert_eq!(foreign, [lost]);
}

#[test]
fn a_capture_of_foreign_interfaces_alone_is_refused_by_its_link_type() {
    let frames = [interface(127, 0, &[]), enhanced(false, 0, 1, &[1; 60])];
    let error = read(&ng(false, &frames)).unwrap_err();
    assert!(matches!(error.problem, Problem::LinkType(127)), "{error}");
}

#[test]
fn each_section_has_its_own_byte_order_and_interfaces() {
    let second = (1, vec![0, 1, 0, 0, 0, 0, 0, 0]);
    let file = [
        ng(
            false,
            &[interface(101, 0, &[]), enhanced(false, 0, 1, &[0x45; 20])],
        ),
        ng(true, &[second, enhanced(true, 0, 2, &[2; 60])]),
    ]
    .concat();
    let frames = read(&file).unwrap();
    let macs: Vec<_> = frames.iter().map(|frame| frame.macs).collect();
    assert_eq!(macs, [Macs::None, Macs::Both]);
    assert_eq!(frames[1].time_ns, 2000);
}

#[test]
fn clocks_count_in_their_unit_and_from_their_offset() {
    // if_tsresol 2^-10, if_tsoffset 100 s.
    let binary = [9, 0, 1, 0, 0x8a, 0, 0, 0];
    let offset = [&[14, 0, 8, 0][..], &100_u64.to_le_bytes()].concat();
    let file = ng(
        false,
        &[
            interface(1, 0, &[&binary[..], &offset].concat()),
            interface(1, 0, &[9, 0, 1, 0, 3, 0, 0, 0]),
            enhanced(false, 0, 1536, &[1; 60]),
            enhanced(false, 1, 1_700_000_000_001, &[2; 60]),
        ],
    );
    let (frames, _) = read_all(&file);
    let times: Vec<_> = frames.iter().map(|frame| frame.time_ns).collect();
    assert_eq!(times, [101_500_000_000, 1_700_000_000_001_000_000]);
}

#[test]
fn a_simple_packet_is_as_long_as_it_is_where_its_interface_has_no_snap_length() {
    let simple = |len: u32, kept: usize| (3, [&len.to_le_bytes()[..], &vec![7; kept]].concat());
    let (frames, _) = read_all(&ng(false, &[interface(1, 0, &[]), simple(60, 60)]));
    assert_eq!((frames[0].frame.len(), frames[0].wire_len), (60, 60));
    let (frames, _) = read_all(&ng(false, &[interface(1, 20, &[]), simple(60, 20)]));
    assert_eq!((frames[0].frame.len(), frames[0].wire_len), (20, 60));
}
