//! Modifiers: what stands behind a field's name, `field|contains|all`.

use std::cmp::Ordering;

use crate::base::text;
use crate::detect::diagnostic::{Reporter, Span};
use crate::detect::moment::TimePart;

/// One modifier that we support.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modifier {
    Contains,
    StartsWith,
    EndsWith,
    All,
    Neq,
    Cased,
    Exists,
    Windash,
    Encode(Encoding),
    Re,
    Flag(Flag),
    Cidr,
    Compare(Comparison),
    FieldRef,
    /// Placeholders stand for the values of named lists.
    Expand,
    /// A part of a time, compared with a number.
    Time(TimePart),
}

/// How a text is spelt as other text or bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Base64,
    Base64Offset,
    /// `wide`, `utf16le`.
    Utf16Le,
    Utf16Be,
    /// Little-endian with a byte order mark.
    Utf16,
}

/// Flags of a regular expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    IgnoreCase,
    MultiLine,
    DotAll,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Lt,
    Lte,
    Gt,
    Gte,
}

impl Comparison {
    pub const fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Lt => ordering.is_lt(),
            Self::Lte => ordering.is_le(),
            Self::Gt => ordering.is_gt(),
            Self::Gte => ordering.is_ge(),
        }
    }
}

/// Names as written; several may mean one thing.
const NAMES: &[(&str, Modifier)] = &[
    ("contains", Modifier::Contains),
    ("startswith", Modifier::StartsWith),
    ("endswith", Modifier::EndsWith),
    ("all", Modifier::All),
    ("neq", Modifier::Neq),
    ("cased", Modifier::Cased),
    ("exists", Modifier::Exists),
    ("windash", Modifier::Windash),
    ("base64", Modifier::Encode(Encoding::Base64)),
    ("base64offset", Modifier::Encode(Encoding::Base64Offset)),
    ("wide", Modifier::Encode(Encoding::Utf16Le)),
    ("utf16le", Modifier::Encode(Encoding::Utf16Le)),
    ("utf16be", Modifier::Encode(Encoding::Utf16Be)),
    ("utf16", Modifier::Encode(Encoding::Utf16)),
    ("re", Modifier::Re),
    ("i", Modifier::Flag(Flag::IgnoreCase)),
    ("ignorecase", Modifier::Flag(Flag::IgnoreCase)),
    ("m", Modifier::Flag(Flag::MultiLine)),
    ("multiline", Modifier::Flag(Flag::MultiLine)),
    ("s", Modifier::Flag(Flag::DotAll)),
    ("dotall", Modifier::Flag(Flag::DotAll)),
    ("cidr", Modifier::Cidr),
    ("lt", Modifier::Compare(Comparison::Lt)),
    ("lte", Modifier::Compare(Comparison::Lte)),
    ("gt", Modifier::Compare(Comparison::Gt)),
    ("gte", Modifier::Compare(Comparison::Gte)),
    ("fieldref", Modifier::FieldRef),
    ("expand", Modifier::Expand),
    ("minute", Modifier::Time(TimePart::Minute)),
    ("hour", Modifier::Time(TimePart::Hour)),
    ("day", Modifier::Time(TimePart::Day)),
    ("week", Modifier::Time(TimePart::Week)),
    ("month", Modifier::Time(TimePart::Month)),
    ("year", Modifier::Time(TimePart::Year)),
];

/// What kind of question a modifier belongs to. A field has one kind; `all` and `neq` suit most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Text,
    Anchor,
    Regex,
    Single,
    FieldRef,
    Compare,
    Time,
    Expand,
    Any,
}

impl Modifier {
    /// The name to show for it.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, modifier)| *modifier == self).map_or("?", |(name, _)| name)
    }

    /// Reads one name; reports an unknown one.
    pub fn read(name: &str, span: Span, reporter: &mut Reporter<'_>) -> Option<Self> {
        let known = NAMES.iter().find(|(known, _)| *known == name);
        if known.is_none() {
            let hint = match text::nearest(name, NAMES.iter().map(|(known, _)| *known).filter(|known| known.len() > 1))
            {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", list_of_names()),
            };
            reporter.error_hint("R014", span, format!("unknown modifier `{name}`"), hint);
        }
        known.map(|(_, modifier)| *modifier)
    }

    const fn family(self) -> Family {
        match self {
            Self::Contains | Self::StartsWith | Self::EndsWith => Family::Anchor,
            Self::Cased | Self::Windash | Self::Encode(_) => Family::Text,
            Self::Re | Self::Flag(_) => Family::Regex,
            Self::Cidr | Self::Exists => Family::Single,
            Self::Compare(_) => Family::Compare,
            Self::Time(_) => Family::Time,
            Self::Expand => Family::Expand,
            Self::FieldRef => Family::FieldRef,
            Self::All | Self::Neq => Family::Any,
        }
    }
}

/// Whether modifiers go together in this order; the second of a pair that does not is returned
/// with the reason.
pub fn clash(modifiers: &[Modifier]) -> Option<(usize, String)> {
    for (index, modifier) in modifiers.iter().enumerate() {
        let before = modifiers.get(..index).unwrap_or_default();
        if before.contains(modifier) {
            return Some((index, format!("`{}` is written twice", modifier.name())));
        }
        if matches!(modifier, Modifier::Flag(_)) && !before.contains(&Modifier::Re) {
            return Some((index, format!("`{}` is a flag of `re` and stands behind it", modifier.name())));
        }
        if let Some(other) = before.iter().find(|other| !together(**other, *modifier)) {
            return Some((index, format!("`{}` does not go with `{}`", modifier.name(), other.name())));
        }
    }
    None
}

/// Families of which modifiers may stand at one field, in any order.
const TOGETHER: &[(Family, Family)] = &[
    (Family::Text, Family::Text),
    (Family::Text, Family::Anchor),
    (Family::Regex, Family::Regex),
    (Family::Regex, Family::Anchor),
    (Family::FieldRef, Family::Anchor),
    (Family::Any, Family::Any),
    (Family::Any, Family::Text),
    (Family::Any, Family::Anchor),
    (Family::Any, Family::Regex),
    (Family::Any, Family::Single),
    (Family::Any, Family::FieldRef),
    (Family::Any, Family::Compare),
    (Family::Any, Family::Time),
    (Family::Time, Family::Compare),
    (Family::Expand, Family::Any),
    (Family::Expand, Family::Text),
    (Family::Expand, Family::Anchor),
    (Family::Expand, Family::Regex),
    (Family::Expand, Family::Single),
    (Family::Expand, Family::Compare),
    (Family::Expand, Family::Time),
];

fn together(a: Modifier, b: Modifier) -> bool {
    let exists = [a, b].contains(&Modifier::Exists);
    let cased_reference = [a, b].contains(&Modifier::Cased) && [a, b].contains(&Modifier::FieldRef);
    let (a, b) = (a.family(), b.family());
    !exists && (cased_reference || TOGETHER.contains(&(a, b)) || TOGETHER.contains(&(b, a)))
}

fn list_of_names() -> String {
    NAMES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
