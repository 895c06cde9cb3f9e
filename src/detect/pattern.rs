//! Texts with wildcards, as Sigma writes them, and how they match.

use super::glob::Glob;

/// Bytes that one compiled expression may take; hostile or careless rules hit it at load.
pub const REGEX_BYTES_MAX: usize = 4 << 20;
/// The characters that Windows programs take for the dash of an option.
pub const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

/// One part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    Text(String),
    /// `?`: exactly one character.
    One,
    /// `*`: any number of characters, line breaks included.
    Many,
    /// Any of [`DASHES`].
    Dash,
}

impl Token {
    fn map(&self, put: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Text(text) => Self::Text(put(text)),
            Self::One | Self::Many | Self::Dash => self.clone(),
        }
    }
}

/// A text with wildcards.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pattern {
    pub tokens: Vec<Token>,
}

impl Pattern {
    /// Reads Sigma's escapes: `\*`, `\?` and `\\` stand for the character itself; any other
    /// backslash is one.
    pub fn parse(text: &str) -> Self {
        let (mut pattern, mut literal) = (Self::default(), String::new());
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\\' => match characters.next_if(|next| matches!(next, '*' | '?' | '\\')) {
                    Some(escaped) => literal.push(escaped),
                    None => literal.push('\\'),
                },
                '*' | '?' => {
                    pattern.push_text(&mut literal);
                    pattern.push(if character == '*' { Token::Many } else { Token::One });
                }
                other => literal.push(other),
            }
        }
        pattern.push_text(&mut literal);
        pattern
    }

    /// A text without any wildcard.
    pub fn plain(text: &str) -> Self {
        let tokens = if text.is_empty() { Vec::new() } else { vec![Token::Text(text.to_owned())] };
        Self { tokens }
    }

    /// The text, if the pattern is nothing else.
    pub fn as_plain(&self) -> Option<&str> {
        match self.tokens.as_slice() {
            [] => Some(""),
            [Token::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Puts `*` before and after, unless it is there.
    #[must_use]
    pub fn around(mut self, before: bool, after: bool) -> Self {
        if before && self.tokens.first() != Some(&Token::Many) {
            self.tokens.insert(0, Token::Many);
        }
        if after && self.tokens.last() != Some(&Token::Many) {
            self.tokens.push(Token::Many);
        }
        self
    }

    /// Replaces each dash that begins an option: no letter or digit before it, one after it.
    #[must_use]
    pub fn with_dashes(self) -> Self {
        let word = |character: Option<&char>| character.is_some_and(|c| c.is_alphanumeric() || *c == '_');
        let mut pattern = Self::default();
        for token in self.tokens {
            let Token::Text(text) = token else {
                pattern.push(token);
                continue;
            };
            let characters: Vec<char> = text.chars().collect();
            let mut literal = String::new();
            for (index, character) in characters.iter().enumerate() {
                let before = index.checked_sub(1).and_then(|before| characters.get(before));
                let option = matches!(character, '-' | '/') && !word(before) && word(characters.get(index + 1));
                if option {
                    pattern.push_text(&mut literal);
                    pattern.push(Token::Dash);
                } else {
                    literal.push(*character);
                }
            }
            pattern.push_text(&mut literal);
        }
        pattern
    }

    /// Every text that its dashes allow, as plain text; `None` when there are other wildcards or
    /// more than `most` texts.
    pub fn spellings(&self, most: usize) -> Option<Vec<String>> {
        let mut texts = vec![String::new()];
        for token in &self.tokens {
            match token {
                Token::Text(text) => texts.iter_mut().for_each(|whole| whole.push_str(text)),
                Token::Dash => {
                    texts = texts
                        .iter()
                        .flat_map(|whole| DASHES.iter().map(move |dash| format!("{whole}{dash}")))
                        .collect();
                }
                Token::One | Token::Many => return None,
            }
            if texts.len() > most {
                return None;
            }
        }
        Some(texts)
    }

    /// How it matches. Texts that are not `cased` are folded here; fold the value too.
    pub fn compile(&self, cased: bool) -> TextTest {
        let put = |text: &str| if cased { text.to_owned() } else { fold(text) };
        match self.tokens.as_slice() {
            [] => TextTest::Exact(String::new()),
            [Token::Many] => TextTest::Anything,
            [Token::Text(text)] => TextTest::Exact(put(text)),
            [Token::Text(text), Token::Many] => TextTest::Prefix(put(text)),
            [Token::Many, Token::Text(text)] => TextTest::Suffix(put(text)),
            [Token::Many, Token::Text(text), Token::Many] => TextTest::Contains(put(text)),
            tokens => TextTest::Glob(Glob::new(&tokens.iter().map(|token| token.map(put)).collect::<Vec<_>>())),
        }
    }

    fn push_text(&mut self, literal: &mut String) {
        if !literal.is_empty() {
            self.tokens.push(Token::Text(std::mem::take(literal)));
        }
    }

    /// Neighbouring `*` are one.
    fn push(&mut self, token: Token) {
        if token != Token::Many || self.tokens.last() != Some(&Token::Many) {
            self.tokens.push(token);
        }
    }
}

/// A pattern ready to match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextTest {
    Anything,
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    Glob(Glob),
}

impl TextTest {
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Anything => true,
            Self::Exact(whole) => text == whole,
            Self::Prefix(prefix) => text.starts_with(prefix),
            Self::Suffix(suffix) => text.ends_with(suffix),
            Self::Contains(part) => memchr::memmem::find(text.as_bytes(), part.as_bytes()).is_some(),
            Self::Glob(glob) => glob.matches(text),
        }
    }
}

/// Lower case, character by character, so that a character folds alike wherever it stands, and to
/// one character, so that `?` stays one: `İ` becomes a plain `i`.
pub fn fold(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.chars().map(fold_character).collect() }
}

/// The lower case of one character.
pub fn fold_character(character: char) -> char {
    character.to_lowercase().next().unwrap_or(character)
}
