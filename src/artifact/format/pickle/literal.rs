//! The textual literals of protocol 0, read as C's unpickler reads them.

/// A decimal, hexadecimal, octal or binary integer: base 0 of `strtol`, where a leading 0 means
/// octal. `None` when it is no number or too large to matter.
pub fn integer(line: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(line).ok()?.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.trim_end_matches('L').replace('_', "");
    let lower = digits.to_ascii_lowercase();
    let number = if let Some(hex) = lower.strip_prefix("0x") {
        i64::from_str_radix(hex, 16)
    } else if let Some(binary) = lower.strip_prefix("0b") {
        i64::from_str_radix(binary, 2)
    } else if let Some(octal) = lower.strip_prefix("0o") {
        i64::from_str_radix(octal, 8)
    } else if lower.len() > 1 && lower.starts_with('0') {
        i64::from_str_radix(&lower, 8)
    } else {
        lower.parse()
    };
    number.ok().and_then(|number| if negative { number.checked_neg() } else { Some(number) })
}

/// True when the line can be an integer of any size and base.
pub fn is_integer(line: &[u8]) -> bool {
    let text = line.trim_ascii();
    let text = text.strip_suffix(b"L").unwrap_or(text);
    let text = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_hexdigit() || b"xXoO_".contains(byte))
}

/// A line of UNICODE: raw-unicode-escape, so only `\uXXXX` and `\UXXXXXXXX` are escapes.
pub fn raw_unicode(line: &[u8]) -> String {
    unescape(line, false)
}

/// A line of STRING: a quoted Python 2 literal; `None` when the quotes are missing.
pub fn quoted(line: &[u8]) -> Option<String> {
    let line = line.trim_ascii_end();
    let quote = *line.first()?;
    let inner = line.get(1..line.len().checked_sub(1)?)?;
    (b"'\"".contains(&quote) && line.last() == Some(&quote)).then(|| unescape(inner, true))
}

fn unescape(bytes: &[u8], all: bool) -> String {
    let mut text = String::new();
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'\\' {
            text.push(char::from(*first));
            continue;
        }
        let Some((escape, tail)) = rest.split_first() else {
            text.push('\\');
            break;
        };
        let digits = match escape {
            b'u' => 4,
            b'U' => 8,
            b'x' if all => 2,
            _ => 0,
        };
        let hex = tail.get(..digits).and_then(|digits| std::str::from_utf8(digits).ok());
        let code =
            hex.filter(|_| digits > 0).and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
        if let Some(code) = code {
            text.push(code);
            rest = tail.get(digits..).unwrap_or_default();
        } else if all {
            rest = simple_escape(*escape, tail, &mut text);
        } else {
            text.push('\\');
        }
    }
    text
}

/// Escapes of one character, and octal ones; returns what follows.
fn simple_escape<'a>(escape: u8, tail: &'a [u8], text: &mut String) -> &'a [u8] {
    if (b'0'..=b'7').contains(&escape) {
        let more = tail.iter().take(2).take_while(|byte| (b'0'..=b'7').contains(*byte)).count();
        let digits = std::iter::once(&escape).chain(tail.iter().take(more));
        let code = digits.fold(0_u32, |code, digit| code * 8 + u32::from(digit - b'0'));
        text.push(char::from_u32(code & 0xff).unwrap_or_default());
        return tail.get(more..).unwrap_or_default();
    }
    match escape {
        b'n' => text.push('\n'),
        b'r' => text.push('\r'),
        b't' => text.push('\t'),
        b'a' => text.push('\u{7}'),
        b'b' => text.push('\u{8}'),
        b'f' => text.push('\u{c}'),
        b'v' => text.push('\u{b}'),
        b'\n' => {}
        b'\\' | b'\'' | b'"' => text.push(char::from(escape)),
        other => text.extend(['\\', char::from(other)]),
    }
    tail
}
