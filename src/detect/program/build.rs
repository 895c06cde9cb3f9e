//! Rules → one program: atoms that are shared, expressions over atoms, and what wakes each rule.

use std::collections::HashMap;

use crate::detect::frame::FieldTable;
use crate::detect::pattern::{DASHES, TextTest, Token, fold};
use crate::detect::predicate::{Expression, Matcher};
use crate::detect::relation::Relation;

use super::gate;
use super::index::{FieldIndex, Place, finds, finds_short, frequency};
use super::paths::Paths;
use super::table::index;
use super::{Ask, Node, Program};

/// Spellings into which the dashes of one pattern are written out.
const SPELLINGS_MAX: usize = 25;

/// An expression over atoms, before it is laid out.
#[derive(Debug, Clone)]
enum Term {
    Constant(bool),
    Atom(u32),
    All(Vec<Term>),
    Any(Vec<Term>),
    Not(Box<Term>),
}

/// What makes two atoms one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Found(u32, Place, String),
    Exists(u32, bool),
    Present(u32),
    Null(u32),
    /// Cased texts, patterns, expressions, networks, comparisons: by what they print.
    Asked(u32, String),
    Reference(u32, u32, u8, bool),
}

pub struct Builder<'t> {
    table: &'t FieldTable,
    /// Numbers of fields in the whole set → in this program.
    fields: HashMap<usize, u32>,
    names: Vec<&'t str>,
    keywords: Option<u32>,
    atoms: HashMap<Key, u32>,
    asks: Vec<Ask>,
    /// A guess at how often an atom holds; of those that are asked one by one, infinite.
    frequencies: Vec<f64>,
    found: Vec<(u32, Place, String, u32)>,
    terms: Vec<(usize, Term)>,
}

impl<'t> Builder<'t> {
    pub fn new(table: &'t FieldTable) -> Self {
        Self {
            table,
            fields: HashMap::new(),
            names: Vec::new(),
            keywords: None,
            atoms: HashMap::new(),
            asks: Vec::new(),
            frequencies: Vec::new(),
            found: Vec::new(),
            terms: Vec::new(),
        }
    }

    /// Adds a rule by its number in the set.
    pub fn add(&mut self, number: usize, expression: &Expression) {
        let term = self.term(expression);
        self.terms.push((number, term));
    }

    pub fn finish(mut self) -> Program {
        let mut program = Program {
            paths: Paths::new(self.names.iter().copied()),
            keywords: self.keywords,
            slots: self.names.len(),
            asks: std::mem::take(&mut self.asks),
            ..Program::default()
        };
        let mut asked: Vec<Vec<(Place, &str, u32)>> = vec![Vec::new(); self.names.len()];
        for (field, place, text, atom) in &self.found {
            asked[*field as usize].push((*place, text, *atom));
        }
        program.indexes = asked.iter().map(|asked| FieldIndex::new(asked)).collect();
        let mut wakes: Vec<Vec<u32>> = vec![Vec::new(); program.asks.len()];
        for (number, term) in &self.terms {
            let local = index(program.rules.len());
            let root = program.lay(&self.simplified(term));
            program.rules.push((*number, root));
            match self.witnesses(term) {
                Some((_, atoms)) => {
                    for atom in atoms {
                        if wakes[atom as usize].last() != Some(&local) {
                            wakes[atom as usize].push(local);
                        }
                    }
                }
                None => program.always.push(local),
            }
        }
        for woken in wakes {
            program.wakes.push((index(program.woken.len()), index(woken.len())));
            program.woken.extend(woken);
        }
        program
    }

    fn field(&mut self, number: usize) -> u32 {
        if let Some(field) = self.fields.get(&number) {
            return *field;
        }
        let field = index(self.names.len());
        self.names.push(self.table.name(number));
        self.fields.insert(number, field);
        field
    }

