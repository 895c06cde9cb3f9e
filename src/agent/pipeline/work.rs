//! What is to be done about one record, and what waits behind it.

use std::collections::VecDeque;

use crate::event::record::Checkpoint;
use crate::sources::{Record, Statement, Told};

/// One thing to do about one record.
#[derive(Debug, Clone)]
pub enum Task {
    Put {
        record: Box<Record>,
        first_listing: bool,
    },
    Remove {
        key: String,
    },
    /// Its bytes are others, though nothing says that they changed.
    Silent {
        key: String,
    },
}

/// A task, and what was said that led to it.
#[derive(Debug, Clone)]
pub struct Work {
    pub task: Task,
    /// How often it was tried in vain.
    pub tries: u32,
    /// Settled in the transaction of what the task leads to.
    pub receipts: Vec<Receipt>,
}

/// A statement that is kept until what it led to is on the disk.
#[derive(Debug, Clone)]
pub struct Receipt {
    pub hint: i64,
    pub checkpoint: Option<Checkpoint>,
}

impl From<Task> for Work {
    fn from(task: Task) -> Self {
        Self { task, tries: 0, receipts: Vec::new() }
    }
}

impl Work {
    /// What a statement leads to; nothing if it is outdated, which gives back its hint.
    pub fn of(told: Told) -> Result<Self, i64> {
        let task = match told.statement {
            Statement::Stands(record) => Task::Put { record: Box::new(record), first_listing: false },
            Statement::Stood(record) => Task::Put { record: Box::new(record), first_listing: true },
            Statement::Gone(key) => Task::Remove { key },
            Statement::Outdated(_) => return Err(told.hint),
        };
        Ok(Self { receipts: vec![Receipt { hint: told.hint, checkpoint: told.checkpoint }], ..task.into() })
    }

    pub fn key(&self) -> &str {
        match &self.task {
            Task::Put { record, .. } => &record.key,
            Task::Remove { key } | Task::Silent { key } => key,
        }
    }
}

/// Puts work behind what waits already: of what a source sees only the last counts, of what it was told each.
pub fn queue(waiting: &mut VecDeque<Work>, work: Work) {
    match waiting.back_mut() {
        Some(last) if last.receipts.is_empty() && work.receipts.is_empty() => *last = work,
        Some(_) | None => waiting.push_back(work),
    }
}
