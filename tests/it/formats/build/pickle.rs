//! Pickles, opcode by opcode.

/// A text of protocol 4.
pub fn text(text: &str) -> Vec<u8> {
    [&[0x8c, u8::try_from(text.len()).expect("short texts only")], text.as_bytes()].concat()
}

/// A text of any length, as protocol 1 writes it.
pub fn long_text(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).expect("texts below 4 GiB");
    [b"X".as_slice(), &length.to_le_bytes(), text.as_bytes()].concat()
}

/// Bytes of protocol 3.
pub fn bytes(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("bytes below 4 GiB");
    [b"B".as_slice(), &length.to_le_bytes(), bytes].concat()
}

/// `GLOBAL`.
pub fn global(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into_bytes()
}

/// `STACK_GLOBAL` with literal operands.
pub fn stack_global(module: &str, name: &str) -> Vec<u8> {
    [text(module), text(name), vec![0x93]].concat()
}

/// A whole pickle of a protocol.
pub fn whole(protocol: u8, body: &[&[u8]]) -> Vec<u8> {
    [&[0x80, protocol], body.concat().as_slice(), b"."].concat()
}

/// `module.name(*texts)` by REDUCE, without PROTO and STOP.
pub fn reduce(module: &str, name: &str, arguments: &[&str]) -> Vec<u8> {
    let arguments: Vec<u8> = arguments.iter().flat_map(|argument| long_text(argument)).collect();
    [global(module, name), b"(".to_vec(), arguments, b"tR".to_vec()].concat()
}

/// A pickle of protocol 2 that would call `module.name(*texts)`.
pub fn call(module: &str, name: &str, arguments: &[&str]) -> Vec<u8> {
    whole(2, &[&reduce(module, name, arguments)])
}

/// The same by `STACK_GLOBAL` in protocol 4.
pub fn stack_call(module: &str, name: &str, arguments: &[&str]) -> Vec<u8> {
    let arguments: Vec<u8> = arguments.iter().flat_map(|argument| long_text(argument)).collect();
    whole(4, &[&stack_global(module, name), b"(", &arguments, b"tR"])
}
