//! ZIP archives with every field under control.

use flate2::Crc;

/// One stored member; the fields are what the headers say, true or not.
#[derive(Clone)]
pub struct Member {
    pub name: String,
    pub local_name: String,
    pub data: Vec<u8>,
    pub flags: u16,
    pub crc: u32,
    pub listed: bool,
    /// Size in the directory.
    pub size: u32,
    /// External attributes: the mode of Unix is the upper half.
    pub attributes: u32,
}

/// An honest member.
pub fn member(name: &str, data: &[u8]) -> Member {
    let mut crc = Crc::new();
    crc.update(data);
    let size = u32::try_from(data.len()).expect("small members only");
    Member {
        name: name.into(),
        local_name: name.into(),
        data: data.to_vec(),
        flags: 0,
        crc: crc.sum(),
        listed: true,
        size,
        attributes: 0,
    }
}

/// The archive.
pub fn archive(members: &[Member]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    let mut count = 0_u16;
    for member in members {
        let offset = u32::try_from(out.len()).expect("small archives only");
        let packed = u32::try_from(member.data.len()).expect("small members only");
        out.extend_from_slice(b"PK\x03\x04");
        out.extend(fields(member, packed, packed));
        out.extend(length(&member.local_name));
        out.extend([0, 0]);
        out.extend_from_slice(member.local_name.as_bytes());
        out.extend_from_slice(&member.data);
        if !member.listed {
            continue;
        }
        count += 1;
        directory.extend_from_slice(b"PK\x01\x02\x14\0");
        directory.extend(fields(member, member.size, member.size));
        directory.extend(length(&member.name));
        directory.extend([0; 8]);
        directory.extend(member.attributes.to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend_from_slice(member.name.as_bytes());
    }
    let start = u32::try_from(out.len()).expect("small archives only");
    let size = u32::try_from(directory.len()).expect("small archives only");
    out.extend(directory);
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

fn fields(member: &Member, packed: u32, size: u32) -> Vec<u8> {
    let mut out = vec![20, 0];
    out.extend(member.flags.to_le_bytes());
    out.extend([0, 0, 0, 0, 0x21, 0]);
    out.extend(member.crc.to_le_bytes());
    out.extend(packed.to_le_bytes());
    out.extend(size.to_le_bytes());
    out
}

fn length(name: &str) -> [u8; 2] {
    u16::try_from(name.len()).expect("short names only").to_le_bytes()
}

/// A PyTorch file around a `data.pkl`.
pub fn torch(data_pkl: &[u8]) -> Vec<Member> {
    vec![member("archive/data.pkl", data_pkl), member("archive/data/0", &[0; 64]), member("archive/version", b"3\n")]
}
