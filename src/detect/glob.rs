//! Texts with `*` and `?` in their middle.

use super::pattern::{DASHES, Token};

/// A pattern cut at its `*`: each segment matches so many characters, one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    segments: Vec<Vec<Token>>,
    /// Nothing stands before the first segment, and nothing behind the last one.
    anchored: (bool, bool),
}

impl Glob {
    pub fn new(tokens: &[Token]) -> Self {
        let mut segments: Vec<Vec<Token>> =
            tokens.split(|token| *token == Token::Many).map(<[Token]>::to_vec).collect();
        let anchored = (tokens.first() != Some(&Token::Many), tokens.last() != Some(&Token::Many));
        segments.retain(|segment| !segment.is_empty());
        Self { segments, anchored }
    }

    /// Whether the whole text fits. Time grows with the text's length times the longest segment's.
    pub fn matches(&self, text: &str) -> bool {
        let Some((last, rest)) = self.segments.split_last() else {
            return self.anchored != (true, true) || text.is_empty();
        };
        let mut at = 0;
        for (index, segment) in rest.iter().enumerate() {
            let found = if index == 0 && self.anchored.0 { fits(segment, text, at) } else { find(segment, text, at) };
            match found {
                Some(end) => at = end,
                None => return false,
            }
        }
        match self.anchored {
            (true, true) if rest.is_empty() => fits(last, text, 0) == Some(text.len()),
            (true, false) if rest.is_empty() => fits(last, text, 0).is_some(),
            // The segment has a known number of characters: it begins so many before the end.
            (_, true) => {
                let characters: usize = last.iter().map(length).sum();
                let Some(back) = characters.checked_sub(1) else {
                    return true;
                };
                let start = text.char_indices().rev().nth(back).map(|(start, _)| start);
                start.is_some_and(|start| start >= at && fits(last, text, start) == Some(text.len()))
            }
            (_, false) => find(last, text, at).is_some(),
        }
    }

    /// The longest stretch of text that a match has in it.
    pub fn longest_text(&self) -> Option<&str> {
        let texts = self.segments.iter().flatten().filter_map(|token| match token {
            Token::Text(text) => Some(text.as_str()),
            Token::One | Token::Many | Token::Dash => None,
        });
        texts.max_by_key(|text| text.len())
    }

    /// The only segment and its anchors, if there is one without `?`.
    pub fn as_dashed(&self) -> Option<(&[Token], (bool, bool))> {
        match self.segments.as_slice() {
            [only] if !only.contains(&Token::One) => Some((only, self.anchored)),
            _ => None,
        }
    }
}

fn length(token: &Token) -> usize {
    match token {
        Token::Text(text) => text.chars().count(),
        Token::One | Token::Dash => 1,
        Token::Many => 0,
    }
}

/// Where the segment ends, if it stands at `at`.
fn fits(segment: &[Token], text: &str, at: usize) -> Option<usize> {
    let mut rest = text.get(at..)?;
    for token in segment {
        rest = match token {
            Token::Text(part) => rest.strip_prefix(part.as_str())?,
            Token::One => rest.get(rest.chars().next()?.len_utf8()..)?,
            Token::Dash => rest.strip_prefix(DASHES)?,
            Token::Many => rest,
        };
    }
    Some(text.len() - rest.len())
}

/// Where the segment's first occurrence from `at` on ends.
fn find(segment: &[Token], text: &str, at: usize) -> Option<usize> {
    if let [Token::Text(part)] = segment {
        let found = memchr::memmem::find(text.get(at..)?.as_bytes(), part.as_bytes())?;
        return Some(at + found + part.len());
    }
    let rest = text.get(at..)?;
    rest.char_indices().find_map(|(offset, _)| fits(segment, text, at + offset))
}
