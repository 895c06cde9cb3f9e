//! One event while rules look at it: each field is found, spelt and folded at most once.

use std::cell::OnceCell;
use std::collections::HashMap;

use crate::event::{Fields, Value, path};

use super::pattern::fold;
use super::predicate::{Look, Plain};

/// The names of all fields that a set of rules asks about; rules know them by number.
#[derive(Debug, Clone, Default)]
pub struct FieldTable {
    names: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl FieldTable {
    pub fn name(&self, number: usize) -> &str {
        self.names.get(number).map_or("", String::as_str)
    }

    pub fn number(&mut self, name: &str) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), self.names.len() - 1);
        self.names.len() - 1
    }
}

/// One scalar of an event.
#[derive(Debug)]
pub struct Scalar<'e> {
    value: &'e Value,
    spelt: OnceCell<String>,
    folded: OnceCell<String>,
}

impl<'e> Scalar<'e> {
    fn new(value: &'e Value) -> Self {
        Self { value, spelt: OnceCell::new(), folded: OnceCell::new() }
    }
}

impl Look for Scalar<'_> {
    fn plain(&self) -> Plain {
        match self.value {
            Value::Bool(flag) => Plain::Bool(*flag),
            Value::Int(number) => Plain::Int(*number),
            Value::Float(number) => Plain::Float(*number),
            Value::Text(_) | Value::Null | Value::List(_) | Value::Map(_) => Plain::Text,
        }
    }

    fn text(&self) -> &str {
        match self.value {
            Value::Text(text) => text,
            Value::Null | Value::List(_) | Value::Map(_) => "",
            Value::Bool(true) => "true",
            Value::Bool(false) => "false",
            Value::Int(number) => self.spelt.get_or_init(|| number.to_string()),
            // Minus zero is zero.
            Value::Float(number) => self.spelt.get_or_init(|| (number + 0.0).to_string()),
        }
    }

    fn folded(&self) -> &str {
        self.folded.get_or_init(|| fold(self.text()))
    }
}

/// What an event has at one field.
#[derive(Debug, Default)]
pub struct Slot<'e> {
    /// The field is there, even if it is null or empty.
    pub present: bool,
    /// One of its values is null.
    pub null: bool,
    /// Its values: the members of a list count each for itself. Nulls and objects are left out.
    pub scalars: Vec<Scalar<'e>>,
}

impl<'e> Slot<'e> {
    fn add(&mut self, value: &'e Value) {
        self.present = true;
        path::each_scalar(value, false, &mut |value| match value {
            Value::Null => self.null = true,
            Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => self.scalars.push(Scalar::new(value)),
            Value::List(_) | Value::Map(_) => {}
        });
    }
}

/// An event as rules see it.
pub struct Frame<'e> {
    fields: &'e Fields,
    table: &'e FieldTable,
    /// Names are paths into nested objects, too.
    nested: bool,
    slots: Vec<OnceCell<Slot<'e>>>,
    all: OnceCell<Vec<Scalar<'e>>>,
}

impl<'e> Frame<'e> {
    pub fn new(fields: &'e Fields, table: &'e FieldTable, nested: bool) -> Self {
        let slots = std::iter::repeat_with(OnceCell::new).take(table.names.len()).collect();
        Self { fields, table, nested, slots, all: OnceCell::new() }
    }

    /// What the event has at a field of the table.
    pub fn slot(&self, number: usize) -> &Slot<'e> {
        let cell = self.slots.get(number).expect("numbers come from the table that made the slots");
        cell.get_or_init(|| {
            let name = self.table.names.get(number).map_or("", String::as_str);
            let mut slot = Slot::default();
            if self.nested {
                path::each(self.fields, name, &mut |value| slot.add(value));
            } else if let Some(value) = self.fields.get(name) {
                slot.add(value);
            }
            slot
        })
    }

    /// Every scalar of the event, wherever it is: what keywords search.
    pub fn all(&self) -> &[Scalar<'e>] {
        self.all.get_or_init(|| {
            let mut scalars = Vec::new();
            for value in self.fields.values() {
                path::each_scalar(value, true, &mut |value| {
                    if *value != Value::Null {
                        scalars.push(Scalar::new(value));
                    }
                });
            }
            scalars
        })
    }
}