    fn term(&mut self, expression: &Expression) -> Term {
        match expression {
            Expression::All(members) => Term::All(members.iter().map(|member| self.term(member)).collect()),
            Expression::Any(members) => Term::Any(members.iter().map(|member| self.term(member)).collect()),
            Expression::Not(inner) => Term::Not(Box::new(self.term(inner))),
            Expression::Field { slot, matchers, every } => {
                let field = self.field(*slot);
                self.matchers(field, matchers, *every)
            }
            Expression::Keywords { matchers, every } => {
                let field = self.keywords.unwrap_or_else(|| {
                    // No event has a field of this name: the reader fills it with everything.
                    self.names.push("\0");
                    index(self.names.len() - 1)
                });
                self.keywords = Some(field);
                self.matchers(field, matchers, *every)
            }
            Expression::Exists { slot, wanted } => {
                let field = self.field(*slot);
                self.asked(Key::Exists(field, *wanted), Ask::Exists { field, wanted: *wanted })
            }
            Expression::Present { slot } => {
                let field = self.field(*slot);
                self.asked(Key::Present(field), Ask::Present { field })
            }
            Expression::Reference { slot, other, relation, cased } => {
                let (field, other) = (self.field(*slot), self.field(*other));
                let key = Key::Reference(field, other, relation_number(*relation), *cased);
                let asked = self.asked(key, Ask::Reference { field, other, relation: *relation, cased: *cased });
                Term::All(vec![self.found(field, Place::Anything, ""), asked])
            }
        }
    }

    fn matchers(&mut self, field: u32, matchers: &[Matcher], every: bool) -> Term {
        let mut terms: Vec<Term> = matchers.iter().map(|matcher| self.matcher(field, matcher)).collect();
        match terms.len() {
            1 => terms.swap_remove(0),
            _ if every => Term::All(terms),
            _ => Term::Any(terms),
        }
    }

    fn matcher(&mut self, field: u32, matcher: &Matcher) -> Term {
        match matcher {
            Matcher::Text { test, cased } => self.text(field, test, *cased, matcher),
            Matcher::Number(super::Number::Int(number)) => self.found(field, Place::Whole, &number.to_string()),
            Matcher::Bool(flag) => self.found(field, Place::Whole, if *flag { "true" } else { "false" }),
            Matcher::Null => self.asked(Key::Null(field), Ask::Null { field }),
            Matcher::Regex(expression) => {
                let gate = gate::of_regex(expression.as_str());
                let asked = self.one_by_one(field, matcher);
                self.gated(field, gate, asked)
            }
            Matcher::Number(_) | Matcher::Network(_) | Matcher::Compare(..) | Matcher::Time(..) => {
                let asked = self.one_by_one(field, matcher);
                self.gated(field, None, asked)
            }
        }
    }

    fn text(&mut self, field: u32, test: &TextTest, cased: bool, matcher: &Matcher) -> Term {
        let plain = match test {
            TextTest::Anything => None,
            TextTest::Exact(text) => Some((Place::Whole, text)),
            TextTest::Prefix(text) => Some((Place::Start, text)),
            TextTest::Suffix(text) => Some((Place::End, text)),
            TextTest::Contains(text) => Some((Place::Inside, text)),
            TextTest::Glob(glob) => {
                if let Some(spellings) =
                    glob.as_dashed().filter(|_| !cased).and_then(|(tokens, anchored)| dashed(tokens, anchored))
                {
                    let terms = spellings.iter().map(|(place, text)| self.place(field, *place, text)).collect();
                    return Term::Any(terms);
                }
                let gate = glob.longest_text().map(|text| vec![fold(text)]);
                let asked = self.one_by_one(field, matcher);
                return self.gated(field, gate, asked);
            }
        };
        match plain {
            None => self.found(field, Place::Anything, ""),
            Some((place, text)) if !cased => self.place(field, place, text),
            Some((place, text)) => {
                let gate = self.place(field, place, &fold(text));
                Term::All(vec![gate, self.one_by_one(field, matcher)])
            }
        }
    }

