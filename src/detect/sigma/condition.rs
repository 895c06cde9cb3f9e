//! The language of conditions: `sel1 and not (1 of filter_* or all of them)`.

/// Parentheses in parentheses, and `not` before `not`.
const DEPTH_MAX: usize = 64;
/// Words and parentheses in one condition.
const TOKENS_MAX: usize = 4_096;

/// A condition as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    /// One selection by name.
    Name(Word),
    /// `1 of x*` or `all of x*`; `them` is every selection whose name does not begin with `_`.
    Of {
        every: bool,
        names: Word,
    },
}

/// A word and where it begins, in bytes from the beginning of the condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub start: usize,
}

/// Why a condition cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionError {
    pub start: usize,
    /// Characters concerned.
    pub length: usize,
    pub message: String,
    pub hint: Option<String>,
}

/// Reads one condition. `not` binds closest, then `and`, then `or`.
pub fn parse(text: &str) -> Result<Condition, ConditionError> {
    let tokens = split(text)?;
    let mut parser = Parser { tokens: &tokens, next: 0, depth: 0, end: text.trim_end().len() };
    let condition = parser.or()?;
    match parser.peek() {
        None => Ok(condition),
        Some(token) if token.text == ")" => Err(fail(token, "a `)` without its `(`", None)),
        Some(token) => Err(match keyword_in_disguise(&token.text) {
            Some(meant) => fail(token, &format!("`{}` is no operator", token.text), Some(format!("write `{meant}`"))),
            None => fail(token, &format!("`and` or `or` is missing before `{}`", token.text), None),
        }),
    }
}

impl Condition {
    /// Whether a selection's name fits what stands behind `of`.
    pub fn selects(names: &str, selection: &str) -> bool {
        if names == "them" {
            return !selection.starts_with('_');
        }
        fits(names, selection) && (!selection.starts_with('_') || names.starts_with('_'))
    }
}

/// `*` for any characters; linear but for the number of stars, which names bound.
pub fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

fn fail(token: &Word, message: &str, hint: Option<String>) -> ConditionError {
    ConditionError { start: token.start, length: token.text.chars().count(), message: message.to_owned(), hint }
}

fn keyword_in_disguise(word: &str) -> Option<String> {
    let lower = word.to_ascii_lowercase();
    (word != lower && matches!(lower.as_str(), "and" | "or" | "not" | "of" | "all" | "them")).then_some(lower)
}

fn split(text: &str) -> Result<Vec<Word>, ConditionError> {
    let mut tokens: Vec<Word> = Vec::new();
    let mut open = false;
    for (start, character) in text.char_indices() {
        match character {
            '(' | ')' => {
                tokens.push(Word { text: character.to_string(), start });
                open = false;
            }
            _ if character.is_whitespace() => open = false,
            '|' => {
                return Err(ConditionError {
                    start,
                    length: 1,
                    message: "aggregations after `|` are not part of Sigma 2".to_owned(),
                    hint: Some("write a correlation rule instead".to_owned()),
                });
            }
            _ if character.is_alphanumeric() || "_-*.?$".contains(character) => match tokens.last_mut() {
                Some(word) if open => word.text.push(character),
                Some(_) | None => {
                    tokens.push(Word { text: character.to_string(), start });
                    open = true;
                }
            },
            _ => {
                let message = format!("`{character}` cannot stand in a condition");
                return Err(ConditionError { start, length: 1, message, hint: None });
            }
        }
        if tokens.len() > TOKENS_MAX {
            let message = format!("more than {TOKENS_MAX} words");
            return Err(ConditionError { start, length: 1, message, hint: None });
        }
    }
    Ok(tokens)
}

struct Parser<'t> {
    tokens: &'t [Word],
    next: usize,
    depth: usize,
    end: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&'t Word> {
        self.tokens.get(self.next)
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.text == text);
        self.next += usize::from(found);
        found
    }

    fn or(&mut self) -> Result<Condition, ConditionError> {
        let mut sides = vec![self.and()?];
        while self.take("or") {
            sides.push(self.and()?);
        }
        Ok(if sides.len() == 1 { sides.remove(0) } else { Condition::Or(sides) })
    }

    fn and(&mut self) -> Result<Condition, ConditionError> {
        let mut sides = vec![self.not()?];
        while self.take("and") {
            sides.push(self.not()?);
        }
        Ok(if sides.len() == 1 { sides.remove(0) } else { Condition::And(sides) })
    }

    fn not(&mut self) -> Result<Condition, ConditionError> {
        let Some(token) = self.peek() else {
            return Err(self.ended("a selection"));
        };
        let deeper = matches!(token.text.as_str(), "not" | "(");
        if deeper && self.depth >= DEPTH_MAX {
            return Err(fail(token, "nested too deeply", None));
        }
        self.depth += usize::from(deeper);
        let condition = self.operand(token);
        self.depth -= usize::from(deeper);
        condition
    }

    fn operand(&mut self, token: &'t Word) -> Result<Condition, ConditionError> {
        self.next += 1;
        match token.text.as_str() {
            "not" => Ok(Condition::Not(Box::new(self.not()?))),
            "(" => {
                let inner = self.or()?;
                if self.take(")") { Ok(inner) } else { Err(fail(token, "a `(` without its `)`", None)) }
            }
            ")" | "and" | "or" | "of" => {
                Err(fail(token, &format!("a selection must stand before `{}`", token.text), None))
            }
            "1" | "all" | "any" if self.take("of") => self.names(token.text == "all"),
            word if self.peek().is_some_and(|next| next.text == "of") => Err(fail(
                token,
                &format!("`{word} of` is no quantity"),
                Some("write `1 of`, `any of` or `all of`".to_owned()),
            )),
            word if keyword_in_disguise(word).is_some() => {
                let meant = keyword_in_disguise(word).unwrap_or_default();
                Err(fail(token, &format!("`{word}` is no operator"), Some(format!("write `{meant}`"))))
            }
            word if word.contains(['*', '?']) => {
                let hint = format!("write `1 of {word}` or `all of {word}`");
                Err(fail(token, "a pattern needs a quantity", Some(hint)))
            }
            "them" => Err(fail(token, "`them` stands behind `1 of` or `all of`", None)),
            _ => Ok(Condition::Name(token.clone())),
        }
    }

    fn names(&mut self, every: bool) -> Result<Condition, ConditionError> {
        let Some(names) = self.peek() else {
            return Err(self.ended("a name, a pattern or `them`"));
        };
        self.next += 1;
        match names.text.as_str() {
            "(" | ")" | "and" | "or" | "not" | "of" => {
                Err(fail(names, &format!("a name, a pattern or `them` must stand before `{}`", names.text), None))
            }
            _ => Ok(Condition::Of { every, names: names.clone() }),
        }
    }

    fn ended(&self, wanted: &str) -> ConditionError {
        let message = format!("the condition ends where {wanted} must stand");
        ConditionError { start: self.end.saturating_sub(1), length: 1, message, hint: None }
    }
}
