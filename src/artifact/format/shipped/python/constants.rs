//! Texts and numbers that a source computes from constants. Bytes are texts of characters below 256.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use ruff_python_ast::{Comprehension, Expr, ExprCall, InterpolatedStringElement, Number, Operator, UnaryOp};

use super::names::{DEPTH_MAX, Names};
use crate::artifact::format::fold::{self, Atom, TEXT_MAX};

/// A name that a comprehension gives to one number after another.
type Bound<'b> = Option<(&'b str, i64)>;

impl Names {
    /// The text that an expression of constants is.
    pub fn text(&self, expression: &Expr) -> Option<String> {
        self.constant(expression, DEPTH_MAX)
    }

    fn constant(&self, expression: &Expr, depth: u32) -> Option<String> {
        let depth = depth.checked_sub(1)?;
        if !self.step() {
            return None;
        }
        let text = match expression {
            Expr::StringLiteral(text) if text.value.len() <= TEXT_MAX => text.value.to_str().to_owned(),
            Expr::BytesLiteral(bytes) => bytes.value.bytes().take(TEXT_MAX + 1).map(char::from).collect(),
            Expr::Name(name) => self.texts.get(name.id.as_str())?.clone(),
            Expr::Attribute(_) => self.texts.get(&self.place(expression)?)?.clone(),
            Expr::BinOp(sum) => self.operation(sum.op, &sum.left, &sum.right, depth)?,
            Expr::FString(text) => {
                let mut out = String::new();
                for part in text.value.elements() {
                    if out.len() > TEXT_MAX {
                        return None;
                    }
                    match part {
                        InterpolatedStringElement::Literal(literal) => out.push_str(&literal.value),
                        InterpolatedStringElement::Interpolation(inner) => {
                            out.push_str(&self.constant(&inner.expression, depth)?);
                        }
                    }
                }
                out
            }
            Expr::Call(call) => self.called(call, depth)?,
            Expr::Subscript(item) => match &*item.slice {
                Expr::Slice(slice) => {
                    let bound = |bound: &Option<Box<Expr>>| match bound {
                        Some(bound) => self.number(bound, None, depth).map(Some),
                        None => Some(None),
                    };
                    let (start, stop, step) = (bound(&slice.lower)?, bound(&slice.upper)?, bound(&slice.step)?);
                    let chars: Vec<char> = self.constant(&item.value, depth)?.chars().collect();
                    fold::slice(&chars, start, stop, step)?.into_iter().collect()
                }
                _ => self.item(expression, &item.value, &item.slice, depth)?,
            },
            _ => return None,
        };
        (text.len() <= TEXT_MAX).then_some(text)
    }

    fn operation(&self, op: Operator, left: &Expr, right: &Expr, depth: u32) -> Option<String> {
        match op {
            Operator::Add => Some(self.constant(left, depth)? + &self.constant(right, depth)?),
            Operator::Mult => fold::repeated(&self.constant(left, depth)?, self.number(right, None, depth)?),
            Operator::Mod => {
                let parts = match right {
                    Expr::Tuple(tuple) => self.atoms(&tuple.elts, depth)?,
                    other => self.atoms(std::slice::from_ref(other), depth)?,
                };
                fold::percent(&self.constant(left, depth)?, &parts)
            }
            _ => None,
        }
    }

    /// `text[0]`, `["o", "s"][1]`, a member of a table that has a name.
    fn item(&self, whole: &Expr, of: &Expr, at: &Expr, depth: u32) -> Option<String> {
        if let Some(text) = self.place(whole).and_then(|place| self.texts.get(&place)) {
            return Some(text.clone());
        }
        if let Expr::Dict(dict) = of {
            let key = self.constant(at, depth)?;
            let mut items = dict.items.iter().take(TEXT_MAX);
            let found =
                items.find(|item| item.key.as_ref().and_then(|own| self.constant(own, depth)).as_ref() == Some(&key));
            return self.constant(&found?.value, depth);
        }
        let at = self.number(at, None, depth)?;
        match of {
            Expr::List(list) => self.constant(fold::item(&list.elts, at)?, depth),
            Expr::Tuple(tuple) => self.constant(fold::item(&tuple.elts, at)?, depth),
            Expr::Call(call) => fold::item(&self.split(call, depth)?, at).cloned(),
            _ => {
                let chars: Vec<char> = self.constant(of, depth)?.chars().collect();
                fold::item(&chars, at).map(char::to_string)
            }
        }
    }

    fn split(&self, call: &ExprCall, depth: u32) -> Option<Vec<String>> {
        let Expr::Attribute(method) = &*call.func else { return None };
        if !matches!(method.attr.as_str(), "split" | "rsplit") {
            return None;
        }
        let by = match call.arguments.args.first() {
            Some(by) => Some(self.constant(by, depth)?),
            None => None,
        };
        fold::split(&self.constant(&method.value, depth)?, by.as_deref())
    }

