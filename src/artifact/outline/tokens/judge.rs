//! What differs between two vocabularies, and what it means.

use std::collections::BTreeMap;

use super::{Found, List, Prints, Tokens};
use crate::artifact::outline::Told;
use crate::artifact::outline::packed::print;
use crate::base::text::shorten;
use crate::event::difference::{Difference, Grade};

/// Tokens that are named in one sentence.
const NAMED_MAX: usize = 12;

/// Positions at which two lists differ, as far as both reach.
struct Change {
    /// Numbers of the items, or of the first item of a group.
    places: Vec<u64>,
    /// The lists can be compared item by item.
    exact: bool,
    appended: u64,
    removed: u64,
    /// Something in front of what was appended differs, but its digests do not show where.
    unseen: bool,
}

fn change(old: &Prints, new: &Prints, list: Option<&List>) -> Option<Change> {
    if old == new {
        return None;
    }
    let (appended, removed) = (new.count.saturating_sub(old.count), old.count.saturating_sub(new.count));
    let prefix = list.filter(|list| list.items.len() as u64 == new.count && removed == 0);
    let same = prefix.map(|list| list.whole(old.count) == old.whole);
    let mut change = Change { places: Vec::new(), exact: false, appended, removed, unseen: false };
    if same == Some(true) {
        return Some(change);
    }
    // Where there was less room for digests of one of them, the lowest bytes of both are compared.
    if old.stride == new.stride && old.stride == 1 && old.width > 0 && new.width > 0 {
        let width = u32::from(old.width.min(new.width).min(8));
        let mask = if width >= 8 { u64::MAX } else { (1_u64 << (width.saturating_mul(8))).wrapping_sub(1) };
        let pairs = old.packed.numbers(old.width.into()).zip(new.packed.numbers(new.width.into()));
        change.places =
            pairs.enumerate().filter(|(_, (old, new))| old & mask != new & mask).map(|(at, _)| at as u64).collect();
        change.exact = true;
    } else if old.stride == new.stride && old.width == new.width {
        // The last group may be shorter in one of them.
        let groups = old.count.min(new.count) / u64::from(old.stride.max(1));
        let pairs = old.packed.numbers(old.width.into()).zip(new.packed.numbers(new.width.into()));
        let groups = usize::try_from(groups).unwrap_or(0);
        change.places = pairs
            .take(groups)
            .enumerate()
            .filter(|(_, (old, new))| old != new)
            .map(|(at, _)| (at as u64).saturating_mul(old.stride.into()))
            .collect();
    } else {
        change.unseen = true;
    }
    change.unseen |= change.places.is_empty() && (same == Some(false) || appended == 0 && removed == 0);
    Some(change)
}

fn shown(item: Option<&[u8]>) -> String {
    item.map_or_else(|| "?".to_owned(), |item| shorten(&String::from_utf8_lossy(item), 40))
}

pub fn tokens(told: &mut Told, place: &str, old: &Tokens, new: &Tokens, found: Option<&Found>) {
    let list = found.map(|found| &found.tokens);
    let Some(change) = change(&old.vocabulary, &new.vocabulary, list) else { return };
    let item =
        |at: u64| list.and_then(|list| usize::try_from(at).ok().and_then(|at| list.items.get(at)).map(|item| &**item));
    let is_spare = |at: &u64| old.spare.iter().any(|(first, last)| (first..=last).contains(&at));
    let (spare, changed): (Vec<u64>, Vec<u64>) = change.places.iter().partition(|at| is_spare(at));
    let differing = (changed.len() as u64).saturating_add(change.removed);
    if old.vocabulary.count == 0 || differing.saturating_mul(2) > old.vocabulary.count {
        let words =
            format!("{differing} of {} numbers mean another token: this is another vocabulary", old.vocabulary.count);
        told.say("tokenizer.replaced", Grade::Notable, place, words);
        return;
    }
    if !changed.is_empty() {
        // What stood there before is known where it stands somewhere else now.
        let width = usize::from(old.vocabulary.width.clamp(1, 8));
        let prints: Vec<u64> = old.vocabulary.packed.numbers(width).collect();
        let mask = if width >= 8 { u64::MAX } else { (1_u64 << (width * 8)).wrapping_sub(1) };
        let before = |at: u64| {
            let wanted = usize::try_from(at).ok().and_then(|at| prints.get(at))?;
            let mut all = list?.items.iter().filter(|item| print(item) & mask == *wanted);
            all.next().filter(|_| all.next().is_none()).map(|item| &**item)
        };
        let named: Vec<String> = changed
            .iter()
            .take(NAMED_MAX)
            .map(|at| format!("{at}: `{}` → `{}`", shown(before(*at)), shown(item(*at))))
            .collect();
        let words = format!("{} of {} numbers mean another token", changed.len(), old.vocabulary.count);
        let words = if list.is_some() { format!("{words} ({})", named.join(", ")) } else { words };
        told.say("tokenizer.remapped", Grade::Hostile, place, words);
    } else if change.unseen {
        let words = "the vocabulary differs in front of what was added; its digests are too short to say where";
        told.say("tokenizer.remapped", Grade::Hostile, place, words);
    }
    if change.removed > 0 {
        let words = format!("the last {} of {} numbers mean nothing any more", change.removed, old.vocabulary.count);
        told.say("tokenizer.removed", Grade::Hostile, place, words);
    }
    if change.appended > 0 {
        let named: Vec<String> = (old.vocabulary.count..new.vocabulary.count)
            .take(NAMED_MAX)
            .filter_map(item)
            .map(|item| format!("`{}`", shown(Some(item))))
            .collect();
        let words =
            format!("{} tokens were added behind {}: {}", change.appended, old.vocabulary.count, named.join(", "));
        told.say("tokenizer.appended", Grade::Routine, place, words.trim_end_matches(": "));
    }
    if !spare.is_empty() {
        let words = format!("{} places that were kept free have tokens now", spare.len());
        told.say("tokenizer.appended", Grade::Routine, place, words);
    }
}

