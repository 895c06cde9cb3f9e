//! HDF5 files: objects put one after another, in both styles of headers.

/// A file in the making.
pub struct File {
    bytes: Vec<u8>,
}

/// A message of an object: its type, and its bytes.
pub type Message = (u8, Vec<u8>);

impl File {
    /// Room for the superblock.
    pub fn new() -> Self {
        Self { bytes: vec![0; 96] }
    }

    /// Puts bytes down, and says where.
    pub fn put(&mut self, bytes: &[u8]) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let address = self.bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
        address
    }

    /// An object with these messages, headed in the newer way.
    pub fn object(&mut self, messages: &[Message]) -> u64 {
        let mut body = Vec::new();
        for (kind, bytes) in messages {
            body.push(*kind);
            body.extend(size(bytes));
            body.push(0);
            body.extend_from_slice(bytes);
        }
        let length = u32::try_from(body.len()).expect("small objects only").to_le_bytes();
        self.put(&[b"OHDR\x02\x02".as_slice(), &length, &body, &[0; 4]].concat())
    }

    /// An object headed in the older way.
    pub fn old_object(&mut self, messages: &[Message]) -> u64 {
        let mut body = Vec::new();
        for (kind, bytes) in messages {
            let mut bytes = bytes.clone();
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            body.extend([*kind, 0]);
            body.extend(size(&bytes));
            body.extend([0; 4]);
            body.extend(bytes);
        }
        let count = u16::try_from(messages.len()).expect("few messages").to_le_bytes();
        let length = u32::try_from(body.len()).expect("small objects only").to_le_bytes();
        let head = [&[1, 0], count.as_slice(), &[1, 0, 0, 0], &length, &[0; 4], &body].concat();
        self.put(&head)
    }

    /// A group of the older kind with one member: the message that names its tree.
    pub fn symbols(&mut self, child: u64) -> Message {
        let heap = self.heap(b"member\0\0");
        let entry = [&8_u64.to_le_bytes(), &child.to_le_bytes(), [0; 8].as_slice(), &[0; 16]].concat();
        let node = self.put(&[b"SNOD\x01\0\x01\0".as_slice(), &entry].concat());
        let none = u64::MAX.to_le_bytes();
        let keys = [none, none, 0_u64.to_le_bytes(), node.to_le_bytes(), 8_u64.to_le_bytes()].concat();
        let tree = self.put(&[b"TREE\0\0\x01\0".as_slice(), &keys].concat());
        (0x11, [tree.to_le_bytes(), heap.to_le_bytes()].concat())
    }

    /// A heap of names; the first stands at 8.
    pub fn heap(&mut self, names: &[u8]) -> u64 {
        let data = self.put(&[&[0; 8], names].concat());
        let length = (names.len() as u64 + 8).to_le_bytes();
        self.put(&[b"HEAP\0\0\0\0".as_slice(), &length, &[0xff; 8], &data.to_le_bytes()].concat())
    }

    /// A heap with one object, number 1.
    pub fn global(&mut self, bytes: &[u8]) -> u64 {
        let padded = bytes.len().next_multiple_of(8);
        let length = (bytes.len() as u64).to_le_bytes();
        let size = (16 + 16 + padded as u64 + 16).to_le_bytes();
        let head = [b"GCOL\x01\0\0\0".as_slice(), &size, &[1, 0, 1, 0, 0, 0, 0, 0], &length, bytes].concat();
        let fill = vec![0; padded - bytes.len() + 16];
        self.put(&[head, fill].concat())
    }

    /// A heap of links or attributes: one block of them, and one that is too long for a block.
    pub fn fractal(&mut self, block: &[u8], apart: Option<&[u8]>) -> u64 {
        let none = u64::MAX;
        let mut tree = none;
        if let Some(bytes) = apart {
            let place = self.put(bytes);
            let record = [place, bytes.len() as u64, 1].map(u64::to_le_bytes).concat();
            let leaf = self.put(&[b"BTLF\0\x01".as_slice(), &record, &[0; 4]].concat());
            let head = [b"BTHD\0\x01\0\x02\0\0\x18\0\0\0\x64\x28".as_slice(), &leaf.to_le_bytes(), &[1, 0], &[0; 12]];
            tree = self.put(&head.concat());
        }
        let mut content = [b"FHDB\0".as_slice(), &[0; 12], block].concat();
        content.resize(512, 0);
        let root = self.put(&content);
        let numbers = [0, tree, 0, none].map(u64::to_le_bytes).concat();
        let sizes = [512_u64, 65_536].map(u64::to_le_bytes).concat();
        let head = [b"FRHP\0\x08\0\0\0\0\0\x10\0\0".as_slice(), &numbers, &[0; 64], &[4, 0], &sizes, &[32, 0, 1, 0]];
        self.put(&[head.concat(), root.to_le_bytes().to_vec(), vec![0; 6]].concat())
    }

    /// A text of no fixed length as an attribute.
    pub fn text(&mut self, name: &str, text: &str) -> Message {
        let heap = self.global(text.as_bytes());
        let length = u32::try_from(text.len()).expect("short texts only").to_le_bytes();
        let value = [length.as_slice(), &heap.to_le_bytes(), &1_u32.to_le_bytes()].concat();
        // A variable-length text of characters of one byte each.
        let kind = [0x19, 1, 0, 0, 16, 0, 0, 0, 0x10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0];
        attribute(name, &kind, &value)
    }

    /// The whole, with a superblock of the newer kind.
    pub fn finish(mut self, root: u64) -> Vec<u8> {
        let end = self.bytes.len() as u64;
        let none = u64::MAX.to_le_bytes();
        let head = [
            b"\x89HDF\r\n\x1a\n\x02\x08\x08\0".as_slice(),
            &0_u64.to_le_bytes(),
            &none,
            &end.to_le_bytes(),
            &root.to_le_bytes(),
        ]
        .concat();
        self.bytes.splice(..head.len(), head);
        self.bytes
    }

    /// The whole, with a superblock of the older kind.
    pub fn finish_old(mut self, root: u64) -> Vec<u8> {
        let end = self.bytes.len() as u64;
        let none = u64::MAX.to_le_bytes();
        let head = [
            b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0\x04\0\x10\0\0\0\0\0".as_slice(),
            &0_u64.to_le_bytes(),
            &none,
            &end.to_le_bytes(),
            &none,
            &0_u64.to_le_bytes(),
            &root.to_le_bytes(),
        ]
        .concat();
        self.bytes.splice(..head.len(), head);
        self.bytes
    }
}

