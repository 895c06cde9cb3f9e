//! Blocks of PEM in a text (RFC 7468): keys and certificates as people keep them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Characters of a line.
const COLUMNS: usize = 64;
/// Blocks of one file.
const BLOCKS_MAX: usize = 1_000;

/// The bytes of every block with this label, in their order. Other blocks, and text around them, are skipped.
pub fn blocks(text: &str, label: &str) -> Result<Vec<Vec<u8>>, String> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut found = Vec::new();
    let mut body: Option<String> = None;
    for line in text.lines().map(str::trim) {
        match &mut body {
            None if line == begin => body = Some(String::new()),
            None => {}
            Some(base64) if line == end => {
                let bytes = STANDARD.decode(base64.as_str()).map_err(|error| format!("{label}: no base64: {error}"))?;
                if found.len() >= BLOCKS_MAX {
                    return Err(format!("it holds more than {BLOCKS_MAX} blocks"));
                }
                found.push(bytes);
                body = None;
            }
            Some(base64) => base64.push_str(line),
        }
    }
    match body {
        None => Ok(found),
        Some(_) => Err(format!("`{begin}` has no end")),
    }
}

/// One block, as OpenSSL writes it: lines of 64 characters, each with an end.
pub fn encode(der: &[u8], label: &str) -> String {
    let base64 = STANDARD.encode(der);
    let mut body = String::new();
    for (index, character) in base64.chars().enumerate() {
        if index > 0 && index % COLUMNS == 0 {
            body.push('\n');
        }
        body.push(character);
    }
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}
