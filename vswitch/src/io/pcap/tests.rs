mod variants;

use super::*;
use crate::io::{Frame, PortIo};
use proptest::prelude::*;
use std::io::Cursor;

fn read(bytes: &[u8]) -> Result<Vec<Captured>, PcapError> {
    PcapReader::new("in.pcap", Cursor::new(bytes))?.collect()
}

fn captured(time_ns: u64, byte: u8) -> Captured {
    Captured {
        time_ns,
        frame: vec![byte; 60],
        wire_len: 1500,
        macs: Macs::Both,
    }
}

fn written(frames: &[Captured]) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new()).unwrap();
    for Captured {
        time_ns,
        frame,
        wire_len,
        ..
    } in frames
    {
        writer.write(*time_ns, frame, *wire_len).unwrap();
    }
    writer.into_inner().unwrap()
}

/// A pcapng file of the given blocks behind a section header, in either byte order.
fn ng(big: bool, blocks: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let word = |value: u32| {
        if big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    };
    let section = [&word(0x1a2b_3c4d)[..], &[0; 12]].concat();
    let mut file = Vec::new();
    for (kind, body) in std::iter::once(&(0x0a0d_0d0a, section)).chain(blocks) {
        let padded = body.len().next_multiple_of(4);
        let len = word(padded as u32 + 12);
        file.extend(
            [
                &word(*kind),
                &len[..],
                body,
                &vec![0; padded - body.len()],
                &len,
            ]
            .concat(),
        );
    }
    file
}

fn enhanced(big: bool, interface: u32, stamp: u64, frame: &[u8]) -> (u32, Vec<u8>) {
    let words = [
        interface,
        (stamp >> 32) as u32,
        stamp as u32,
        frame.len() as u32,
        1500,
    ];
    let bytes = words.map(|value| {
        if big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    });
    (6, [bytes.as_flattened(), frame].concat())
}

#[test]
fn what_is_written_is_read_back_to_the_nanosecond() {
    let frames = [
        captured(1_700_000_000_123_456_789, 1),
        captured(1_700_000_001_000_000_001, 2),
    ];
    assert_eq!(read(&written(&frames)).unwrap(), frames);
}

#[test]
fn both_byte_orders_and_both_units_are_read() {
    for (magic, unit_ns) in [(0xa1b2_c3d4_u32, 1000), (0xa1b2_3c4d, 1)] {
        let words = [magic, 0x0004_0002, 0, 0, 65_535, 1, 7, 5, 4, 60];
        let frame = [9; 4];
        let little: Vec<u8> = words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .chain(frame)
            .collect();
        let big: Vec<u8> = words
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .chain(frame)
            .collect();
        let expected = [Captured {
            time_ns: 7_000_000_000 + 5 * unit_ns,
            frame: frame.to_vec(),
            wire_len: 60,
            macs: Macs::Both,
        }];
        assert_eq!(read(&little).unwrap(), expected);
        assert_eq!(read(&big).unwrap(), expected);
    }
}

#[test]
fn pcapng_is_read_with_its_clocks_and_passes_over_what_is_no_packet() {
    for big in [false, true] {
        let word16 = |value: u16| {
            if big {
                value.to_be_bytes()
            } else {
                value.to_le_bytes()
            }
        };
        let microseconds = [&word16(1)[..], &[0; 6]].concat();
        let nanoseconds = [&microseconds, &word16(9)[..], &word16(1), &[9, 0, 0, 0]].concat();
        let file = ng(
            big,
            &[
                (1, microseconds),
                (1, nanoseconds),
                (5, vec![0; 20]),
                enhanced(big, 0, 1_700_000_000_000_001, &[1; 61]),
                enhanced(big, 1, 1_700_000_000_000_000_007, &[2; 60]),
            ],
        );
        let frames = read(&file).unwrap();
        let times: Vec<_> = frames.iter().map(|captured| captured.time_ns).collect();
        assert_eq!(
            times,
            [1_700_000_000_000_001_000, 1_700_000_000_000_000_007]
        );
        assert_eq!(
            (frames[0].frame.as_slice(), frames[0].wire_len),
            (&[1; 61][..], 1500)
        );
    }
}

