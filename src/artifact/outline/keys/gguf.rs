//! The metadata of GGUF: settings, the chat template, and the vocabulary.

use super::{Builder, Purport};
use crate::artifact::format::gguf::pairs::{Pair, pairs};
use crate::artifact::input::Input;
use crate::artifact::outline::packed::{digits, finish, hasher};
use crate::artifact::outline::take::Taking;
use crate::artifact::outline::tokens;

/// Lists whose items stand by themselves in the outline.
const LIST_MAX: usize = 64;

pub fn take(taking: &mut Taking, input: Input<'_>) {
    let mut settings: Vec<(String, String)> = Vec::new();
    let (mut vocabulary, mut merges) = (tokens::List::default(), tokens::List::default());
    // A list while its items come.
    let mut list: (String, blake3::Hasher, u64, Vec<String>) = (String::new(), hasher(), 0, Vec::new());
    let whole = pairs(input, &mut |key, pair| match (key, pair) {
        ("tokenizer.ggml.tokens", Pair::Item(token)) => vocabulary.push(token),
        ("tokenizer.ggml.merges", Pair::Item(merge)) => merges.push(merge),
        (key, Pair::One(value)) => {
            if settings.len() < super::PAIRS_MAX {
                settings.push((key.to_owned(), String::from_utf8_lossy(value).into_owned()));
            }
        }
        (_, Pair::Item(item)) => {
            list.1.update(&(item.len() as u64).to_le_bytes());
            list.1.update(item);
            list.2 = list.2.saturating_add(1);
            if list.3.len() < LIST_MAX {
                list.3.push(String::from_utf8_lossy(item).into_owned());
            }
        }
        (key, Pair::End) => {
            let (_, hash, count, items) = std::mem::replace(&mut list, (String::new(), hasher(), 0, Vec::new()));
            if count > 0 && settings.len() < super::PAIRS_MAX {
                let text = if count <= LIST_MAX as u64 { items.join(", ") } else { format!("{count} items") };
                settings.push((key.to_owned(), format!("[{text}] #{}", digits(finish(&hash)))));
            }
        }
    });
    let mut builder = Builder::new(taking, Purport::Gguf);
    for (key, value) in &settings {
        builder.text(key, value);
    }
    builder.finish();
    if !whole {
        taking.cut("the header is broken, or has more entries than are looked at: what follows is not in the outline");
    }
    tokens::add(taking, "tokenizer.ggml", vocabulary, merges);
}
