//! Whether what a rule asks suits the declared type of the field.

use crate::base::yaml::{Data, Node};
use crate::event::FieldType;

use super::diagnostic::{Level, Reporter, Span};
use super::item::Asked;
use super::schema::Schema;
use super::sigma::detection::Item;
use super::sigma::modifier::Modifier;

/// Reports an unknown field; `None` then.
pub fn known(field: &str, span: Span, schema: &Schema, reporter: &mut Reporter<'_>) -> Option<FieldType> {
    let kind = schema.kind_of(field);
    if kind.is_none() {
        let hint = match schema.nearest(field) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`lanner rules fields` lists all fields".to_owned(),
        };
        reporter.report(Level::Error, "R012", span, format!("unknown field `{field}`"), Some(hint));
    }
    kind
}

/// Reports modifiers and values that can never match a field of this type.
pub fn check(field: &str, item: &Item, values: &[Node], asked: &Asked, schema: &Schema, reporter: &mut Reporter<'_>) {
    let Some(kind) = known(field, item.span, schema, reporter) else {
        return;
    };
    if kind == FieldType::Open || asked.exists {
        return;
    }
    for (modifier, span) in &item.modifiers {
        let of_part = asked.time.is_some() && matches!(modifier, Modifier::Compare(_));
        if !of_part && !suits(*modifier, kind) {
            let message =
                format!("`{}` cannot be asked of `{field}`, whose type is {}", modifier.name(), kind.as_str());
            reporter.error("R013", *span, message);
        }
    }
    if asked.reference || asked.compare.is_some() || asked.time.is_some() {
        return;
    }
    for value in values.iter().filter(|value| !value_suits(value, kind)) {
        let message = format!("`{field}` is {}, so {} never equals it", kind.as_str(), value.kind());
        let hint = match (&value.data, kind) {
            (Data::Text(text), FieldType::Bool | FieldType::Integer | FieldType::Float) => {
                format!("write it without quotes, if `{text}` is what you mean")
            }
            _ => "write the value in quotes".to_owned(),
        };
        reporter.error_hint("R013", Span::of(value), message, hint);
    }
}

const fn suits(modifier: Modifier, kind: FieldType) -> bool {
    match modifier {
        Modifier::All | Modifier::Neq | Modifier::Exists | Modifier::FieldRef | Modifier::Expand => true,
        Modifier::Time(_) => {
            matches!(kind, FieldType::Time | FieldType::Text | FieldType::Integer | FieldType::Float | FieldType::Open)
        }
        Modifier::Compare(_) => matches!(kind, FieldType::Integer | FieldType::Float | FieldType::Open),
        Modifier::Contains
        | Modifier::StartsWith
        | Modifier::EndsWith
        | Modifier::Cased
        | Modifier::Windash
        | Modifier::Encode(_)
        | Modifier::Re
        | Modifier::Flag(_)
        | Modifier::Cidr => {
            matches!(kind, FieldType::Text | FieldType::TextList | FieldType::Time | FieldType::Open)
        }
    }
}

const fn value_suits(value: &Node, kind: FieldType) -> bool {
    match value.data {
        Data::Null => true,
        Data::Bool(_) => matches!(kind, FieldType::Bool | FieldType::Open),
        // A text may be all digits: versions are.
        Data::Int(_) | Data::Float(_) => !matches!(kind, FieldType::Bool),
        Data::Text(_) => !matches!(kind, FieldType::Bool | FieldType::Integer | FieldType::Float),
        Data::List(_) | Data::Map(_) => false,
    }
}
