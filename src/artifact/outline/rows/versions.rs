//! Two versions of a table: columns, rows, labels.

use std::collections::{BTreeMap, HashMap};

use super::Rows;
use super::keeps;
use crate::artifact::outline::Told;
use crate::base::text::shorten;
use crate::event::difference::{Difference, Grade};

/// Relabelled rows from which on it matters where they went, and the share of them that is nearly all.
const FLIPS_MIN: u64 = 10;
const NEARLY_ALL: u64 = 95;
/// Points of a hundred by which the share of a label moves before it is told.
const SHARE_MIN: u64 = 5;

pub fn schema(told: &mut Told, place: &str, old: &Rows, new: &Rows) {
    let names = |rows: &Rows| {
        rows.columns.iter().map(|column| (column.name.clone(), column.kind.clone())).collect::<BTreeMap<_, _>>()
    };
    let (before, after) = (names(old), names(new));
    let list = |names: Vec<&String>| {
        shorten(&names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "), 300)
    };
    let added: Vec<&String> = after.keys().filter(|name| !before.contains_key(*name)).collect();
    let removed: Vec<&String> = before.keys().filter(|name| !after.contains_key(*name)).collect();
    let retyped: Vec<&String> = after
        .iter()
        .filter(|(name, kind)| before.get(*name).is_some_and(|known| known != *kind))
        .map(|(name, _)| name)
        .collect();
    if !added.is_empty() {
        told.say("dataset.schema", Grade::Routine, place, format!("columns were added: {}", list(added)));
    }
    if !removed.is_empty() {
        told.say("dataset.schema", Grade::Notable, place, format!("columns are gone: {}", list(removed)));
    }
    if !retyped.is_empty() {
        told.say("dataset.schema", Grade::Notable, place, format!("columns have another type: {}", list(retyped)));
    }
}

/// Labels of the rows of each text, and digests of the rest, within the sample of both.
type ByText = HashMap<u64, Vec<(u64, Option<usize>)>>;

fn by_text(rows: &Rows, sample: u32) -> ByText {
    let mut found: ByText = HashMap::new();
    for (text, rest, label) in rows.kept().filter(|(text, _, _)| keeps(sample, *text)) {
        found.entry(text).or_default().push((rest, label));
    }
    found
}

pub fn rows(told: &mut Told, place: &str, old: &Rows, new: &Rows) {
    let sample = old.sample.max(new.sample);
    let (before, after) = (by_text(old, sample), by_text(new, sample));
    let (mut added, mut removed, mut fewer, mut changed) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut flips: BTreeMap<(String, String), u64> = BTreeMap::new();
    for (text, rows) in &after {
        let Some(known) = before.get(text) else {
            added = added.saturating_add(rows.len() as u64);
            continue;
        };
        added = added.saturating_add(rows.len().saturating_sub(known.len()) as u64);
        fewer = fewer.saturating_add(known.len().saturating_sub(rows.len()) as u64);
        let (rest, flipped) = pair(old, new, known, rows);
        changed = changed.saturating_add(rest);
        for flip in flipped {
            let count = flips.entry(flip).or_default();
            *count = count.saturating_add(1);
        }
    }
    for (text, rows) in &before {
        if !after.contains_key(text) {
            removed = removed.saturating_add(rows.len() as u64);
        }
    }
    let of = if sample > 0 { " of those that are kept" } else { "" };
    if added > 0 {
        told.say(
            "dataset.rows_added",
            Grade::Routine,
            place,
            format!("{added} rows{of} are new; there were {} and are {}", old.count, new.count),
        );
    }
    if removed > 0 || fewer > 0 {
        let words =
            format!("{removed} rows{of} are gone, and {fewer} that were there more than once are there less often");
        told.say("dataset.rows_removed", Grade::Routine, place, words);
    }
    if changed > 0 && flips.is_empty() {
        told.say(
            "dataset.rows_changed",
            Grade::Routine,
            place,
            format!("{changed} rows{of} have the same text, and other values beside it"),
        );
    }
    relabelled(told, place, old, &flips);
    if added == 0
        && removed == 0
        && fewer == 0
        && changed == 0
        && flips.is_empty()
        && old.order != new.order
        && old.count == new.count
    {
        told.say("dataset.reordered", Grade::Routine, place, "the same rows stand in another order");
    }
}

/// Rows of one text in both versions: how many have other values, and from which label to which they went.
fn pair(
    old: &Rows,
    new: &Rows,
    known: &[(u64, Option<usize>)],
    rows: &[(u64, Option<usize>)],
) -> (u64, Vec<(String, String)>) {
    let labels = |table: &Rows, rows: &[(u64, Option<usize>)]| {
        let mut names: Vec<String> = rows.iter().map(|(_, label)| table.label(*label).to_owned()).collect();
        names.sort();
        names
    };
    // What both have is no difference. One pass over both, since they may be all rows of a table.
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut others = labels(new, rows).into_iter().peekable();
    for name in labels(old, known) {
        after.extend(std::iter::from_fn(|| others.next_if(|other| *other < name)));
        if others.next_if_eq(&name).is_none() {
            before.push(name);
        }
    }
    after.extend(others);
    let rest = |rows: &[(u64, Option<usize>)]| {
        let mut all: Vec<u64> = rows.iter().map(|(rest, _)| *rest).collect();
        all.sort_unstable();
        all
    };
    let changed = u64::from(known.len() == rows.len() && rest(known) != rest(rows));
    (changed, before.into_iter().zip(after).collect())
}

fn relabelled(told: &mut Told, place: &str, old: &Rows, flips: &BTreeMap<(String, String), u64>) {
    let total = flips.values().copied().fold(0, u64::saturating_add);
    if total == 0 {
        return;
    }
    let mut targets: BTreeMap<&str, u64> = BTreeMap::new();
    for ((_, to), count) in flips {
        let sum = targets.entry(to).or_default();
        *sum = sum.saturating_add(*count);
    }
    let mut named: Vec<_> = flips.iter().collect();
    named.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let named: Vec<String> =
        named.iter().take(6).map(|((from, to), count)| format!("{count} from `{from}` to `{to}`")).collect();
    let named = named.join(", ");
    // Every row of a label went to one other that did not exist before: another name for the same.
    let is_new = |to: &str| !old.labels.iter().any(|label| label == to);
    let sources: std::collections::BTreeSet<&str> = flips.keys().map(|(from, _)| from.as_str()).collect();
    if targets.keys().all(|to| is_new(to)) && sources.len() == flips.len() && targets.len() == flips.len() {
        told.say("dataset.labels_renamed", Grade::Notable, place, format!("labels have other names: {named}"));
        return;
    }
    let largest = targets.iter().max_by_key(|(_, count)| **count);
    let targeted = largest
        .filter(|(_, count)| total >= FLIPS_MIN && count.saturating_mul(100) >= total.saturating_mul(NEARLY_ALL));
    // Where most of a table has other labels it was labelled anew.
    let few = total.saturating_mul(2) < old.texts.0.len() as u64 / 8;
    let difference = match targeted.filter(|_| few) {
        Some((to, count)) => {
            let words = format!("{total} rows have another label, {count} of them `{to}`: {named}");
            Difference::new("dataset.labels_targeted", Grade::Hostile, place, words)
        }
        None => Difference::new(
            "dataset.labels_changed",
            Grade::Notable,
            place,
            format!("{total} rows have another label: {named}"),
        ),
    };
    told.push(difference);
}

pub fn balance(told: &mut Told, place: &str, old: &Rows, new: &Rows) {
    let share = |rows: &Rows, name: &str| {
        let at = rows.labels.iter().position(|label| label == name)?;
        rows.balance.get(at).map(|count| count.saturating_mul(1000) / rows.count.max(1))
    };
    let mut moved = Vec::new();
    for name in old.labels.iter().chain(new.labels.iter().filter(|name| !old.labels.contains(name))) {
        let (before, after) = (share(old, name).unwrap_or(0), share(new, name).unwrap_or(0));
        if before.abs_diff(after) >= SHARE_MIN.saturating_mul(10) {
            moved.push(format!("`{name}` {}.{} % → {}.{} %", before / 10, before % 10, after / 10, after % 10));
        }
    }
    if !moved.is_empty() && !told.list.iter().any(|difference| difference.class == "dataset.labels_renamed") {
        let words = format!("labels have other shares of the rows: {}", shorten(&moved.join(", "), 400));
        told.say("dataset.class_balance", Grade::Notable, place, words);
    }
}
