//! Hints from outside: a registry or store says that something happened.

mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::BoxFuture;

pub use verify::{Refusal, Scheme, Verifier};

/// What somebody said, as they said it: only a reason to look, never believed.
#[derive(Debug, Clone, PartialEq)]
pub struct Hinted {
    /// Grows with each hint.
    pub id: i64,
    pub body: serde_json::Value,
}

/// Hears that a hint was followed.
type Done = Box<dyn Fn(i64) + Send + Sync>;
/// Puts a hint on the disk, under the name that its sender gave the delivery.
type Keep = Box<dyn Fn(String, serde_json::Value) -> BoxFuture<'static, Offered> + Send + Sync>;

/// What became of a hint that a source came by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// It is on the disk, under this number.
    New(i64),
    /// The same delivery came before.
    Known,
    /// So many wait already.
    Full,
    /// It could not be kept now.
    Unkept,
}

/// Hints on their way to a source, in order. Cheap to clone.
#[derive(Clone, Default)]
pub struct Hints {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    more: Notify,
    standby: AtomicBool,
    done: Option<Done>,
    keep: Option<Keep>,
}

#[derive(Default)]
struct Queue {
    /// As text: a tree of it may take a hundred times as much.
    waiting: BTreeMap<i64, Box<str>>,
    /// Those that were given out and not answered yet.
    given: BTreeSet<i64>,
}

impl Hints {
    /// `done` hears of each hint that was followed, so that it need not be kept any longer.
    /// `keep` puts one on the disk that the source came by itself.
    pub fn new(
        done: impl Fn(i64) + Send + Sync + 'static,
        keep: impl Fn(String, serde_json::Value) -> BoxFuture<'static, Offered> + Send + Sync + 'static,
    ) -> Self {
        let (done, keep): (Option<Done>, Option<Keep>) = (Some(Box::new(done)), Some(Box::new(keep)));
        Self { shared: Arc::new(Shared { done, keep, ..Shared::default() }) }
    }

    /// Whether hints can be offered here: not where a place is only tried.
    pub fn are_kept(&self) -> bool {
        self.shared.keep.is_some()
    }

    /// Has a hint kept that the source came by itself: when it is [`Offered::New`] or [`Offered::Known`], whoever gave
    /// it may forget it.
    pub async fn offer(&self, delivery: String, body: serde_json::Value) -> Offered {
        let Some(keep) = &self.shared.keep else { return Offered::Unkept };
        let offered = keep(delivery, body.clone()).await;
        if let Offered::New(id) = offered {
            self.push(id, body);
        }
        offered
    }

    /// A hint came; its number tells where it stands among the others.
    #[expect(clippy::needless_pass_by_value, reason = "who gives a hint has no more use for it")]
    pub fn push(&self, id: i64, body: serde_json::Value) {
        self.push_text(id, body.to_string());
    }

    /// The same of one that is JSON still.
    pub fn push_text(&self, id: i64, body: String) {
        self.lock().waiting.insert(id, body.into());
        self.shared.more.notify_one();
    }

    /// The next hint that was not given out; waits for one.
    pub async fn next(&self) -> Hinted {
        loop {
            let more = self.shared.more.notified();
            if let Some(hint) = self.try_next() {
                return hint;
            }
            more.await;
        }
    }

    /// The next hint that was not given out, if there is one.
    pub fn try_next(&self) -> Option<Hinted> {
        let mut queue = self.lock();
        let next = queue.waiting.iter().find(|(id, _)| !queue.given.contains(id));
        let (id, text) = next.map(|(id, text)| (*id, text.clone()))?;
        queue.given.insert(id);
        drop(queue);
        // One that cannot be read is still a reason to look.
        Some(Hinted { id, body: serde_json::from_str(&text).unwrap_or_default() })
    }

    /// Waits until there is one.
    pub async fn wait(&self) {
        loop {
            let more = self.shared.more.notified();
            {
                let queue = self.lock();
                if queue.waiting.keys().any(|id| !queue.given.contains(id)) {
                    return;
                }
            }
            more.await;
        }
    }

    /// Whether somebody will follow hints here: not while another agent polls.
    pub fn is_heard(&self) -> bool {
        !self.shared.standby.load(Ordering::Relaxed)
    }

    pub fn set_heard(&self, heard: bool) {
        self.shared.standby.store(!heard, Ordering::Relaxed);
    }

    /// How many wait that were not given out.
    pub fn count(&self) -> usize {
        let queue = self.lock();
        queue.waiting.len().saturating_sub(queue.given.len())
    }

    /// Those that wait now, given out or not: a listing that begins now answers them all.
    pub fn waiting(&self) -> Vec<i64> {
        self.lock().waiting.keys().copied().collect()
    }

    /// What a hint led to is on the disk, and the hint is no longer.
    pub fn settled(&self, id: i64) {
        let mut queue = self.lock();
        queue.waiting.remove(&id);
        queue.given.remove(&id);
    }

    /// What was not settled is given out once more: whoever took it is gone.
    pub fn give_again(&self) {
        self.lock().given.clear();
        self.shared.more.notify_one();
    }

    /// What a hint spoke of was looked at.
    pub fn done(&self, id: i64) {
        self.settled(id);
        if let Some(done) = &self.shared.done {
            done(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
