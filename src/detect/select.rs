//! Which program an event is run through: one for each combination of labels that rules tell apart.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use foldhash::fast::FixedState;

use crate::event::Event;

use super::frame::FieldTable;
use super::predicate::Expression;
use super::program::{Builder, Program};
use super::rule::Rule;

/// What an event is, as Sigma's logsource says it. Case does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Labels<'l> {
    pub category: Option<&'l str>,
    pub product: Option<&'l str>,
    pub service: Option<&'l str>,
}

impl<'l> Labels<'l> {
    pub fn of(event: &'l Event) -> Self {
        Self { category: Some(event.kind.category()), product: Some(&event.product), service: event.service.as_deref() }
    }
}

/// The names that rules use for one part of a logsource, by number; 0 is every other name.
#[derive(Debug, Default)]
struct Names(HashMap<String, usize, FixedState>);

impl Names {
    fn new<'r>(written: impl Iterator<Item = &'r str>) -> Self {
        let mut names = HashMap::default();
        for name in written {
            let number = names.len() + 1;
            names.entry(name.to_ascii_lowercase()).or_insert(number);
        }
        Self(names)
    }

    fn number(&self, label: Option<&str>) -> usize {
        let Some(label) = label else {
            return 0;
        };
        let known = self.0.get(label).or_else(|| {
            let upper = label.bytes().any(|byte| byte.is_ascii_uppercase());
            upper.then(|| self.0.get(&label.to_ascii_lowercase()))?
        });
        known.copied().unwrap_or_default()
    }
}

/// The programs of a set of rules, each made when its first event comes.
#[derive(Debug, Default)]
pub struct Programs {
    categories: Names,
    products: Names,
    services: Names,
    made: RwLock<HashMap<[usize; 3], Arc<Program>, FixedState>>,
    open: OnceLock<Arc<Program>>,
}

impl Programs {
    pub fn new(rules: &[Rule]) -> Self {
        let names = |part: fn(&Rule) -> Option<&String>| Names::new(rules.iter().filter_map(part).map(String::as_str));
        Self {
            categories: names(|rule| rule.logsource.category.as_ref()),
            products: names(|rule| rule.logsource.product.as_ref()),
            services: names(|rule| rule.logsource.service.as_ref()),
            ..Self::default()
        }
    }

    /// The rules that look at events with these labels.
    pub fn labelled(
        &self,
        labels: Labels<'_>,
        rules: &[Rule],
        expressions: &[Expression],
        table: &FieldTable,
    ) -> Arc<Program> {
        let key = [
            self.categories.number(labels.category),
            self.products.number(labels.product),
            self.services.number(labels.service),
        ];
        if let Some(program) = self.made.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(program);
        }
        let mut builder = Builder::new(table);
        for (number, (rule, expression)) in rules.iter().zip(expressions).enumerate() {
            if rule.correlation.is_none() && rule.logsource.covers(labels) {
                builder.add(number, expression);
            }
        }
        let program = Arc::new(builder.finish());
        // Whoever was first has made the same one.
        let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(made.entry(key).or_insert(program))
    }

    /// All rules, whatever they look at.
    pub fn open(&self, rules: &[Rule], expressions: &[Expression], table: &FieldTable) -> Arc<Program> {
        let program = self.open.get_or_init(|| {
            let mut builder = Builder::new(table);
            for (number, (rule, expression)) in rules.iter().zip(expressions).enumerate() {
                if rule.correlation.is_none() {
                    builder.add(number, expression);
                }
            }
            Arc::new(builder.finish())
        });
        Arc::clone(program)
    }
}
