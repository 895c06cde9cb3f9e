//! safetensors and GGUF files.

/// A safetensors file with this header, as written, and these bytes.
pub fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [(header.len() as u64).to_le_bytes().as_slice(), header.as_bytes(), data].concat()
}

/// Two tensors of four bytes each.
pub fn safetensors_benign() -> Vec<u8> {
    safetensors(
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[2,2],"data_offsets":[4,8]}}"#,
        &[1, 2, 3, 4, 5, 6, 7, 8],
    )
}

/// A GGUF file of version 3 with text metadata and one tensor of 32 bytes.
pub fn gguf(metadata: &[(&str, &str)]) -> Vec<u8> {
    let mut out = b"GGUF\x03\0\0\0".to_vec();
    out.extend(1_u64.to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        out.extend(text(key));
        out.extend(8_u32.to_le_bytes());
        out.extend(text(value));
    }
    out.extend(text("weight"));
    out.extend(1_u32.to_le_bytes());
    out.extend(8_u64.to_le_bytes());
    out.extend(0_u32.to_le_bytes());
    out.extend(0_u64.to_le_bytes());
    out.resize(out.len().next_multiple_of(32), 0);
    out.extend([7; 32]);
    out
}

fn text(text: &str) -> Vec<u8> {
    [(text.len() as u64).to_le_bytes().as_slice(), text.as_bytes()].concat()
}
