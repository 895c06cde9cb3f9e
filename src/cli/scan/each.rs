//! All entries side by side, told in their order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError, mpsc};

/// Results that may wait for an earlier one: a worker further ahead waits.
const AHEAD_MAX: usize = 1024;

/// Looks at all on so many threads; tells the results in the order of the entries, until `tell`
/// wants no more.
pub fn each<E: Sync, R: Send>(
    entries: &[E],
    jobs: usize,
    look: impl Fn(&E) -> R + Sync,
    mut tell: impl FnMut(R) -> bool,
) {
    let workers = jobs.min(entries.len()).max(1);
    let next = AtomicUsize::new(0);
    let gate = Gate::default();
    let (sender, receiver) = mpsc::sync_channel(workers * 4);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (sender, next, gate, look) = (sender.clone(), &next, &gate, &look);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(entry) = entries.get(index) else { return };
                    gate.wait(index);
                    if sender.send((index, look(entry))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut due = 0;
        for (index, result) in receiver {
            early.insert(index, result);
            while let Some(result) = early.remove(&due) {
                due += 1;
                if !tell(result) {
                    gate.open(usize::MAX);
                    return;
                }
            }
            gate.open(due);
        }
    });
}

/// Holds back who is too far ahead of what was told.
#[derive(Default)]
struct Gate {
    told: Mutex<usize>,
    moved: Condvar,
}

impl Gate {
    fn wait(&self, index: usize) {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let far = |told: &mut usize| index >= told.saturating_add(AHEAD_MAX);
        drop(self.moved.wait_while(told, far).unwrap_or_else(PoisonError::into_inner));
    }

    fn open(&self, told: usize) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = told;
        self.moved.notify_all();
    }
}
