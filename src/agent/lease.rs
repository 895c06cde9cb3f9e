//! One of several agents polls a registry: whoever holds the lock on a file that they share. The kernel lets go of it
//! when its holder ends, however that happens.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::clock;
use crate::sources::Status;
use crate::sources::hints::Hints;

/// How often is asked whether the holder is gone.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Waits until the lock is ours; `None` when the agent stops first. Meanwhile the source counts as seeing, since
/// another agent looks.
pub async fn hold(path: &Path, status: &Arc<Status>, hints: &Hints, stop: &CancellationToken) -> Option<File> {
    loop {
        let tried = {
            let path = path.to_owned();
            // On a dead network mount even an open can take minutes.
            tokio::task::spawn_blocking(move || lock(&path)).await
        };
        let (blind, note) = match tried {
            Ok(Ok(Some(file))) => {
                hints.set_heard(true);
                status.change(|state| {
                    state.synced = false;
                    state.blind.remove("lease");
                    state.notes.remove("standby");
                });
                return Some(file);
            }
            Ok(Ok(None)) => (None, Some(format!("another agent polls: it holds `{}`", path.display()))),
            Ok(Err(error)) => (
                Some(format!("the lock `{}` cannot be taken ({error}); make its folder writable", path.display())),
                None,
            ),
            Err(error) => (Some(format!("the lock could not be asked for: {error}")), None),
        };
        hints.set_heard(false);
        status.change(|state| {
            state.synced = blind.is_none();
            state.last_success = Some(clock::now()).filter(|_| blind.is_none()).or(state.last_success);
            set(&mut state.blind, "lease", blind);
            set(&mut state.notes, "standby", note);
        });
        tokio::select! {
            () = tokio::time::sleep(ASK_EVERY) => {}
            () = stop.cancelled() => return None,
        }
    }
}

fn set(map: &mut std::collections::BTreeMap<String, String>, name: &str, text: Option<String>) {
    match text {
        Some(text) => drop(map.insert(name.to_owned(), text)),
        None => drop(map.remove(name)),
    }
}

/// The lock, unless somebody else holds it.
fn lock(path: &Path) -> std::io::Result<Option<File>> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
