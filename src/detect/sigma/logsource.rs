//! Which events a rule looks at.

use crate::base::text;
use crate::base::yaml::Node;
use crate::detect::diagnostic::{Reporter, Span};
use crate::detect::schema::Schema;
use crate::event::{Event, EventKind};

use super::keys;

/// The `logsource` of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logsource {
    /// As written, for example `artifact_scan`.
    pub category: Option<String>,
    /// The kind of our events that the category names; `None` for a foreign rule.
    pub kind: Option<EventKind>,
    /// Telemetry origin, for example `mlflow`; absent means any.
    pub product: Option<String>,
    /// Subset of the product; absent means any.
    pub service: Option<String>,
}

const KEYS: &[&str] = &["category", "product", "service", "definition"];

impl Logsource {
    /// Whether the rule looks at this event.
    pub fn covers(&self, event: &Event) -> bool {
        let fits = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found.is_some_and(|found| found.eq_ignore_ascii_case(wanted)))
        };
        self.kind == Some(event.kind)
            && fits(&self.product, Some(&event.product))
            && fits(&self.service, event.service.as_deref())
    }

    /// Whether a filter for this looks at all that a rule for `other` looks at.
    pub fn includes(&self, other: &Self) -> bool {
        let fits = |wanted: &Option<String>, found: &Option<String>| {
            wanted
                .as_deref()
                .is_none_or(|wanted| found.as_deref().is_some_and(|found| found.eq_ignore_ascii_case(wanted)))
        };
        fits(&self.category, &other.category)
            && fits(&self.product, &other.product)
            && fits(&self.service, &other.service)
    }

    /// Reads the mapping; with declared fields only our own categories exist.
    pub(crate) fn read(rule: &Node, schema: &Schema, reporter: &mut Reporter<'_>) -> Self {
        let read = Self::partial(rule, schema, reporter);
        if let Some(node) = rule.get("logsource").filter(|node| !schema.is_open() && node.as_map().is_some())
            && node.get("category").is_none()
        {
            keys::missing(node, "category", "our rules name the kind of event", reporter);
        }
        read
    }

    /// The same where the category may be left out.
    pub(crate) fn partial(rule: &Node, schema: &Schema, reporter: &mut Reporter<'_>) -> Self {
        let Some(node) = rule.get("logsource") else {
            keys::missing(rule, "logsource", "it says which events the rule looks at", reporter);
            return Self::default();
        };
        if node.as_map().is_none_or(<[_]>::is_empty) {
            keys::wrong(node, "logsource", "a mapping with `category`, `product` or `service`", reporter);
            return Self::default();
        }
        keys::unknown(node, KEYS, false, !schema.is_open(), reporter);
        let category = keys::text(node, "category", reporter);
        let kind = category.as_deref().and_then(EventKind::from_category);
        let named = node.get("category").filter(|_| category.is_some());
        if let Some(named) = named.filter(|_| kind.is_none() && !schema.is_open()) {
            unknown_category(named, reporter);
        }
        Self {
            category,
            kind,
            product: keys::text(node, "product", reporter),
            service: keys::text(node, "service", reporter),
        }
    }
}

fn unknown_category(node: &Node, reporter: &mut Reporter<'_>) {
    let written = node.as_text().unwrap_or_default();
    let categories = EventKind::ALL.map(EventKind::category);
    let hint = match text::nearest(written, categories) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", categories.join(", ")),
    };
    reporter.error_hint("R010", Span::of(node), format!("unknown logsource category `{written}`"), hint);
}