    fn atoms(&self, items: &[Expr], depth: u32) -> Option<Vec<Atom>> {
        let atom = |item| {
            self.constant(item, depth).map(Atom::Text).or_else(|| self.number(item, None, depth).map(Atom::Number))
        };
        items.iter().take(TEXT_MAX).map(atom).collect()
    }

    /// `"".join([...])`, `chr(115)`, `"…".replace(…)`, `bytes.fromhex("…")`.
    fn called(&self, call: &ExprCall, depth: u32) -> Option<String> {
        let arguments = &*call.arguments.args;
        let first = arguments.first();
        let name = match &*call.func {
            Expr::Name(name) => Some(name.id.to_string()),
            Expr::Attribute(attribute) if matches!(&*attribute.value, Expr::Name(_)) => self.of(&call.func),
            _ => None,
        };
        match name.as_deref() {
            Some("chr") => return character(self.number(first?, None, depth)?),
            Some("str") => return self.constant(first?, depth),
            Some("bytes" | "bytearray") => return Some(self.numbers(first?, depth)?.concat()),
            Some("bytes.fromhex" | "bytearray.fromhex" | "binascii.unhexlify" | "base64.b16decode") => {
                return decoded(&self.constant(first?, depth)?, "hex");
            }
            Some("base64.b64decode" | "base64.urlsafe_b64decode" | "binascii.a2b_base64" | "base64.decodebytes") => {
                return decoded(&self.constant(first?, depth)?, "base64");
            }
            Some("codecs.decode") => {
                let encoding = self.constant(arguments.get(1)?, depth)?;
                return decoded(&self.constant(first?, depth)?, &encoding);
            }
            _ => {}
        }
        let Expr::Attribute(method) = &*call.func else { return None };
        let text = self.constant(&method.value, depth)?;
        match method.attr.as_str() {
            "join" => {
                let parts = self.parts(first?, depth)?;
                let size: usize = parts.iter().map(|part| part.len().saturating_add(text.len())).sum();
                (size <= TEXT_MAX * 2).then(|| parts.join(&text))
            }
            "format" => fold::braces(&text, &self.atoms(arguments, depth)?),
            "encode" if arguments.len() <= 1 => Some(text),
            "decode" => {
                let encoding = first.map_or_else(|| Some("utf-8".to_owned()), |first| self.constant(first, depth))?;
                decoded(&text, &encoding)
            }
            name => {
                let words = arguments.iter().map(|word| self.constant(word, depth)).collect::<Option<Vec<_>>>()?;
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                fold::method(&text, name, &words)
            }
        }
    }

    /// What `join` puts between: a list, a text's characters, a comprehension, `map(chr, …)`, `reversed(…)`.
    fn parts(&self, items: &Expr, depth: u32) -> Option<Vec<String>> {
        let depth = depth.checked_sub(1)?;
        match items {
            Expr::List(list) => list.elts.iter().take(TEXT_MAX).map(|item| self.constant(item, depth)).collect(),
            Expr::Tuple(tuple) => tuple.elts.iter().take(TEXT_MAX).map(|item| self.constant(item, depth)).collect(),
            Expr::ListComp(each) => self.comprehended(&each.elt, &each.generators, depth),
            Expr::Generator(each) => self.comprehended(&each.elt, &each.generators, depth),
            Expr::Call(call) => match (&*call.func, &*call.arguments.args) {
                (Expr::Name(name), [Expr::Name(what), items]) if name.id == "map" && what.id == "chr" => {
                    self.numbers(items, depth)
                }
                (Expr::Name(name), [items]) if name.id == "reversed" => {
                    let mut parts = self.parts(items, depth)?;
                    parts.reverse();
                    Some(parts)
                }
                _ => self.split(call, depth).or_else(|| self.characters(items, depth)),
            },
            _ => self.characters(items, depth),
        }
    }

    fn characters(&self, text: &Expr, depth: u32) -> Option<Vec<String>> {
        Some(self.constant(text, depth)?.chars().map(String::from).collect())
    }

    /// Numbers, each as the character that it is.
    fn numbers(&self, items: &Expr, depth: u32) -> Option<Vec<String>> {
        let depth = depth.checked_sub(1)?;
        let all = |items: &[Expr]| {
            let numbers = items.iter().take(TEXT_MAX).map(|item| character(self.number(item, None, depth)?));
            numbers.collect::<Option<Vec<_>>>()
        };
        match items {
            Expr::List(list) => all(&list.elts),
            Expr::Tuple(tuple) => all(&tuple.elts),
            Expr::ListComp(each) => self.comprehended(&each.elt, &each.generators, depth),
            Expr::Generator(each) => self.comprehended(&each.elt, &each.generators, depth),
            _ => self.characters(items, depth),
        }
    }

