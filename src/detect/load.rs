//! Rule files → one rule set, or everything that is wrong with them.

use std::collections::BTreeMap;

use crate::base::yaml::{self, Data};
use crate::event::digest;

use super::compile::{Context, compile};
use super::diagnostic::{Diagnostic, Level, Reporter, Span};
use super::frame::FieldTable;
use super::lint::{self, twins::Twins};
use super::predicate::Expression;
use super::references::Names;
use super::ruleset::{Loaded, RuleSet};
use super::schema::Schema;
use super::sigma::correlation::Correlation;
use super::sigma::document::{self, Document};
use super::sigma::filter::Filter;
use super::sigma::rule::Head;
use super::sigma::{DOCUMENTS_MAX, FILE_BYTES_MAX};
use super::values::Values;
use super::{Source, filters, plans};

/// Loads all rules of all files; see [`Loader::load`].
pub fn load(sources: &[Source], schema: &Schema) -> Result<RuleSet, Vec<Diagnostic>> {
    Loader::new(schema.clone()).load(sources)
}

/// What rules are loaded with.
#[derive(Debug, Clone)]
pub struct Loader {
    pub schema: Schema,
    /// The lists of values that `expand` names.
    pub values: Values,
}

/// A rule or a correlation on its way into the set.
pub(crate) struct Entry {
    /// Which of the sources it came from.
    pub file: usize,
    pub head: Head,
    pub body: Body,
}

/// What it asks; `None` when that could not be read, which was reported.
pub(crate) enum Body {
    Rule(Option<Expression>),
    Correlation(Option<Box<Correlation>>),
}

/// All files while they are loaded.
pub(crate) struct Batch<'s> {
    pub reporters: Vec<Reporter<'s>>,
    pub entries: Vec<Entry>,
    /// With the source that each came from.
    pub filters: Vec<(usize, Filter)>,
    twins: Twins,
}

impl Loader {
    pub fn new(schema: Schema) -> Self {
        Self { schema, values: Values::default() }
    }

    /// Loads all rules of all files. The error holds every problem, warnings included, in the order of
    /// the files; warnings alone are kept in the set. Rules come first in the set, in the order of their
    /// files, then correlations, each after those that it counts.
    pub fn load(&self, sources: &[Source]) -> Result<RuleSet, Vec<Diagnostic>> {
        let mut context = Context::new(&self.schema, &self.values);
        let mut batch =
            Batch { reporters: Vec::new(), entries: Vec::new(), filters: Vec::new(), twins: Twins::default() };
        let mut ids = Ids::default();
        for (file, source) in sources.iter().enumerate() {
            let mut reporter = Reporter::new(source);
            for document in documents(source, &self.schema, &mut reporter) {
                batch.take(file, document, &mut ids, &mut context, &mut reporter);
            }
            batch.reporters.push(reporter);
        }
        let names = Names::new(&batch.entries);
        filters::apply(&mut batch, &names, &mut context);
        let order = plans::compile(&mut batch, &names, &self.schema);
        let table = context.into_table();
        batch.finish(&order, table, digest_of(sources, &self.values))
    }
}

impl Batch<'_> {
    fn take(
        &mut self,
        file: usize,
        document: Document,
        ids: &mut Ids,
        context: &mut Context<'_>,
        reporter: &mut Reporter<'_>,
    ) {
        match document {
            Document::Rule(written) => {
                let mut head = written.head;
                ids.check(&head, context.schema, reporter);
                let compiled = compile(&written.detection, context, reporter);
                lint::selections(&written.detection, reporter);
                if compiled.is_some()
                    && let Some(asked) = lint::conditions(&written.detection, context.schema, reporter)
                {
                    self.twins.check(&head, &asked, reporter);
                }
                let expression = compiled.map(|compiled| {
                    head.rule.referenced_fields = compiled.referenced;
                    compiled.expression
                });
                self.entries.push(Entry { file, head, body: Body::Rule(expression) });
            }
            Document::Correlation(head, correlation) => {
                ids.check(&head, context.schema, reporter);
                self.entries.push(Entry { file, head: *head, body: Body::Correlation(correlation) });
            }
            Document::Filter(filter) => {
                ids.check_one(filter.uuid.as_deref(), filter.id_span, context.schema, reporter);
                self.filters.push((file, *filter));
            }
        }
    }

    /// Puts the entries in order into a set, unless something is wrong.
    fn finish(
        self,
        order: &[usize],
        table: FieldTable,
        digest: crate::event::Sha256,
    ) -> Result<RuleSet, Vec<Diagnostic>> {
        let mut found: Vec<Diagnostic> = Vec::new();
        for reporter in self.reporters {
            let mut diagnostics = reporter.into_found();
            diagnostics.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
            found.append(&mut diagnostics);
        }
        if found.iter().any(|diagnostic| diagnostic.severity == Level::Error) {
            return Err(found);
        }
        let mut entries: Vec<Option<Entry>> = self.entries.into_iter().map(Some).collect();
        let ordered = order.iter().filter_map(|index| entries.get_mut(*index)?.take());
        let loaded = ordered.map(|entry| {
            let expression = match entry.body {
                Body::Rule(expression) => expression.expect("a rule without an expression was reported as an error"),
                // Asked of no single event.
                Body::Correlation(_) => Expression::Any(Vec::new()),
            };
            Loaded { rule: entry.head.rule, expression }
        });
        Ok(RuleSet::new(loaded.collect(), table, digest, found))
    }
}

