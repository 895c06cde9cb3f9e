//! Two rules that ask the same of the same events.

use std::collections::BTreeMap;

use crate::detect::diagnostic::{Level, Reporter};
use crate::detect::sigma::rule::Head;
use crate::event::{Sha256, digest};

/// What all rules so far ask.
#[derive(Default)]
pub struct Twins {
    seen: BTreeMap<Sha256, String>,
}

impl Twins {
    /// Reports a rule that asks what another asks already.
    pub fn check(&mut self, head: &Head, asked: &str, reporter: &mut Reporter<'_>) {
        let logsource = &head.rule.logsource;
        let source = [&logsource.category, &logsource.product, &logsource.service];
        let source = source.map(|part| part.as_deref().unwrap_or_default().to_ascii_lowercase());
        let [category, product, service] = &source;
        let key = digest::of_parts(&[category, product, service, asked]);
        let Some(other) = self.seen.get(&key) else {
            let place = format!("`{}` ({}:{})", head.rule.title, head.rule.path, head.rule.line);
            self.seen.insert(key, place);
            return;
        };
        let message = "another rule asks the same of the same events".to_owned();
        reporter.report(Level::Warning, "R028", head.title_span, message, Some(format!("it is {other}")));
    }
}
