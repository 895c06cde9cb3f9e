//! OCDBT's manifests and nodes, shards of Zarr.

use super::tables::thrift::varint;

fn part(mark: u16, body: &[u8], packed: bool) -> Vec<u8> {
    let body = if packed { zstd(body) } else { body.to_vec() };
    let length = body.len() as u64 + 18;
    [[0x0c, 0xdb].as_slice(), &mark.to_be_bytes(), &length.to_le_bytes(), &[0, u8::from(packed)], &body, &[0; 4]]
        .concat()
}

/// A frame of Zstandard whose only block is not packed.
pub fn zstd(content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len()).expect("short");
    let block = (size << 3 | 1).to_le_bytes();
    [[0x28, 0xb5, 0x2f, 0xfd, 0xa0].as_slice(), &size.to_le_bytes(), &block[..3], content].concat()
}

/// Texts of which none shares anything with the one before.
fn texts(texts: &[&str], beside: usize) -> Vec<u8> {
    let mut out = vec![0; texts.len().saturating_sub(1)];
    for text in texts {
        out.extend(varint(text.len() as u64));
    }
    out.extend(vec![0; texts.len() * beside]);
    for text in texts {
        out.extend(text.bytes());
    }
    out
}

fn files(names: &[&str]) -> Vec<u8> {
    [varint(names.len() as u64), texts(names, 1)].concat()
}

/// A manifest that names files.
pub fn manifest(names: &[&str]) -> Vec<u8> {
    part(0x3a2a, &[[7; 16].as_slice(), &[0, 100, 100, 4, 0], &files(names), &[0, 0]].concat(), false)
}

/// A leaf: keys with values that stand in it, and keys with places in files.
pub fn leaf(names: &[&str], here: &[(&str, &[u8])], there: &[(&str, u64, u64)], packed: bool) -> Vec<u8> {
    let keys: Vec<&str> = here.iter().map(|(key, _)| *key).chain(there.iter().map(|(key, ..)| *key)).collect();
    let lengths = here.iter().map(|(_, value)| value.len() as u64).chain(there.iter().map(|(_, _, length)| *length));
    let mut body = [vec![0], files(names), varint(keys.len() as u64), texts(&keys, 0)].concat();
    lengths.for_each(|length| body.extend(varint(length)));
    body.extend(vec![0; here.len()]);
    body.extend(vec![1; there.len()]);
    body.extend(vec![0; there.len()]);
    for (_, offset, _) in there {
        body.extend(varint(*offset));
    }
    for (_, value) in here {
        body.extend_from_slice(value);
    }
    part(0x20de, &body, packed)
}

/// Chunks one behind another, with an index that has room for one that is not there.
pub fn shard(chunks: &[&[u8]]) -> Vec<u8> {
    let mut bytes = chunks.concat();
    let mut start = 0_u64;
    let mut index = vec![0xff; 16];
    for chunk in chunks {
        index.extend(start.to_le_bytes());
        index.extend((chunk.len() as u64).to_le_bytes());
        start += chunk.len() as u64;
    }
    bytes.extend(index);
    bytes.extend([1, 2, 3, 4]);
    bytes
}