#[test]
fn an_error_names_the_file_the_byte_and_the_remedy() {
    let frames = written(&[captured(1, 1), captured(2, 2)]);
    let cut = &frames[..frames.len() - 1];
    let mut reader = PcapReader::new("in.pcap", cut).unwrap();
    assert!(reader.next().unwrap().is_ok());
    let error = reader.next().unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "in.pcap, byte 100: the file ends within a frame; what came before it was read"
    );
    assert!(
        reader.next().is_none(),
        "a reader ends with its first error"
    );

    let mut radio = written(&[]);
    radio[20] = 127;
    assert!(
        read(&radio)
            .unwrap_err()
            .to_string()
            .contains("link type is 127")
    );
    let error = read(b"\xfd7zXZ").unwrap_err().to_string();
    assert!(error.contains("xz -dc FILE"), "{error}");
    assert!(matches!(
        read(b"").unwrap_err().problem,
        Problem::NotACapture
    ));
    assert!(matches!(
        read(b"#!/bin/sh\n").unwrap_err().problem,
        Problem::NotACapture
    ));
    let error = read(&ng(false, &[enhanced(false, 3, 0, &[])])).unwrap_err();
    assert!(matches!(error.problem, Problem::NoInterface(3)), "{error}");
}

#[test]
fn a_length_beyond_the_limit_is_refused_before_memory_is_taken() {
    let mut file = written(&[captured(1, 1)]);
    file[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(
        read(&file).unwrap_err().problem,
        Problem::Length { .. }
    ));
}

#[test]
fn captures_are_merged_by_time_and_each_keeps_its_own_order() {
    let [first, second] =
        [[10, 30, 20], [10, 15, 40]].map(|times| written(&times.map(|time| captured(time, 0))));
    let readers = [&first, &second].map(|file| PcapReader::new("x", file.as_slice()).unwrap());
    let order: Vec<_> = merge(readers)
        .map(|item| item.map(|(from, c)| (from, c.time_ns)).unwrap())
        .collect();
    assert_eq!(
        order,
        [(0, 10), (1, 10), (1, 15), (0, 30), (0, 20), (1, 40)]
    );
}

#[test]
fn a_pcap_port_writes_what_it_is_sent_with_its_time() {
    let mut port = PcapPort::new(PcapWriter::new(Vec::new()).unwrap());
    port.set_time(42);
    let whole = [[0; packet::VNET_HDR_LEN].as_slice(), &[7; 60]].concat();
    port.send(Frame::new(&whole, 1).unwrap());
    assert_eq!(port.flush().delivered, 1);
    let frames = read(&port.finish().unwrap()).unwrap();
    assert_eq!(
        frames,
        [Captured {
            time_ns: 42,
            frame: vec![7; 60],
            wire_len: 60,
            macs: Macs::Both,
        }]
    );
}

#[test]
fn a_frame_whose_header_contradicts_it_is_lost_and_counted_whole() {
    let mut port = PcapPort::new(PcapWriter::new(Vec::new()).unwrap());
    // TCP segmentation of 1448 bytes, over a frame that is no TCP.
    let header = [1, 1, 0, 0, 0xa8, 5, 34, 0, 16, 0];
    let whole = [&header[..], &[7; 60]].concat();
    port.send(Frame::new(&whole, 3).unwrap());
    let sent = port.flush();
    assert_eq!(
        (sent.delivered, sent.lost, sent.finished_in_software),
        (0, 3, 1)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_make_a_reader_panic(kind in 0..3, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let head = match kind {
            0 => written(&[]),
            1 => ng(false, &[(1, vec![1, 0, 0, 0, 0, 0, 0, 0])]),
            _ => ng(true, &[(1, vec![0, 1, 0, 0, 0, 0, 0, 0])]),
        };
        let _ = read(&[head, bytes.clone()].concat());
        let _ = read(&bytes);
    }

    #[test]
    fn no_damage_to_a_capture_makes_a_reader_panic(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
    ) {
        let interface = (1, vec![1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 9, 0, 0, 0]);
        for mut file in [written(&[captured(1, 1)]), ng(false, &[interface, enhanced(false, 0, 1, &[1; 20])])] {
            let at = at.index(file.len());
            file[at] = byte;
            file.truncate(cut.index(file.len()).max(1));
            let _ = read(&file);
        }
    }
}