pub fn rules(told: &mut Told, place: &str, old: &Tokens, new: &Tokens, found: Option<&Found>) {
    // Of another vocabulary the rules are others as well.
    let replaced =
        told.list.iter().any(|difference| difference.class == "tokenizer.replaced" && difference.place == place);
    if let Some(change) = change(&old.merges, &new.merges, found.map(|found| &found.merges)).filter(|_| !replaced) {
        let changed = change.places.len();
        if changed > 0 || change.removed > 0 || change.unseen {
            let what = if change.exact { "rules" } else { "groups of rules" };
            let words = format!(
                "of {} rules by which pieces are joined {} are gone; {changed} {what} differ",
                old.merges.count, change.removed
            );
            told.say("tokenizer.merges", Grade::Hostile, place, words);
        } else {
            let words =
                format!("{} rules by which pieces are joined were added behind {}", change.appended, old.merges.count);
            told.say("tokenizer.appended", Grade::Routine, place, words);
        }
    }
    if old.scores.whole != new.scores.whole && old.vocabulary.whole == new.vocabulary.whole {
        told.say("tokenizer.scores", Grade::Notable, place, "the pieces are the same, but have other scores or types");
    }
}

pub fn added(told: &mut Told, place: &str, old: &Tokens, new: &Tokens) {
    let split = |text: &str| {
        text.split_once('\t')
            .map_or((text.to_owned(), String::new()), |(content, flags)| (content.to_owned(), flags.to_owned()))
    };
    let (mut fresh, mut gone) = (Vec::new(), Vec::new());
    for number in old.added.keys().chain(new.added.keys().filter(|number| !old.added.contains_key(number))) {
        let (before, after) =
            (old.added.get(number).map(|text| split(text)), new.added.get(number).map(|text| split(text)));
        match (before, after) {
            (Some((before, _)), Some((after, _))) if before != after => {
                let words = format!("the number {number} meant `{before}` and means `{after}`");
                told.push(Difference::new("tokenizer.remapped", Grade::Hostile, place, words).texts(before, after));
            }
            (Some((content, before)), Some((_, after))) if before != after => {
                let words = format!("`{content}` has other flags");
                told.push(Difference::new("tokenizer.added_tokens", Grade::Notable, place, words).texts(before, after));
            }
            (None, Some((content, _))) => fresh.push(format!("`{content}` ({number})")),
            (Some((content, _)), None) => gone.push(format!("`{content}` ({number})")),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
    for (list, what, grade) in [(fresh, "added", Grade::Routine), (gone, "removed", Grade::Notable)] {
        if !list.is_empty() {
            let named: Vec<String> = list.iter().take(NAMED_MAX).cloned().collect();
            let words = format!("{} tokens beside the vocabulary were {what}: {}", list.len(), named.join(", "));
            told.say("tokenizer.added_tokens", grade, place, words);
        }
    }
}

/// How a text is prepared. What newer writers spell out and older ones leave out is the same when it says nothing.
pub fn settings(told: &mut Told, place: &str, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) {
    let mut paths: Vec<&String> = old.keys().chain(new.keys()).collect();
    paths.sort();
    paths.dedup();
    let silent = |value: &str| matches!(value, "false" | "null" | "{}" | "[]" | "\"\"");
    for path in paths {
        let (before, after) = (old.get(path), new.get(path));
        if before == after {
            continue;
        }
        let quiet = [before, after].iter().flatten().all(|value| silent(value))
            || (before.is_none() || after.is_none())
                && [".use_regex", ".prepend_scheme"].iter().any(|end| path.ends_with(end));
        let aside = path.starts_with("truncation") || path.starts_with("padding");
        let (class, grade) = match (aside, quiet) {
            (true, _) => ("tokenizer.padding", Grade::Routine),
            (false, true) => ("tokenizer.pipeline", Grade::Routine),
            (false, false) => ("tokenizer.pipeline", Grade::Hostile),
        };
        let words = match (before, after) {
            (None, Some(_)) => format!("`{path}` is new"),
            (Some(_), None) => format!("`{path}` is gone"),
            _ => format!("`{path}` differs"),
        };
        let place = if place.is_empty() { path.clone() } else { format!("{place}{path}") };
        let mut difference = Difference::new(class, grade, place, words);
        difference.before = before.cloned();
        difference.after = after.cloned();
        told.push(difference);
    }
}