fn documents(source: &Source, schema: &Schema, reporter: &mut Reporter<'_>) -> Vec<Document> {
    if let Some(why) = &source.unreadable {
        reporter.error("R001", Span::default(), format!("the file cannot be read: {why}"));
        return Vec::new();
    }
    if source.text.len() > FILE_BYTES_MAX {
        reporter.error("R001", Span::default(), format!("the file is larger than {FILE_BYTES_MAX} bytes"));
        return Vec::new();
    }
    let nodes = match yaml::parse(&source.text) {
        Ok(nodes) => nodes,
        Err(error) => {
            let span = Span { line: error.line, column: error.column, length: 1 };
            reporter.error("R001", span, format!("invalid YAML: {}", error.message));
            return Vec::new();
        }
    };
    if nodes.len() > DOCUMENTS_MAX {
        reporter.error("R001", Span::default(), format!("more than {DOCUMENTS_MAX} documents"));
        return Vec::new();
    }
    let (empty, nodes): (Vec<_>, Vec<_>) = nodes.iter().partition(|node| node.data == Data::Null);
    if nodes.is_empty() {
        let span = empty.first().map(|node| Span::of(node)).unwrap_or_default();
        reporter.error("R002", span, "the file holds no rule");
    }
    nodes.into_iter().filter_map(|node| document::read(node, &source.path, schema, reporter)).collect()
}

/// Ids used so far and by which file.
#[derive(Default)]
struct Ids {
    seen: BTreeMap<String, String>,
}

impl Ids {
    fn check(&mut self, head: &Head, schema: &Schema, reporter: &mut Reporter<'_>) {
        self.check_one(head.rule.uuid.as_deref(), head.id_span, schema, reporter);
        self.once("id", head.rule.short_id.as_deref(), head.short_id_span, schema, reporter);
        self.once("name", head.rule.name.as_deref(), head.name_span, schema, reporter);
    }

    fn check_one(&mut self, uuid: Option<&str>, span: Span, schema: &Schema, reporter: &mut Reporter<'_>) {
        let uuid = uuid.map(str::to_ascii_lowercase);
        self.once("id", uuid.as_deref(), span, schema, reporter);
    }

    fn once(&mut self, what: &str, id: Option<&str>, span: Span, schema: &Schema, reporter: &mut Reporter<'_>) {
        let Some(id) = id.filter(|id| !id.is_empty()) else {
            return;
        };
        let severity = if schema.is_open() { Level::Warning } else { Level::Error };
        let key = format!("{what} {id}");
        if let Some(other) = self.seen.get(&key) {
            let message = format!("the {what} `{id}` is used twice");
            reporter.report(severity, "R008", span, message, Some(format!("{other} has it too")));
        } else {
            self.seen.insert(key, format!("{}:{}", reporter.path(), span.line));
        }
    }
}

/// The same texts give the same digest, in whatever files and order they come.
fn digest_of(sources: &[Source], values: &Values) -> crate::event::Sha256 {
    let mut texts: Vec<&str> = sources.iter().map(|source| source.text.as_str()).collect();
    texts.sort_unstable();
    let spelt = values.spelt();
    texts.extend(spelt.iter().map(String::as_str));
    digest::of_parts(&texts)
}
