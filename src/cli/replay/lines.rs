//! Lines of a file, each within a bound.

use std::io::BufRead;

/// Bytes of one line; longer ones are reported and left out.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// What was read.
pub enum Read {
    Line,
    TooLong,
    End,
}

/// The next line without its end, and how many bytes it took; one that is too long is read past and
/// not kept.
pub fn next_line(input: &mut dyn BufRead, line: &mut Vec<u8>) -> std::io::Result<(Read, u64)> {
    line.clear();
    let (mut taken, mut too_long) = (0_u64, false);
    loop {
        let buffer = match input.fill_buf() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if buffer.is_empty() {
            break;
        }
        let end = memchr::memchr(b'\n', buffer);
        let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
        too_long |= line.len() + part.len() > LINE_BYTES_MAX;
        if !too_long {
            line.extend_from_slice(part);
        }
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        taken += used as u64;
        if end.is_some() {
            break;
        }
    }
    let read = match (taken, too_long) {
        (0, _) => Read::End,
        (_, true) => Read::TooLong,
        (_, false) => Read::Line,
    };
    Ok((read, taken))
}
