//! The schema of a table: its columns at any depth, their extension types, and its metadata. A type
//! that is a pickle is loaded by older readers when they read the schema (CVE-2023-47248).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::artifact::Memory;
use crate::artifact::format::flatbuffer::Table;
use crate::artifact::format::probe;
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Columns, and pairs of metadata, of one table.
const FIELDS_MAX: u64 = 100_000;
const DEPTH_MAX: u32 = 64;
/// Longest value of metadata that is looked at.
const VALUE_MAX: u64 = 4 << 20;
/// Where Parquet keeps the schema as Arrow has it.
const NESTED: &str = "ARROW:schema";
/// Types of columns: bytes and texts, of both widths, and views of them.
const TEXTS: [u64; 6] = [4, 5, 19, 20, 23, 24];
/// The type whose metadata is a pickle.
const PICKLED: &str = "arrow.py_extension_type";

/// What was read of one file's schemas.
#[derive(Default)]
pub struct Schema {
    fields: u64,
    cut: bool,
    nested: bool,
    /// There is a column of texts or bytes.
    pub has_texts: bool,
}

impl Schema {
    /// A schema: its own metadata, and its columns.
    pub fn read(&mut self, inspection: &mut Inspection<'_>, schema: Table<'_>) -> Result<(), ()> {
        self.pairs(inspection, "", schema, 2)?;
        for field in schema.tables(1, FIELDS_MAX)? {
            self.field(inspection, field, 0)?;
        }
        Ok(())
    }

    pub fn finish(&self, inspection: &mut Inspection<'_>) {
        if self.cut {
            inspection.issue("budget_exceeded", "the schema has more columns, or deeper ones, than are looked at");
        }
    }

    fn field(&mut self, inspection: &mut Inspection<'_>, field: Table<'_>, depth: u32) -> Result<(), ()> {
        self.fields = self.fields.saturating_add(1);
        if depth > DEPTH_MAX || self.fields > FIELDS_MAX {
            self.cut = true;
            return Ok(());
        }
        let name = field.text(0)?;
        self.has_texts |= TEXTS.contains(&field.number(2, 1));
        self.pairs(inspection, &name, field, 6)?;
        for child in field.tables(5, FIELDS_MAX)? {
            self.field(inspection, child, depth.saturating_add(1))?;
        }
        Ok(())
    }

    /// The pairs of metadata of a column, a schema, a message or a footer.
    pub fn pairs(
        &mut self,
        inspection: &mut Inspection<'_>,
        column: &str,
        table: Table<'_>,
        index: u64,
    ) -> Result<(), ()> {
        let mut kind = String::new();
        let mut pairs = Vec::new();
        for pair in table.tables(index, FIELDS_MAX)? {
            let key = pair.text(0)?;
            let Some(value) = pair.bytes(1)? else { continue };
            if key == "ARROW:extension:name" {
                kind = pair.text(1)?;
                inspection.list("artifact.arrow.extensions", &kind);
            } else {
                pairs.push((key, value));
            }
        }
        for (key, value) in pairs {
            self.value(inspection, column, &key, value, &kind);
        }
        if kind == PICKLED {
            inspection.list("artifact.arrow.pickled_types", format!("{column}:{kind}"));
        }
        Ok(())
    }

    /// One value of metadata, `kind` the extension type of its column.
    fn value(&mut self, inspection: &mut Inspection<'_>, column: &str, key: &str, value: Input<'_>, kind: &str) {
        if value.len() > VALUE_MAX {
            inspection.issue("budget_exceeded", "a value of the metadata is too long to be looked at whole");
        }
        let bytes = value.read(0, usize::try_from(value.len().min(VALUE_MAX)).unwrap_or(0));
        self.bytes(inspection, column, key, &bytes, kind, value);
    }

    /// The same for a value that is held, as Parquet's are.
    pub fn bytes(
        &mut self,
        inspection: &mut Inspection<'_>,
        column: &str,
        key: &str,
        bytes: &[u8],
        kind: &str,
        input: Input<'_>,
    ) {
        if key == NESTED && !self.nested {
            self.nested = true;
            let message = STANDARD.decode(bytes.trim_ascii()).map(Memory).ok();
            let read = message.is_some_and(|message| {
                super::encapsulated(self, inspection, Input::new(&message, input.budget)).is_ok()
            });
            if !read {
                inspection.issue("malformed", "the Arrow schema in the metadata cannot be read");
            }
        } else if key == "ARROW:extension:metadata" {
            if probe::pickled(inspection, bytes, input) {
                inspection.list("artifact.arrow.pickled_types", format!("{column}:{kind}"));
            } else if let Ok(text) = std::str::from_utf8(bytes) {
                probe::text(inspection, &format!("{column}:{kind}"), text, input);
            }
        } else {
            let key = if column.is_empty() { key.to_owned() } else { format!("{column}:{key}") };
            probe::value(inspection, &key, bytes, input);
        }
    }
}
