//! Conditions as propositions: what each item asks is an atom that holds of an event or not.
//!
//! The rewriting is sound and not complete: what it calls impossible is impossible, whatever the values
//! of an event and however many a field has; what it leaves open may be impossible all the same.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::yaml::{Data, Node};
use crate::detect::pattern::fold;
use crate::detect::schema::Schema;
use crate::detect::sigma::condition::Condition;
use crate::detect::sigma::detection::{Detection, Item, Search};
use crate::detect::sigma::modifier::Modifier;

use super::super::number::Number;
use super::super::sigma::modifier::Comparison;

/// Parts of one condition, selections written out; a larger one is not looked at.
const PARTS_MAX: usize = 20_000;

/// Rounds of simplifying one conjunction or disjunction.
const ROUNDS_MAX: usize = 8;

/// What can be said of a condition without an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Open,
    /// With the contradiction, where there is a plain one.
    Never(Option<String>),
    Always,
}

/// A proposition: negations at atoms only, no `All` in an `All`, members in order and each once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Logic {
    True,
    False,
    Atom { number: usize, holds: bool },
    All(Vec<Logic>),
    Any(Vec<Logic>),
}

/// What an atom asks, as far as contradictions with other atoms can be seen.
#[derive(Debug, Clone, PartialEq)]
struct Atom {
    /// Spelt alike for all who ask the same.
    text: String,
    field: Option<String>,
    asks: Asks,
}

#[derive(Debug, Clone, PartialEq)]
enum Asks {
    /// The field is there at all.
    Exists,
    /// Exactly this value, of a field that has one.
    Exactly(String),
    /// A number so compared, of a field that has one.
    Number(Comparison, Number),
    /// The field is absent or null.
    Null,
    Other,
}

/// Reads the conditions of one rule.
pub struct Reader<'r> {
    detection: &'r Detection,
    schema: &'r Schema,
    numbers: BTreeMap<String, usize>,
    atoms: Vec<Atom>,
    parts: usize,
    why: Option<String>,
}

impl<'r> Reader<'r> {
    pub const fn new(detection: &'r Detection, schema: &'r Schema) -> Self {
        Self { detection, schema, numbers: BTreeMap::new(), atoms: Vec::new(), parts: 0, why: None }
    }

    /// The verdict, and the condition spelt in one way; `None` when it is too large.
    pub fn read(&mut self, condition: &Condition) -> Option<(Verdict, String)> {
        self.why = None;
        let logic = self.condition(condition, true)?;
        let verdict = match logic {
            Logic::False => Verdict::Never(self.why.take()),
            Logic::True => Verdict::Always,
            Logic::Atom { .. } | Logic::All(_) | Logic::Any(_) => Verdict::Open,
        };
        Some((verdict, self.spell(&logic)))
    }

    fn condition(&mut self, condition: &Condition, holds: bool) -> Option<Logic> {
        match condition {
            Condition::And(sides) => {
                let sides: Option<Vec<_>> = sides.iter().map(|side| self.condition(side, holds)).collect();
                Some(self.join(sides?, holds))
            }
            Condition::Or(sides) => {
                let sides: Option<Vec<_>> = sides.iter().map(|side| self.condition(side, holds)).collect();
                Some(self.join(sides?, !holds))
            }
            Condition::Not(inner) => self.condition(inner, !holds),
            Condition::Name(word) => self.selection(&word.text, holds),
            Condition::Of { every, names } => {
                let chosen: Vec<String> = self
                    .detection
                    .selections
                    .iter()
                    .filter(|selection| Condition::selects(&names.text, &selection.name))
                    .map(|selection| selection.name.clone())
                    .collect();
                let members: Option<Vec<_>> = chosen.iter().map(|name| self.selection(name, holds)).collect();
                Some(self.join(members?, *every == holds))
            }
        }
    }

    fn selection(&mut self, name: &str, holds: bool) -> Option<Logic> {
        let detection = self.detection;
        let selection = detection.selections.iter().find(|selection| selection.name == name)?;
        self.search(selection.search.as_ref()?, holds)
    }

    fn search(&mut self, search: &Search, holds: bool) -> Option<Logic> {
        let (members, all) = match search {
            Search::Item(item) => return self.item(item, holds),
            Search::All(members) => (members, true),
            Search::Any(members) => (members, false),
        };
        let members: Option<Vec<_>> = members.iter().map(|member| self.search(member, holds)).collect();
        Some(self.join(members?, all == holds))
    }

    fn item(&mut self, item: &Item, holds: bool) -> Option<Logic> {
        let has = |wanted: Modifier| item.modifiers.iter().any(|(modifier, _)| *modifier == wanted);
        self.parts += item.values.len();
        if self.parts > PARTS_MAX {
            return None;
        }
        if has(Modifier::Exists) {
            let wanted = !matches!(&item.values.first()?.data, Data::Bool(false))
                && !item.values.first()?.as_text().is_some_and(|text| matches!(text, "no" | "false"));
            let field = item.field.clone()?;
            let number = self.atom(format!("{field} exists"), Some(field), Asks::Exists);
            return Some(Logic::Atom { number, holds: wanted == holds });
        }
        let neq = has(Modifier::Neq);
        let asked = holds != neq;
        let mut members = Vec::new();
        for value in &item.values {
            let number = self.value(item, value);
            members.push(Logic::Atom { number, holds: asked });
        }
        let logic = self.join(members, has(Modifier::All) == asked);
        if !neq {
            return Some(logic);
        }
        let field = item.field.clone()?;
        let present = self.atom(format!("{field} is there"), Some(field), Asks::Other);
        Some(self.join(vec![Logic::Atom { number: present, holds }, logic], holds))
    }

