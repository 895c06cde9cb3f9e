//! 7z archives of one block, by default without compression.

use flate2::Crc;

/// The coder that copies.
pub const COPY: &[u8] = &[0x01, 0x00];

/// Members with their attributes; what lies in the archive is their content one after another.
pub fn archive(members: &[(&str, &[u8], u32)]) -> Vec<u8> {
    let data: Vec<u8> = members.iter().flat_map(|(_, bytes, _)| bytes.iter().copied()).collect();
    coded(members, COPY, &data)
}

/// The same with a coder and its packed bytes.
pub fn coded(members: &[(&str, &[u8], u32)], coder: &[u8], packed: &[u8]) -> Vec<u8> {
    let size: usize = members.iter().map(|(_, bytes, _)| bytes.len()).sum();
    let mut header = vec![0x01, 0x04, 0x06, 0x00, 0x01, 0x09];
    header.extend(number(packed.len()));
    header.extend([0x00, 0x07, 0x0b, 0x01, 0x00, 0x01]);
    header.extend(coder);
    header.push(0x0c);
    header.extend(number(size));
    header.extend([0x00, 0x08, 0x0d]);
    header.extend(number(members.len()));
    header.push(0x09);
    for (_, bytes, _) in members.iter().take(members.len() - 1) {
        header.extend(number(bytes.len()));
    }
    header.extend([0x00, 0x00, 0x05]);
    header.extend(number(members.len()));
    let names: Vec<u8> =
        members.iter().flat_map(|(name, ..)| name.encode_utf16().chain([0])).flat_map(u16::to_le_bytes).collect();
    header.push(0x11);
    header.extend(number(names.len() + 1));
    header.push(0x00);
    header.extend(names);
    header.push(0x15);
    header.extend(number(members.len() * 4 + 2));
    header.extend([0x01, 0x00]);
    header.extend(members.iter().flat_map(|(_, _, attributes)| attributes.to_le_bytes()));
    header.extend([0x00, 0x00]);
    let mut start = Vec::new();
    start.extend((packed.len() as u64).to_le_bytes());
    start.extend((header.len() as u64).to_le_bytes());
    start.extend(crc(&header).to_le_bytes());
    [b"7z\xbc\xaf\x27\x1c\0\x04".as_slice(), &crc(&start).to_le_bytes(), &start, packed, &header].concat()
}

fn number(value: usize) -> Vec<u8> {
    match u8::try_from(value) {
        Ok(short) if short < 0x80 => vec![short],
        _ => [&[0xff], (value as u64).to_le_bytes().as_slice()].concat(),
    }
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}
