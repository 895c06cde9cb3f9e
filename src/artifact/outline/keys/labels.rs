//! Label maps: `id2label` and `label2id`. Labels that change places turn every answer around.

use std::collections::BTreeMap;

use crate::artifact::outline::Told;
use crate::base::text::shorten;
use crate::event::difference::{Difference, Grade};

/// Where label maps stand.
const MAPS: [&str; 2] = ["id2label", "label2id"];

/// True for an entry of a label map, which is compared with its neighbours.
pub fn is_one(path: &str) -> bool {
    path.split('.').rev().nth(1).is_some_and(|map| MAPS.contains(&map))
}

/// Entries of one map: numbers with their names, and the path of the map.
fn map<'k>(pairs: &'k BTreeMap<String, String>, which: &str) -> BTreeMap<&'k str, (&'k str, &'k str)> {
    let mut found = BTreeMap::new();
    for (path, value) in pairs.iter().filter(|(path, _)| is_one(path)) {
        let mut parts = path.rsplitn(3, '.');
        let (Some(key), Some(map)) = (parts.next(), parts.next()) else { continue };
        if map == which {
            // By number, whichever way round it is written.
            let (number, name) = if which == "id2label" { (key, value.as_str()) } else { (value.as_str(), key) };
            found.insert(number, (name, path.as_str()));
        }
    }
    found
}

pub fn compare(told: &mut Told, place: &str, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) {
    for which in MAPS {
        let (before, after) = (map(old, which), map(new, which));
        let text = |map: &BTreeMap<&str, (&str, &str)>| {
            let all: Vec<String> = map.iter().take(64).map(|(number, (name, _))| format!("{number}: {name}")).collect();
            shorten(&all.join(", "), 400)
        };
        let differ: Vec<&str> = after
            .iter()
            .filter(|(number, (name, _))| before.get(*number).is_some_and(|(known, _)| known != name))
            .map(|(number, _)| *number)
            .collect();
        let gone = before.keys().filter(|number| !after.contains_key(*number)).count();
        let fresh = after.keys().filter(|number| !before.contains_key(*number)).count();
        if differ.is_empty() && gone == 0 && fresh == 0 {
            continue;
        }
        // A name that stood at another number before has moved; a new name is another word for the same.
        let moved = differ.iter().filter(|number| {
            let name = after.get(*number).map(|(name, _)| *name);
            before.iter().any(|(other, (known, _))| other != *number && Some(*known) == name)
        });
        let moved = moved.count();
        let mut place = place.to_owned();
        place.push_str(which);
        let difference = if moved > 0 && !before.is_empty() {
            let words = format!("{moved} labels stand at numbers that meant other labels before");
            Difference::new("config.labels_swapped", Grade::Hostile, place, words)
        } else {
            let words = format!("{} labels have another name, {fresh} are new and {gone} are gone", differ.len());
            let grade = if before.is_empty() || after.is_empty() { Grade::Routine } else { Grade::Notable };
            Difference::new("config.labels", grade, place, words)
        };
        told.push(difference.texts(text(&before), text(&after)));
    }
}
