//! Outlines: what is kept of an artifact when it is looked at, so that two versions can be compared once the bytes
//! of the old one are gone. Everything but weights: graphs, layers, tokenizers, templates, settings, rows, code,
//! requirements, imports, members.
//!
//! An outline holds digests, counts and short texts, within a bound on its size. Whatever was left out to stay
//! within it is said in the outline itself, and in a difference of the class `outline.cut`.

mod chunks;
pub mod classes;
mod code;
mod graph;
mod imports;
mod keys;
mod layers;
mod members;
mod packed;
mod pins;
mod rows;
mod take;
mod text;
mod tokens;

use serde::{Deserialize, Serialize};

use super::input::{Budget, Input};
use super::{Bytes, Limits};
use crate::base::text::shorten;
use crate::event::difference::{Difference, Grade};

pub use classes::CLASSES;

/// What an outline's layout is; another number is not compared.
const VERSION: u32 = 1;
/// Bytes of an outline as JSON: of a table, and of anything else.
pub const TABLE_BYTES_MAX: usize = 4 << 20;
pub const BYTES_MAX: usize = 512 << 10;
/// Differences told of one comparison.
const TOLD_MAX: usize = 512;
/// Parts of one outline, and sentences about what was cut.
const PARTS_MAX: usize = 4096;
const CUTS_MAX: usize = 32;

/// What is kept of one artifact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outline {
    version: u32,
    /// Format as the inspection names it, name of the file without its folder, and its length in bytes.
    pub format: String,
    pub name: String,
    pub size: u64,
    parts: Vec<Part>,
    /// What was left out, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<String>,
}

/// One part of an artifact that is compared by itself; `place` is empty for the artifact as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Part {
    place: String,
    body: Body,
}

/// What a part is, by family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    Keys(keys::Keys),
    Text(text::Text),
    Graph(graph::Graph),
    Layers(layers::Layers),
    Tokens(tokens::Tokens),
    Rows(rows::Rows),
    Code(code::Code),
    Pins(pins::Pins),
    Imports(imports::Imports),
    Members(members::Members),
    Chunks(chunks::Chunks),
}

impl Body {
    /// The word for people, which also tells families apart.
    const fn family(&self) -> &'static str {
        match self {
            Self::Keys(_) => "settings",
            Self::Text(_) => "text",
            Self::Graph(_) => "graph",
            Self::Layers(_) => "layers",
            Self::Tokens(_) => "vocabulary",
            Self::Rows(_) => "table",
            Self::Code(_) => "code",
            Self::Pins(_) => "requirements",
            Self::Imports(_) => "imports",
            Self::Members(_) => "members",
            Self::Chunks(_) => "bytes",
        }
    }
}

/// The outline of an artifact; `format` is what its inspection said. `None` where there is nothing to keep: an empty
/// file, or one of weights alone.
///
/// Reads within `limits`; the result, written as JSON, takes at most [`TABLE_BYTES_MAX`] or [`BYTES_MAX`] bytes.
pub fn outline(bytes: &dyn Bytes, name: &str, format: &str, limits: &Limits) -> Option<Outline> {
    let budget = Budget::new(limits);
    let input = Input::new(bytes, &budget);
    let mut taking = take::Taking::default();
    take::take(&mut taking, input, name, format, 0);
    if let Some(limit) = budget.exhausted.get() {
        taking.cut(&format!("`{limit}` was reached; what lies beyond is not in the outline"));
    }
    let file = name.rsplit('/').next().unwrap_or(name);
    let mut outline = Outline {
        version: VERSION,
        format: shorten(format, 64),
        name: shorten(file, 256),
        size: bytes.len(),
        parts: taking.parts,
        cut: taking.cuts,
    };
    outline.fit();
    (!outline.parts.is_empty() || !outline.cut.is_empty()).then_some(outline)
}

