//! A frame is parsed once; everything later reads the headers and never the bytes again.
//!
//! Next: `02_judge_a_packet`, what a Security Group says of it.

use anyhow::Result;
use packet::{Headers, Mac, Offload, PacketSpec, build::frame, tcp_flags};
use std::net::Ipv4Addr;

fn main() -> Result<()> {
    let (vm1, vm2) = (
        Mac([0xfa, 0x16, 0x3e, 0, 0, 1]),
        Mac([0xfa, 0x16, 0x3e, 0, 0, 2]),
    );
    let (from, to) = (Ipv4Addr::new(10, 77, 1, 11), Ipv4Addr::new(10, 77, 1, 12));

    // Frames are built to order, right or wrong in any detail.
    let bytes = frame(vm1, vm2)
        .ip(from, to)
        .tcp(40_000, 22)
        .flags(tcp_flags::SYN)
        .build();
    let headers = Headers::parse(&bytes, Offload::default())?;
    println!("{} bytes are: {headers}", bytes.len());

    let ip = headers.ip().expect("it was built with one");
    println!(
        "  protocol {}, {} bytes of IP, upper layer at byte {}",
        ip.protocol, headers.wire.bytes, ip.l4_offset
    );

    // The text form round-trips: what is shown can be typed, into `vswitch trace` for one.
    let text = headers.to_string();
    let spec: PacketSpec = text.parse()?;
    let again = Headers::parse(&spec.build(vm1, vm2), Offload::default())?;
    assert_eq!(again.to_string(), text);

    // Nothing panics on any input: what lies about its length carries a defect.
    for len in [60, 40, 20, 10] {
        match Headers::parse(&bytes[..len.min(bytes.len())], Offload::default()) {
            Ok(headers) => println!("cut to {len:2} bytes: defect {:?}", headers.defect),
            Err(runt) => println!("cut to {len:2} bytes: {runt}"),
        }
    }
    Ok(())
}
