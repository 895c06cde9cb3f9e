//! Hints from outside: a registry or store says that something happened.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Hints that wait at most; beyond them one listing answers all.
const WAITING_MAX: usize = 10_000;

/// What somebody said, as they said it: only a reason to look, never believed.
#[derive(Debug, Clone, PartialEq)]
pub struct Hinted {
    /// Grows with each hint.
    pub id: u64,
    pub body: serde_json::Value,
}

/// Hints on their way to a source, in order. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Hints {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    more: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Hinted>,
    /// Those that were given out and not answered yet are below this.
    given: u64,
    next: u64,
}

impl Hints {
    /// Puts a hint at the end; its number.
    pub fn push(&self, body: serde_json::Value) -> u64 {
        let mut queue = self.lock();
        let id = queue.next;
        queue.next += 1;
        queue.waiting.push_back(Hinted { id, body });
        if queue.waiting.len() > WAITING_MAX {
            queue.waiting.pop_front();
        }
        drop(queue);
        self.shared.more.notify_one();
        id
    }

    /// The next hint that was not given out; waits for one.
    pub async fn next(&self) -> Hinted {
        loop {
            let more = self.shared.more.notified();
            {
                let mut queue = self.lock();
                let given = queue.given;
                if let Some(hint) = queue.waiting.iter().find(|hint| hint.id >= given).cloned() {
                    queue.given = hint.id + 1;
                    return hint;
                }
            }
            more.await;
        }
    }

    /// All that wait now, given out or not.
    pub fn waiting(&self) -> Vec<Hinted> {
        self.lock().waiting.iter().cloned().collect()
    }

    /// What a hint spoke of was looked at.
    pub fn done(&self, hint: &Hinted) {
        self.lock().waiting.retain(|waiting| waiting.id != hint.id);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