    /// A folded text at a place: found in passing, or asked when it is too short for that.
    fn place(&mut self, field: u32, place: Place, text: &str) -> Term {
        if finds(place, text.len()) {
            return self.found(field, place, text);
        }
        let text = text.to_owned();
        let test = match place {
            Place::Whole | Place::Anything => TextTest::Exact(text),
            Place::Start => TextTest::Prefix(text),
            Place::End => TextTest::Suffix(text),
            Place::Inside => TextTest::Contains(text),
        };
        let asked = self.one_by_one(field, &Matcher::Text { test, cased: false });
        self.gated(field, None, asked)
    }

    fn gated(&mut self, field: u32, gate: Option<Vec<String>>, asked: Term) -> Term {
        match gate {
            Some(texts) if texts.iter().all(|text| finds_short(text.len())) => {
                let texts = texts.iter().map(|text| self.found(field, Place::Inside, text)).collect();
                Term::All(vec![Term::Any(texts), asked])
            }
            Some(_) | None => Term::All(vec![self.found(field, Place::Anything, ""), asked]),
        }
    }

    fn found(&mut self, field: u32, place: Place, text: &str) -> Term {
        let key = Key::Found(field, place, text.to_owned());
        if let Some(atom) = self.atoms.get(&key) {
            return Term::Atom(*atom);
        }
        let atom = self.atom(key, Ask::Found, frequency(place, text));
        self.found.push((field, place, text.to_owned(), atom));
        Term::Atom(atom)
    }

    fn one_by_one(&mut self, field: u32, matcher: &Matcher) -> Term {
        self.asked(Key::Asked(field, format!("{matcher:?}")), Ask::Match { field, matcher: matcher.clone() })
    }

    fn asked(&mut self, key: Key, ask: Ask) -> Term {
        match self.atoms.get(&key) {
            Some(atom) => Term::Atom(*atom),
            None => Term::Atom(self.atom(key, ask, f64::INFINITY)),
        }
    }

    fn atom(&mut self, key: Key, ask: Ask, frequency: f64) -> u32 {
        let atom = index(self.asks.len());
        self.asks.push(ask);
        self.frequencies.push(frequency);
        self.atoms.insert(key, atom);
        atom
    }

    /// Atoms of which one holds whenever the term does, with the guess at how often; `None` when
    /// there are no such atoms among those that are found in passing.
    fn witnesses(&self, term: &Term) -> Option<(f64, Vec<u32>)> {
        match term {
            Term::Constant(true) | Term::Not(_) => None,
            Term::Constant(false) => Some((0.0, Vec::new())),
            Term::Atom(atom) => {
                let frequency = *self.frequencies.get(*atom as usize)?;
                frequency.is_finite().then(|| (frequency, vec![*atom]))
            }
            Term::All(members) => {
                let sets = members.iter().filter_map(|member| self.witnesses(member));
                sets.min_by(|(a, _), (b, _)| a.total_cmp(b))
            }
            Term::Any(members) => {
                let mut all = (0.0, Vec::new());
                for member in members {
                    let (frequency, atoms) = self.witnesses(member)?;
                    all.0 += frequency;
                    all.1.extend(atoms);
                }
                Some(all)
            }
        }
    }

    /// Flat, with what is cheap and rare first.
    fn simplified(&self, term: &Term) -> Term {
        match term {
            Term::Constant(_) | Term::Atom(_) => term.clone(),
            Term::Not(inner) => match self.simplified(inner) {
                Term::Constant(value) => Term::Constant(!value),
                Term::Not(inner) => *inner,
                other => Term::Not(Box::new(other)),
            },
            Term::All(members) | Term::Any(members) => {
                let every = matches!(term, Term::All(_));
                let mut flat = Vec::new();
                for member in members {
                    match (self.simplified(member), every) {
                        (Term::All(inner), true) | (Term::Any(inner), false) => flat.extend(inner),
                        (Term::Constant(value), _) if value == every => {}
                        (Term::Constant(value), _) => return Term::Constant(value),
                        (other, _) => flat.push(other),
                    }
                }
                if flat.is_empty() {
                    return Term::Constant(every);
                }
                flat.sort_by(|a, b| self.effort(a).total_cmp(&self.effort(b)));
                match flat.len() {
                    1 => flat.swap_remove(0),
                    _ if every => Term::All(flat),
                    _ => Term::Any(flat),
                }
            }
        }
    }

