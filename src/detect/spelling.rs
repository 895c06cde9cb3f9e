//! Modifiers that respell a value: anchors, dashes, UTF-16, Base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::pattern::{Pattern, Token};
use super::sigma::modifier::{Encoding, Modifier};

/// Spellings that dashes and offsets may give one value when they are encoded.
const SPELLINGS_MAX: usize = 1_000;

/// A value on its way through the modifiers, in the order in which they are written.
enum Form {
    Pattern(Pattern),
    /// After UTF-16: what Base64 encodes, or text with NULs in it.
    Bytes(Vec<u8>),
}

/// Every pattern that a value stands for; the error says which modifier does not suit it.
pub fn spell(pattern: Pattern, modifiers: &[Modifier]) -> Result<Vec<Pattern>, String> {
    let mut forms = vec![Form::Pattern(pattern)];
    for modifier in modifiers {
        forms = match modifier {
            Modifier::Contains => anchor(forms, true, true)?,
            Modifier::StartsWith => anchor(forms, false, true)?,
            Modifier::EndsWith => anchor(forms, true, false)?,
            Modifier::Windash => patterns(forms)?.into_iter().map(Pattern::with_dashes).map(Form::Pattern).collect(),
            Modifier::Encode(encoding) => encode(forms, *encoding)?,
            Modifier::All
            | Modifier::Neq
            | Modifier::Cased
            | Modifier::Exists
            | Modifier::Re
            | Modifier::Flag(_)
            | Modifier::Cidr
            | Modifier::Compare(_)
            | Modifier::Expand
            | Modifier::Time(_)
            | Modifier::FieldRef => forms,
        };
        if forms.len() > SPELLINGS_MAX {
            return Err(format!("the value has more than {SPELLINGS_MAX} spellings"));
        }
    }
    patterns(forms)
}

fn anchor(forms: Vec<Form>, before: bool, after: bool) -> Result<Vec<Form>, String> {
    Ok(patterns(forms)?.into_iter().map(|pattern| Form::Pattern(pattern.around(before, after))).collect())
}

/// Bytes become text again; UTF-16 of other than ASCII is no text.
fn patterns(forms: Vec<Form>) -> Result<Vec<Pattern>, String> {
    forms
        .into_iter()
        .map(|form| match form {
            Form::Pattern(pattern) => Ok(pattern),
            Form::Bytes(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Ok(Pattern::plain(&text)),
                Err(_) => Err("the encoded value is no text: put `base64` or `base64offset` behind it".to_owned()),
            },
        })
        .collect()
}

fn encode(forms: Vec<Form>, encoding: Encoding) -> Result<Vec<Form>, String> {
    let mut encoded = Vec::new();
    for form in forms {
        if let (Form::Pattern(pattern), Encoding::Utf16Le | Encoding::Utf16Be) = (&form, encoding)
            && pattern.tokens.iter().any(|token| matches!(token, Token::One | Token::Many))
        {
            encoded.push(Form::Pattern(widen(pattern, encoding)?));
            continue;
        }
        for bytes in bytes_of(form)? {
            match encoding {
                Encoding::Base64 => encoded.push(Form::Pattern(Pattern::plain(&STANDARD.encode(&bytes)))),
                Encoding::Base64Offset => {
                    encoded.extend((0..3).map(|offset| Form::Pattern(Pattern::plain(&base64_at(&bytes, offset)))));
                }
                Encoding::Utf16Le | Encoding::Utf16Be | Encoding::Utf16 => {
                    let text = String::from_utf8(bytes).map_err(|_| "the value is encoded twice".to_owned())?;
                    encoded.push(Form::Bytes(utf16(&text, encoding)));
                }
            }
        }
    }
    Ok(encoded)
}

fn bytes_of(form: Form) -> Result<Vec<Vec<u8>>, String> {
    match form {
        Form::Bytes(bytes) => Ok(vec![bytes]),
        Form::Pattern(pattern) => match pattern.spellings(SPELLINGS_MAX) {
            Some(texts) => Ok(texts.into_iter().map(String::into_bytes).collect()),
            None => Err("a value with wildcards cannot be encoded: put `contains` behind the encoding".to_owned()),
        },
    }
}

/// Wildcards stay what they are; the texts between them are widened.
fn widen(pattern: &Pattern, encoding: Encoding) -> Result<Pattern, String> {
    let tokens = pattern.tokens.iter().map(|token| match token {
        Token::Text(text) => String::from_utf8(utf16(text, encoding))
            .map(Token::Text)
            .map_err(|_| "only ASCII can be widened beside wildcards".to_owned()),
        Token::One | Token::Many | Token::Dash => Ok(token.clone()),
    });
    Ok(Pattern { tokens: tokens.collect::<Result<_, _>>()? })
}

fn utf16(text: &str, encoding: Encoding) -> Vec<u8> {
    let mark: &[u8] = if encoding == Encoding::Utf16 { &[0xff, 0xfe] } else { &[] };
    let units = text.encode_utf16().flat_map(|unit| match encoding {
        Encoding::Utf16Be => unit.to_be_bytes(),
        Encoding::Utf16Le | Encoding::Utf16 | Encoding::Base64 | Encoding::Base64Offset => unit.to_le_bytes(),
    });
    mark.iter().copied().chain(units).collect()
}

/// The characters of the encoding that depend on the value alone when `offset` (0 to 2) unknown
/// bytes stand before it: each character carries 6 bits, so those that share bits with a
/// neighbour before or behind are left out.
fn base64_at(bytes: &[u8], offset: usize) -> String {
    let mut shifted = vec![0; offset];
    shifted.extend_from_slice(bytes);
    let whole = STANDARD.encode(&shifted);
    let first = (offset * 8).div_ceil(6);
    let last = shifted.len() * 8 / 6;
    whole.chars().take(last).skip(first).collect()
}