/// What differs between two versions, the worst first. `new_bytes` are those of the new version: a table's new rows
/// are read again for what was put into them, a vocabulary's for the names of its tokens.
pub fn compare(old: &Outline, new: &Outline, new_bytes: Option<&dyn Bytes>, limits: &Limits) -> Vec<Difference> {
    let mut told = Told::default();
    if old == new {
        return told.list;
    }
    if old.version != VERSION || new.version != VERSION {
        told.say(
            "outline.cut",
            Grade::Routine,
            "",
            "one of the two outlines was made by another version of Lanner; look at the artifact again to compare it",
        );
        return told.finish();
    }
    let budget = Budget::new(limits);
    let again = new_bytes.map(|bytes| Again { input: Input::new(bytes, &budget), name: &new.name });
    let key = |part: &Part| (part.place.clone(), part.body.family());
    let mut places: Vec<_> = old.parts.iter().chain(&new.parts).take(2 * PARTS_MAX).map(key).collect();
    places.sort();
    places.dedup();
    let find = |outline: &Outline, wanted: &(String, &'static str)| {
        outline.parts.iter().take(PARTS_MAX).find(|part| key(part) == *wanted).map(|part| part.body.clone())
    };
    for place in &places {
        part(&mut told, &place.0, find(old, place), find(new, place), again.as_ref());
    }
    for (which, outline) in [("old", old), ("new", new)] {
        for cut in outline.cut.iter().take(CUTS_MAX) {
            // What could be looked into before and cannot be now may be meant to be so.
            let grade = if old.cut.contains(cut) { Grade::Routine } else { Grade::Notable };
            told.say("outline.cut", grade, "", format!("of the {which} version: {cut}"));
        }
    }
    told.finish()
}

/// The bytes of the new version, for what an outline does not hold.
struct Again<'a> {
    input: Input<'a>,
    name: &'a str,
}

fn part(told: &mut Told, place: &str, old: Option<Body>, new: Option<Body>, again: Option<&Again<'_>>) {
    // The bytes of a member are not those of its archive.
    let again = again.filter(|_| !place.contains('/'));
    match (old, new) {
        (Some(Body::Graph(old)), Some(Body::Graph(new))) => graph::compare(told, place, &old, &new),
        (Some(Body::Tokens(old)), Some(Body::Tokens(new))) => tokens::compare(told, place, &old, &new, again),
        (Some(Body::Rows(old)), Some(Body::Rows(new))) => rows::compare(told, place, &old, &new, again),
        (Some(Body::Chunks(old)), Some(Body::Chunks(new))) => chunks::compare(told, place, &old, &new),
        (old, new) => match (&old, &new) {
            (Some(Body::Keys(_)) | None, Some(Body::Keys(_))) | (Some(Body::Keys(_)), None) => {
                let of = |body| if let Some(Body::Keys(keys)) = body { keys } else { keys::Keys::default() };
                keys::compare(told, place, &of(old), &of(new));
            }
            (Some(Body::Text(_)) | None, Some(Body::Text(_))) | (Some(Body::Text(_)), None) => {
                let of = |body| if let Some(Body::Text(text)) = body { Some(text) } else { None };
                text::compare(told, place, of(old).as_ref(), of(new).as_ref());
            }
            (Some(Body::Layers(_)) | None, Some(Body::Layers(_))) | (Some(Body::Layers(_)), None) => {
                let of = |body| if let Some(Body::Layers(layers)) = body { layers } else { layers::Layers::default() };
                layers::compare(told, place, &of(old), &of(new));
            }
            (Some(Body::Code(_)) | None, Some(Body::Code(_))) | (Some(Body::Code(_)), None) => {
                let of = |body| if let Some(Body::Code(code)) = body { code } else { code::Code::default() };
                code::compare(told, place, &of(old), &of(new));
            }
            (Some(Body::Pins(_)) | None, Some(Body::Pins(_))) | (Some(Body::Pins(_)), None) => {
                let of = |body| if let Some(Body::Pins(pins)) = body { pins } else { pins::Pins::default() };
                pins::compare(told, place, &of(old), &of(new));
            }
            (Some(Body::Imports(_)) | None, Some(Body::Imports(_))) | (Some(Body::Imports(_)), None) => {
                let of =
                    |body| if let Some(Body::Imports(imports)) = body { imports } else { imports::Imports::default() };
                imports::compare(told, place, &of(old), &of(new));
            }
            (Some(Body::Members(_)) | None, Some(Body::Members(_))) | (Some(Body::Members(_)), None) => {
                let of =
                    |body| if let Some(Body::Members(members)) = body { members } else { members::Members::default() };
                members::compare(told, place, &of(old), &of(new));
            }
            (None, Some(body)) => told.say(
                "outline.part_added",
                Grade::Notable,
                place,
                format!("there is a {} now, where none was before", body.family()),
            ),
            (Some(body), None) => told.say(
                "outline.part_removed",
                Grade::Notable,
                place,
                format!("the {} that was there is gone", body.family()),
            ),
            // Parts are paired by their family.
            (Some(_), Some(_)) | (None, None) => {}
        },
    }
}