    fn effort(&self, term: &Term) -> f64 {
        match term {
            Term::Constant(_) => 0.0,
            Term::Atom(atom) if self.frequencies.get(*atom as usize).is_some_and(|f| f.is_finite()) => 1.0,
            Term::Atom(atom) => match self.asks.get(*atom as usize) {
                Some(Ask::Match { matcher: Matcher::Regex(_), .. }) => 200.0,
                Some(Ask::Match { .. } | Ask::Reference { .. }) => 30.0,
                Some(Ask::Found | Ask::Exists { .. } | Ask::Present { .. } | Ask::Null { .. }) | None => 3.0,
            },
            Term::All(members) | Term::Any(members) => {
                1.0 + members.iter().map(|member| self.effort(member)).sum::<f64>()
            }
            Term::Not(inner) => self.effort(inner),
        }
    }
}

impl Program {
    /// Lays a term out; the number of its node.
    fn lay(&mut self, term: &Term) -> u32 {
        let node = match term {
            Term::Constant(value) => Node::Constant(*value),
            Term::Atom(atom) => match self.asks.get(*atom as usize) {
                Some(Ask::Found) => Node::Found(*atom),
                Some(_) | None => Node::Ask(*atom),
            },
            Term::Not(inner) => Node::Not(self.lay(inner)),
            Term::Any(members) if members.iter().all(|member| self.is_found(member)) => {
                let first = index(self.kids.len());
                self.kids.extend(members.iter().filter_map(|member| match member {
                    Term::Atom(atom) => Some(*atom),
                    Term::Constant(_) | Term::All(_) | Term::Any(_) | Term::Not(_) => None,
                }));
                Node::AnyFound(first, index(members.len()))
            }
            Term::All(members) | Term::Any(members) => {
                let nodes: Vec<u32> = members.iter().map(|member| self.lay(member)).collect();
                let first = index(self.kids.len());
                self.kids.extend(nodes);
                let range = (first, index(members.len()));
                if matches!(term, Term::All(_)) { Node::All(range.0, range.1) } else { Node::Any(range.0, range.1) }
            }
        };
        self.nodes.push(node);
        index(self.nodes.len() - 1)
    }

    fn is_found(&self, term: &Term) -> bool {
        matches!(term, Term::Atom(atom) if matches!(self.asks.get(*atom as usize), Some(Ask::Found)))
    }
}

const fn relation_number(relation: Relation) -> u8 {
    match relation {
        Relation::Equal => 0,
        Relation::Contains => 1,
        Relation::StartsWith => 2,
        Relation::EndsWith => 3,
    }
}

/// Every text for which a pattern of texts and dashes stands.
fn dashed(tokens: &[Token], anchored: (bool, bool)) -> Option<Vec<(Place, String)>> {
    let mut texts = vec![String::new()];
    for token in tokens {
        match token {
            Token::Text(text) => texts.iter_mut().for_each(|whole| whole.push_str(&fold(text))),
            Token::Dash => {
                texts =
                    texts.iter().flat_map(|whole| DASHES.iter().map(move |dash| format!("{whole}{dash}"))).collect();
            }
            Token::One | Token::Many => return None,
        }
        if texts.len() > SPELLINGS_MAX {
            return None;
        }
    }
    let place = match anchored {
        (true, true) => Place::Whole,
        (true, false) => Place::Start,
        (false, true) => Place::End,
        (false, false) => Place::Inside,
    };
    Some(texts.into_iter().map(|text| (place, text)).collect())
}
