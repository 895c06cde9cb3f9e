//! Archives whose directories, headers and members disagree, in one another.

#![no_main]

use std::io::Write as _;

use lanner::artifact::{Limits, Memory, inspect};
use libfuzzer_sys::{arbitrary::{self, Arbitrary}, fuzz_target};

const NAMES: &[&str] = &[
    "archive/data.pkl", "archive/data/0", "archive/version", "model.pkl", "../up.pkl", "config.json", "metadata.json", "model.weights.h5",
    "MAR-INF/MANIFEST.json", "schema.json", "a.npy", "archive/code/__torch__.py", "archive/constants.pkl", "handler.py", "model_config.yaml",
];
const OUTER: &[&str] = &["model.pt", "model.zip", "model.tar", "model.nemo", "model.mar", "model.keras", "model.npz", "model.skops", "model.tar.gz", "x"];

#[derive(Debug, Arbitrary)]
enum Content<'t> {
    Bytes(&'t [u8]),
    Pickle(&'t str),
    Zip(Vec<Member<'t>>),
    Tar(Vec<Member<'t>>),
    Gzip(Box<Content<'t>>),
}

#[derive(Debug, Arbitrary)]
struct Member<'t> {
    name: Result<u8, &'t str>,
    /// The name in the local header, where it is another.
    local: Option<&'t str>,
    method: u8,
    flags: u16,
    size: Option<u32>,
    crc: Option<u32>,
    offset: Option<u32>,
    kind: u8,
    hidden: bool,
    content: Content<'t>,
}

fn name<'t>(given: &Result<u8, &'t str>) -> &'t str {
    match given {
        Ok(number) => NAMES[usize::from(*number) % NAMES.len()],
        Err(text) => &text[..text.char_indices().nth(60).map_or(text.len(), |(at, _)| at)],
    }
}

fn write(content: &Content<'_>, depth: u32) -> Vec<u8> {
    match content {
        Content::Bytes(bytes) => bytes.to_vec(),
        Content::Pickle(text) => format!("cos\nsystem\n(V{}\ntR.", text.replace('\n', " ")).into_bytes(),
        _ if depth > 4 => Vec::new(),
        Content::Gzip(inner) => gzip(&write(inner, depth + 1)),
        Content::Zip(members) => zip(members, depth),
        Content::Tar(members) => tar(members, depth),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

fn zip(members: &[Member<'_>], depth: u32) -> Vec<u8> {
    let (mut out, mut directory, mut count) = (Vec::new(), Vec::new(), 0_u16);
    for member in members {
        let plain = write(&member.content, depth + 1);
        let packed = if member.method == 8 { deflate(&plain) } else { plain.clone() };
        let size = member.size.unwrap_or(plain.len() as u32);
        let crc = member.crc.unwrap_or_else(|| {
            let mut crc = flate2::Crc::new();
            crc.update(&plain);
            crc.sum()
        });
        let at = out.len() as u32;
        let common = |out: &mut Vec<u8>, name: &str| {
            out.extend(20_u16.to_le_bytes());
            out.extend(member.flags.to_le_bytes());
            out.extend(u16::from(member.method).to_le_bytes());
            out.extend([0; 4]);
            out.extend(crc.to_le_bytes());
            out.extend((packed.len() as u32).to_le_bytes());
            out.extend(size.to_le_bytes());
            out.extend((name.len() as u16).to_le_bytes());
            out.extend([0, 0]);
        };
        let local = member.local.unwrap_or(name(&member.name));
        out.extend(b"PK\x03\x04");
        common(&mut out, local);
        out.extend_from_slice(local.as_bytes());
        out.extend_from_slice(&packed);
        if !member.hidden {
            count = count.wrapping_add(1);
            directory.extend(b"PK\x01\x02\x14\0");
            common(&mut directory, name(&member.name));
            directory.extend([0; 6]);
            directory.extend([0, 0, member.kind, 0xa1]);
            directory.extend(member.offset.unwrap_or(at).to_le_bytes());
            directory.extend_from_slice(name(&member.name).as_bytes());
        }
    }
    let at = out.len() as u32;
    out.extend_from_slice(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend([0, 0]);
    out
}

fn tar(members: &[Member<'_>], depth: u32) -> Vec<u8> {
    let mut out = Vec::new();
    for member in members {
        let data = write(&member.content, depth + 1);
        let mut header = [0_u8; 512];
        let written = name(&member.name).as_bytes();
        let count = written.len().min(100);
        header[..count].copy_from_slice(&written[..count]);
        header[100..108].copy_from_slice(b"0000644\0");
        let size = format!("{:011o}\0", member.size.map_or(data.len() as u64, u64::from));
        header[124..136].copy_from_slice(&size.as_bytes()[..12]);
        header[156] = b"0123456LKxgS7"[usize::from(member.kind) % 13];
        let link = member.local.unwrap_or_default().as_bytes();
        let count = link.len().min(100);
        header[157..157 + count].copy_from_slice(&link[..count]);
        header[257..265].copy_from_slice(b"ustar\x0000");
        header[148..156].copy_from_slice(b"        ");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(&data);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

fuzz_target!(|written: (u8, Content<'_>)| {
    let (number, content) = written;
    let bytes = write(&content, 0);
    let report = inspect(&Memory(bytes), OUTER[usize::from(number) % OUTER.len()], &Limits::default());
    assert!(!report.format.is_empty());
});
