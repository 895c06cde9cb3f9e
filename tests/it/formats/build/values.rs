//! Files that are values one after another: `MessagePack`, Universal Binary JSON, Torch 7, tables of
//! `TensorFlow`'s checkpoints.

use super::protobuf;

/// `MessagePack`.
pub mod msgpack {
    fn short(value: usize) -> u8 {
        u8::try_from(value).expect("short")
    }

    fn four(value: usize) -> [u8; 4] {
        u32::try_from(value).expect("short").to_be_bytes()
    }

    pub fn text(text: &str) -> Vec<u8> {
        [&[0xd9, short(text.len())], text.as_bytes()].concat()
    }

    pub fn bytes(bytes: &[u8]) -> Vec<u8> {
        [&[0xc6], four(bytes.len()).as_slice(), bytes].concat()
    }

    pub fn map(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let body: Vec<u8> = pairs.iter().flat_map(|(key, value)| [text(key), value.clone()].concat()).collect();
        [vec![0x80 | short(pairs.len())], body].concat()
    }

    /// An array as Flax writes one.
    pub fn array(shape: &[u8], kind: &str, data: &[u8]) -> Vec<u8> {
        let inner = [&[0x93, 0x90 | short(shape.len())], shape, text(kind).as_slice(), bytes(data).as_slice()].concat();
        [&[0xc9], four(inner.len()).as_slice(), &[1], &inner].concat()
    }
}

/// Universal Binary JSON.
pub mod ubjson {
    fn length(value: usize) -> Vec<u8> {
        [b"L".as_slice(), &(value as u64).to_be_bytes()].concat()
    }

    pub fn text(text: &str) -> Vec<u8> {
        [b"S".as_slice(), &length(text.len()), text.as_bytes()].concat()
    }

    pub fn object(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let pair =
            |(key, value): &(&str, Vec<u8>)| [length(key.len()), key.as_bytes().to_vec(), value.clone()].concat();
        [b"{".to_vec(), pairs.iter().flat_map(pair).collect(), b"}".to_vec()].concat()
    }

    /// Numbers of one type, of which there are as many as it says.
    pub fn numbers(count: u64, data: &[u8]) -> Vec<u8> {
        [b"[$d#L".as_slice(), &count.to_be_bytes(), data].concat()
    }
}

/// Torch 7, its binary form.
pub mod torch7 {
    pub fn int(value: i32) -> Vec<u8> {
        value.to_le_bytes().to_vec()
    }

    fn long(value: i64) -> Vec<u8> {
        value.to_le_bytes().to_vec()
    }

    fn raw(bytes: &[u8]) -> Vec<u8> {
        [int(i32::try_from(bytes.len()).expect("short")), bytes.to_vec()].concat()
    }

    pub fn text(text: &str) -> Vec<u8> {
        [int(2), raw(text.as_bytes())].concat()
    }

    pub fn table(index: i32, pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let body: Vec<u8> = pairs.iter().flat_map(|(key, value)| [key.clone(), value.clone()].concat()).collect();
        [int(3), int(index), int(i32::try_from(pairs.len()).expect("short")), body].concat()
    }

    pub fn object(index: i32, class: &str, body: &[u8]) -> Vec<u8> {
        [int(4), int(index), raw(b"V 1"), raw(class.as_bytes()), body.to_vec()].concat()
    }

    /// A tensor of as many floats as it says.
    pub fn tensor(index: i32, count: i64, data: &[u8]) -> Vec<u8> {
        let storage = object(index + 1, "torch.FloatStorage", &[long(count), data.to_vec()].concat());
        object(index, "torch.FloatTensor", &[int(1), long(count), long(1), long(1), storage].concat())
    }

    /// A function without upvalues.
    pub fn function(index: i32, code: &[u8]) -> Vec<u8> {
        [int(8), int(index), raw(code), table(index + 1, &[])].concat()
    }
}

/// An index of a checkpoint: its entries by key, a header of one shard before them.
pub fn checkpoint(tensors: &[(&str, Vec<Vec<u8>>)]) -> Vec<u8> {
    let header = [protobuf::number(1, 1), protobuf::message(3, &[protobuf::number(1, 1)])].concat();
    let entries: Vec<(&str, Vec<u8>)> =
        std::iter::once(("", header)).chain(tensors.iter().map(|(key, fields)| (*key, fields.concat()))).collect();
    let mut file = Vec::new();
    let data = block(&mut file, &entries);
    let meta = block(&mut file, &[]);
    let index = block(&mut file, &[("z", data)]);
    let mut footer = [meta, index].concat();
    footer.resize(40, 0);
    footer.extend(0xdb47_7524_8b80_fb57_u64.to_le_bytes());
    file.extend(footer);
    file
}

/// Writes a block; returns its place and size as a handle.
fn block(file: &mut Vec<u8>, entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let start = file.len() as u64;
    for (key, value) in entries {
        let length = |length: usize| u8::try_from(length).ok().filter(|length| *length < 128).expect("short");
        file.extend([0, length(key.len()), length(value.len())]);
        file.extend_from_slice(key.as_bytes());
        file.extend_from_slice(value);
    }
    file.extend([0, 0, 0, 0, 1, 0, 0, 0]);
    let size = file.len() as u64 - start;
    file.extend([0; 5]);
    [super::tables::thrift::varint(start), super::tables::thrift::varint(size)].concat()
}