fn size(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).expect("short messages only").to_le_bytes()
}

fn attribute(name: &str, kind: &[u8], value: &[u8]) -> Message {
    let name = [name.as_bytes(), &[0]].concat();
    let space = [2, 0, 0, 0];
    let head = [&[3, 0], size(&name).as_slice(), &size(kind), &size(&space), &[0]].concat();
    (0x0c, [head.as_slice(), &name, kind, &space, value].concat())
}

/// Where the links (2) or attributes (0x15) of an object lie when they are many.
pub fn dense(kind: u8, heap: u64) -> Message {
    (kind, [&[0, 0], heap.to_le_bytes().as_slice(), &[0xff; 8]].concat())
}

/// The same attribute with its type in another object.
pub fn typed_elsewhere((kind, mut bytes): Message) -> Message {
    if let Some(flags) = bytes.get_mut(1) {
        *flags = 1;
    }
    (kind, bytes)
}

/// A text of fixed length as an attribute.
pub fn fixed(name: &str, value: &[u8]) -> Message {
    let length = u32::try_from(value.len()).expect("short texts only").to_le_bytes();
    attribute(name, &[&[0x13, 0, 0, 0], length.as_slice()].concat(), value)
}

/// A link to an object of this file.
pub fn link(name: &str, address: u64) -> Message {
    let length = u8::try_from(name.len()).expect("short names only");
    (0x06, [&[1, 0, length], name.as_bytes(), &address.to_le_bytes()].concat())
}

/// A link into another file.
pub fn external(name: &str, file: &str, path: &str) -> Message {
    let length = u8::try_from(name.len()).expect("short names only");
    let value = [&[0], file.as_bytes(), &[0], path.as_bytes(), &[0]].concat();
    (0x06, [&[1, 8, 64, length], name.as_bytes(), &size(&value), &value].concat())
}

/// Raw data in a file whose name stands first in a heap.
pub fn storage(heap: u64) -> Message {
    let slot = [8_u64.to_le_bytes(), 0_u64.to_le_bytes(), 64_u64.to_le_bytes()].concat();
    (0x07, [&[1, 0, 0, 0, 1, 0, 1, 0], heap.to_le_bytes().as_slice(), &slot].concat())
}

/// Data that lies here.
pub fn contiguous(address: u64, length: u64) -> Message {
    (0x08, [&[3, 1], address.to_le_bytes().as_slice(), &length.to_le_bytes()].concat())
}

/// Data put together from the files that an object of a heap names.
pub fn virtual_data(heap: u64) -> Message {
    (0x08, [&[4, 3], heap.to_le_bytes().as_slice(), &1_u32.to_le_bytes()].concat())
}

/// A model as Keras writes it, in the older or the newer style.
pub fn keras(config: &str, old: bool) -> Vec<u8> {
    let mut file = File::new();
    let data = file.put(&[7; 64]);
    let set = if old { file.old_object(&[contiguous(data, 64)]) } else { file.object(&[contiguous(data, 64)]) };
    let text = file.text("model_config", config);
    let version = fixed("keras_version", b"3.15.1");
    if old {
        let members = file.symbols(set);
        let root = file.old_object(&[members, text, version]);
        file.finish_old(root)
    } else {
        let root = file.object(&[link("kernel", set), text, version]);
        file.finish(root)
    }
}