    fn value(&mut self, item: &Item, value: &Node) -> usize {
        let names = item.modifiers.iter().map(|(modifier, _)| *modifier);
        let names: Vec<&str> =
            names.filter(|modifier| !matches!(modifier, Modifier::All | Modifier::Neq)).map(Modifier::name).collect();
        let folds = item.modifiers.iter().all(|(modifier, _)| {
            !matches!(modifier, Modifier::Cased | Modifier::Re | Modifier::Encode(_) | Modifier::FieldRef)
        });
        let spelt = match &value.data {
            Data::Text(text) if folds => format!("{:?}", fold(text)),
            Data::Text(text) => format!("{text:?}"),
            Data::Bool(flag) => flag.to_string(),
            Data::Int(number) => number.to_string(),
            Data::Float(number) => format!("{number:?}"),
            Data::Null => "null".to_owned(),
            Data::List(_) | Data::Map(_) => String::new(),
        };
        let field = item.field.as_deref().unwrap_or_default();
        let asked: String = names.iter().map(|name| format!("|{name}")).collect();
        let text = format!("{field}{asked}: {spelt}");
        let asks = self.asks(item, value, &spelt);
        self.atom(text, item.field.clone(), asks)
    }

    fn asks(&self, item: &Item, value: &Node, spelt: &str) -> Asks {
        let modifiers: Vec<Modifier> = item
            .modifiers
            .iter()
            .map(|(modifier, _)| *modifier)
            .filter(|modifier| *modifier != Modifier::All)
            .collect();
        if value.data == Data::Null {
            return Asks::Null;
        }
        // Only of a declared field is it known that it has one value.
        let single = item.field.as_deref().is_some_and(|field| self.schema.is_single(field));
        match (modifiers.as_slice(), &value.data) {
            ([], Data::Text(text)) if single && !text.contains(['*', '?', '\\']) => {
                Asks::Exactly(format!("text {spelt}"))
            }
            ([], Data::Int(_)) if single => Asks::Exactly(format!("number {spelt}")),
            ([], Data::Bool(_)) if single => Asks::Exactly(format!("flag {spelt}")),
            ([Modifier::Compare(comparison)], Data::Int(number)) if single => {
                Asks::Number(*comparison, Number::Int(*number))
            }
            ([Modifier::Compare(comparison)], Data::Float(number)) if single => {
                Asks::Number(*comparison, Number::Float(*number))
            }
            _ => Asks::Other,
        }
    }

    fn atom(&mut self, text: String, field: Option<String>, asks: Asks) -> usize {
        if let Some(number) = self.numbers.get(&text) {
            return *number;
        }
        let number = self.atoms.len();
        self.numbers.insert(text.clone(), number);
        self.atoms.push(Atom { text, field, asks });
        number
    }

    /// Joins members with `and` (`all`) or `or`, and simplifies.
    fn join(&mut self, members: Vec<Logic>, all: bool) -> Logic {
        let (neutral, decided) = if all { (Logic::True, Logic::False) } else { (Logic::False, Logic::True) };
        let mut flat: BTreeSet<Logic> = BTreeSet::new();
        for member in members {
            match member {
                Logic::All(inner) if all => flat.extend(inner),
                Logic::Any(inner) if !all => flat.extend(inner),
                other if other == decided => return decided,
                other if other == neutral => {}
                other => {
                    flat.insert(other);
                }
            }
        }
        // Atoms decide what is left of the other members, which may become atoms in turn.
        for _ in 0..ROUNDS_MAX {
            let atoms: BTreeMap<usize, bool> = literals(&flat).collect();
            if let Some((number, _)) = literals(&flat).find(|(number, holds)| atoms.get(number) != Some(holds)) {
                self.why = self.atoms.get(number).map(|atom| format!("`{}` is asked for and ruled out", atom.text));
                return decided;
            }
            let reduced: BTreeSet<Logic> =
                flat.iter().map(|member| reduce(member, &atoms, all)).filter(|member| *member != neutral).collect();
            if reduced.contains(&decided) {
                return decided;
            }
            let unfolded: BTreeSet<Logic> = reduced.into_iter().flat_map(|member| unfold(member, all)).collect();
            if unfolded == flat {
                break;
            }
            flat = unfolded;
        }
        if all && self.contradicts(&flat) {
            return Logic::False;
        }
        let mut flat: Vec<Logic> = flat.into_iter().collect();
        match flat.len() {
            0 => neutral,
            1 => flat.remove(0),
            _ if all => Logic::All(flat),
            _ => Logic::Any(flat),
        }
    }