/// What was found to differ so far.
#[derive(Default)]
struct Told {
    list: Vec<Difference>,
    more: usize,
}

impl Told {
    fn say(&mut self, class: &str, grade: Grade, place: impl Into<String>, words: impl Into<String>) {
        self.push(Difference::new(class, grade, place, words));
    }

    fn push(&mut self, mut difference: Difference) {
        if self.list.len() >= TOLD_MAX.saturating_mul(4) {
            self.more = self.more.saturating_add(1);
            return;
        }
        difference.place = shorten(&difference.place, 300);
        difference.words = shorten(&difference.words, 800);
        self.list.push(difference);
    }

    /// The worst first, each once, within the bound.
    fn finish(mut self) -> Vec<Difference> {
        self.list.sort_by(|one, other| {
            (other.grade, &one.class, &one.place, &one.words).cmp(&(
                one.grade,
                &other.class,
                &other.place,
                &other.words,
            ))
        });
        self.list.dedup();
        let more = self.list.len().saturating_sub(TOLD_MAX).saturating_add(self.more);
        if more > 0 {
            self.list.truncate(TOLD_MAX);
            let words = format!("{more} more differences, none of them worse, are not listed");
            self.list.push(Difference::new("outline.cut", Grade::Routine, "", words));
        }
        self.list
    }
}

impl Outline {
    /// An outline as it was written; `None` for anything else, and for more than an outline may be.
    pub fn from_json(text: &[u8]) -> Option<Self> {
        (text.len() <= 2 * TABLE_BYTES_MAX).then(|| serde_json::from_slice(text).ok()).flatten()
    }

    /// Drops the largest parts until the rest fits.
    fn fit(&mut self) {
        self.cut.truncate(CUTS_MAX);
        if self.parts.len() > PARTS_MAX {
            self.cut.push(format!("{} parts are more than are kept", self.parts.len()));
            self.parts.truncate(PARTS_MAX);
        }
        let weigh = |part: &Part| serde_json::to_vec(part).map_or(0, |text| text.len());
        let mut weights: Vec<usize> = self.parts.iter().map(weigh).collect();
        let table = self.parts.iter().any(|part| matches!(part.body, Body::Rows(_)));
        let max = if table { TABLE_BYTES_MAX } else { BYTES_MAX };
        // Room for what stands around the parts.
        let max = max.saturating_sub(16 << 10);
        while weights.iter().sum::<usize>() > max {
            let Some(largest) = (0..weights.len()).max_by_key(|at| weights.get(*at).copied()) else { return };
            weights.remove(largest);
            let part = self.parts.remove(largest);
            if self.cut.len() < CUTS_MAX {
                let (family, place) = (part.body.family(), shorten(&part.place, 100));
                self.cut.push(format!("the {family} `{place}` would take more room than an outline has"));
            }
        }
    }
}
