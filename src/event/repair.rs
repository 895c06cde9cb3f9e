//! JSON that others write and the standard does not know: put right, so that nobody escapes notice by
//! one odd character.
//!
//! | found | becomes |
//! | --- | --- |
//! | half of a surrogate pair, as Python writes names of files that are no text | U+FFFD |
//! | bytes that are no UTF-8 | U+FFFD |
//! | a raw control character in a text | its escape |
//! | a number beyond the doubles, `NaN`, `Infinity` | a text that spells it |
//! | what lies deeper than JSON is read | a text that holds it |

use super::path::DEPTH_MAX;

/// What a line becomes, and in how many places it was mended; `None` when nothing of this is wrong
/// with it. One pass, and never more than six times as long.
pub fn repaired(line: &[u8]) -> Option<(String, usize)> {
    let text = String::from_utf8_lossy(line);
    let broken = usize::from(matches!(text, std::borrow::Cow::Owned(_)));
    let mut repair = Repair { text: &text, at: 0, depth: 0, out: String::with_capacity(text.len()), places: broken };
    repair.run();
    (repair.places > 0).then_some((repair.out, repair.places))
}

struct Repair<'t> {
    text: &'t str,
    /// The next byte to look at, always between characters.
    at: usize,
    depth: usize,
    out: String,
    places: usize,
}

impl Repair<'_> {
    fn run(&mut self) {
        while let Some(byte) = self.peek(0) {
            match byte {
                b'"' => self.string(),
                b'{' | b'[' if self.depth + 1 >= DEPTH_MAX => self.deep(),
                b'{' | b'[' => {
                    self.depth += 1;
                    self.copy(1);
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.copy(1);
                }
                b'-' | b'0'..=b'9' | b'N' | b'I' => self.number(),
                _ => self.copy(self.character()),
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    /// Bytes of the character that is next.
    fn character(&self) -> usize {
        self.text.get(self.at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
    }

    fn copy(&mut self, bytes: usize) {
        self.out.push_str(self.text.get(self.at..self.at + bytes).unwrap_or_default());
        self.at += bytes;
    }

    fn put(&mut self, instead: &str, bytes: usize) {
        self.out.push_str(instead);
        self.at += bytes;
        self.places += 1;
    }

    fn string(&mut self) {
        self.copy(1);
        while let Some(byte) = self.peek(0) {
            match byte {
                b'"' => return self.copy(1),
                b'\\' => self.escape(),
                0..0x20 => self.put(&format!("\\u{byte:04x}"), 1),
                _ => self.copy(self.character()),
            }
        }
    }

    fn escape(&mut self) {
        let Some(unit) = self.unit(0) else {
            // Two bytes belong together; what follows a backslash may be of several.
            self.copy(1);
            return self.copy(self.character().min(self.text.len() - self.at));
        };
        match unit {
            0xd800..0xdc00 if self.unit(6).is_some_and(|low| (0xdc00..0xe000).contains(&low)) => self.copy(12),
            0xd800..0xe000 => self.put("\\ufffd", 6),
            _ => self.copy(6),
        }
    }

    /// The number behind a `\u` that stands so far ahead.
    fn unit(&self, ahead: usize) -> Option<u16> {
        let digits = self.text.get(self.at + ahead..self.at + ahead + 6)?.strip_prefix("\\u")?;
        if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) { u16::from_str_radix(digits, 16).ok() } else { None }
    }

    fn number(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let spelt = ["NaN", "Infinity", "-Infinity"].into_iter().find(|word| rest.starts_with(word));
        if let Some(word) = spelt {
            return self.put(&format!("\"{word}\""), word.len());
        }
        let length = rest.bytes().take_while(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte)).count().max(1);
        let number = rest.get(..length).unwrap_or_default();
        if number.parse::<f64>().is_ok_and(f64::is_infinite) {
            self.put(&format!("\"{number}\""), length);
        } else {
            self.copy(length);
        }
    }

    /// Puts an object or a list that lies too deep into a text.
    fn deep(&mut self) {
        let (mut open, mut quoted, mut escaped) = (0_usize, false, false);
        let end = self.text.bytes().enumerate().skip(self.at).find_map(|(at, byte)| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b'{' | b'[' if !quoted => open += 1,
                b'}' | b']' if !quoted => open -= 1,
                _ => {}
            }
            (open == 0).then_some(at + 1)
        });
        let end = end.unwrap_or(self.text.len());
        let held = self.text.get(self.at..end).unwrap_or_default();
        let text = serde_json::Value::from(held).to_string();
        self.put(&text, held.len().max(1));
    }
}