    /// Whether atoms that are different cannot hold of one event together.
    fn contradicts(&mut self, members: &BTreeSet<Logic>) -> bool {
        let mut by_field: BTreeMap<&str, Vec<(&Atom, bool)>> = BTreeMap::new();
        for (number, holds) in literals(members) {
            let Some(atom) = self.atoms.get(number) else { continue };
            if let Some(field) = atom.field.as_deref() {
                by_field.entry(field).or_default().push((atom, holds));
            }
        }
        let found = by_field.values().filter(|atoms| atoms.len() <= 64).find_map(|atoms| {
            let pairs =
                atoms.iter().enumerate().flat_map(|(index, a)| atoms.iter().skip(index + 1).map(move |b| (a, b)));
            pairs.into_iter().find(|(a, b)| excludes(a, b) || excludes(b, a))
        });
        let why = found.map(|((a, _), (b, _))| format!("`{}` and `{}` exclude each other", a.text, b.text));
        let contradicted = why.is_some();
        self.why = why.or(self.why.take());
        contradicted
    }

    fn spell(&self, logic: &Logic) -> String {
        let list = |members: &[Logic], word: &str| {
            let mut spelt: Vec<String> = members.iter().map(|member| self.spell(member)).collect();
            spelt.sort_unstable();
            format!("({})", spelt.join(word))
        };
        match logic {
            Logic::True => "true".to_owned(),
            Logic::False => "false".to_owned(),
            Logic::Atom { number, holds } => {
                let text = self.atoms.get(*number).map_or("", |atom| atom.text.as_str());
                if *holds { text.to_owned() } else { format!("not {text}") }
            }
            Logic::All(members) => list(members, " and "),
            Logic::Any(members) => list(members, " or "),
        }
    }
}

fn literals(members: &BTreeSet<Logic>) -> impl Iterator<Item = (usize, bool)> {
    members.iter().filter_map(|member| match member {
        Logic::Atom { number, holds } => Some((*number, *holds)),
        Logic::True | Logic::False | Logic::All(_) | Logic::Any(_) => None,
    })
}

/// A member of a conjunction (`all`) where these atoms hold; of a disjunction where they do not.
fn reduce(member: &Logic, atoms: &BTreeMap<usize, bool>, all: bool) -> Logic {
    let inner = match member {
        Logic::Any(inner) if all => inner,
        Logic::All(inner) if !all => inner,
        Logic::True | Logic::False | Logic::Atom { .. } | Logic::All(_) | Logic::Any(_) => return member.clone(),
    };
    let (neutral, empty) = if all { (Logic::True, Logic::False) } else { (Logic::False, Logic::True) };
    let mut left = Vec::new();
    for part in inner {
        match part {
            Logic::Atom { number, holds } => match atoms.get(number) {
                // `x and (x or y)` is `x`; `x or (x and y)`, too.
                Some(known) if known == holds => return neutral,
                Some(_) => {}
                None => left.push(part.clone()),
            },
            Logic::True | Logic::False | Logic::All(_) | Logic::Any(_) => left.push(part.clone()),
        }
    }
    match left.len() {
        0 => empty,
        1 => left.remove(0),
        _ if all => Logic::Any(left),
        _ => Logic::All(left),
    }
}

fn unfold(member: Logic, all: bool) -> Vec<Logic> {
    match member {
        Logic::All(inner) if all => inner,
        Logic::Any(inner) if !all => inner,
        other @ (Logic::True | Logic::False | Logic::Atom { .. } | Logic::All(_) | Logic::Any(_)) => vec![other],
    }
}

fn excludes((a, a_holds): &(&Atom, bool), (b, b_holds): &(&Atom, bool)) -> bool {
    match (&a.asks, &b.asks) {
        // Whatever has a value is there.
        (Asks::Exists, Asks::Exactly(_) | Asks::Number(..) | Asks::Other) => !a_holds && *b_holds,
        (Asks::Exactly(one), Asks::Exactly(other)) => *a_holds && *b_holds && same_kind(one, other) && one != other,
        (Asks::Null, Asks::Exactly(_) | Asks::Number(..)) => *a_holds && *b_holds,
        (Asks::Number(Comparison::Gt | Comparison::Gte, _), Asks::Number(Comparison::Lt | Comparison::Lte, _)) => {
            *a_holds && *b_holds && apart(&a.asks, &b.asks)
        }
        (Asks::Exists | Asks::Exactly(_) | Asks::Number(..) | Asks::Null | Asks::Other, _) => false,
    }
}

/// A number and a text may be the same value.
fn same_kind(one: &str, other: &str) -> bool {
    one.split(' ').next() == other.split(' ').next()
}

/// Whether no number is beyond the first and below the second.
fn apart(above: &Asks, below: &Asks) -> bool {
    let (Asks::Number(lower, least), Asks::Number(upper, most)) = (above, below) else { return false };
    match least.compare(*most) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => *lower == Comparison::Gt || *upper == Comparison::Lt,
        std::cmp::Ordering::Less => false,
    }
}