    /// `chr(c ^ 7) for c in [...]`, and the same of numbers or of a text's characters.
    fn comprehended(&self, made: &Expr, generators: &[Comprehension], depth: u32) -> Option<Vec<String>> {
        let [each] = generators else { return None };
        let (Expr::Name(name), true) = (&each.target, each.ifs.is_empty()) else { return None };
        let number = match made {
            Expr::Call(call) if matches!(&*call.func, Expr::Name(name) if name.id == "chr") => {
                call.arguments.args.first()?
            }
            other => other,
        };
        let values = self.numbers(&each.iter, depth)?;
        let make = |value: &String| {
            let value = i64::from(u32::from(value.chars().next()?));
            character(self.number(number, Some((name.id.as_str(), value)), depth)?)
        };
        values.iter().map(make).collect()
    }

    /// The number that an expression of constants is.
    pub(super) fn number(&self, expression: &Expr, bound: Bound<'_>, depth: u32) -> Option<i64> {
        let depth = depth.checked_sub(1)?;
        if !self.step() {
            return None;
        }
        match expression {
            Expr::NumberLiteral(number) => match &number.value {
                Number::Int(int) => int.as_i64(),
                _ => None,
            },
            Expr::Name(name) => bound.filter(|(own, _)| *own == name.id.as_str()).map(|(_, value)| value),
            Expr::UnaryOp(unary) if unary.op == UnaryOp::USub => {
                self.number(&unary.operand, bound, depth)?.checked_neg()
            }
            Expr::BinOp(operation) => {
                let (left, right) =
                    (self.number(&operation.left, bound, depth)?, self.number(&operation.right, bound, depth)?);
                match operation.op {
                    Operator::Add => left.checked_add(right),
                    Operator::Sub => left.checked_sub(right),
                    Operator::Mult => left.checked_mul(right),
                    Operator::BitXor => Some(left ^ right),
                    Operator::BitOr => Some(left | right),
                    Operator::BitAnd => Some(left & right),
                    Operator::FloorDiv => left.checked_div_euclid(right),
                    Operator::Mod => left.checked_rem_euclid(right),
                    _ => None,
                }
            }
            Expr::Call(call) => match (&*call.func, &*call.arguments.args) {
                (Expr::Name(name), [Expr::Name(own)]) if name.id == "ord" => {
                    bound.filter(|(bound, _)| *bound == own.id.as_str()).map(|(_, value)| value)
                }
                (Expr::Name(name), [text]) if name.id == "ord" => {
                    self.constant(text, depth)?.chars().next().map(|c| i64::from(u32::from(c)))
                }
                _ => None,
            },
            _ => None,
        }
    }
}

fn character(number: i64) -> Option<String> {
    char::from_u32(u32::try_from(number).ok()?).map(String::from)
}

fn bytes(text: &str) -> Vec<u8> {
    let narrow: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    narrow.unwrap_or_else(|| text.as_bytes().to_vec())
}

/// A text that was encoded, as bytes of characters below 256 or as the text that they spell.
pub fn decoded(text: &str, encoding: &str) -> Option<String> {
    let encoding = encoding.to_ascii_lowercase().replace(['-', '_'], "");
    let of = |bytes: Vec<u8>| bytes.into_iter().map(char::from).collect::<String>();
    match encoding.as_str() {
        "rot13" => Some(text.chars().map(rotated).collect()),
        "hex" | "hexcodec" => {
            let digits: Vec<u32> =
                text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16)).collect::<Option<_>>()?;
            let pairs = digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |value, digit| value << 4 | digit));
            pairs.map(char::from_u32).collect()
        }
        "base64" | "base64codec" => {
            let kept: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            STANDARD.decode(&kept).or_else(|_| URL_SAFE.decode(&kept)).ok().map(of)
        }
        "utf8" | "utf" | "ascii" => Some(String::from_utf8_lossy(&bytes(text)).into_owned()),
        "latin1" | "iso88591" | "charmap" | "cp1252" => Some(text.to_owned()),
        _ => None,
    }
}

fn rotated(c: char) -> char {
    let turn = |base: u8, c: char| {
        let at = u8::try_from(u32::from(c)).unwrap_or(base).saturating_sub(base);
        char::from(base.saturating_add(at.saturating_add(13) % 26))
    };
    match c {
        'a'..='z' => turn(b'a', c),
        'A'..='Z' => turn(b'A', c),
        _ => c,
    }
}

pub fn is_minus_one(expression: &Expr) -> bool {
    let one = |operand: &Expr| matches!(operand, Expr::NumberLiteral(number) if matches!(&number.value, Number::Int(int) if int.as_i64() == Some(1)));
    matches!(expression, Expr::UnaryOp(unary) if unary.op == UnaryOp::USub && one(&unary.operand))
}
