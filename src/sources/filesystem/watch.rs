//! Notifications of the kernel, as hints in a queue with a bound.
//!
//! Directories are watched one by one, each before it is listed. The handler never waits: it runs
//! on the thread that also answers requests to watch, and while it waits the kernel's own queue
//! fills up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use notify::{ErrorKind, Event, EventKindMask, RecommendedWatcher, RecursiveMode, Watcher as _};

/// Hints, and the loss of hints.
pub struct Watcher {
    inner: RecommendedWatcher,
    /// Paths at which something happened.
    pub hints: Receiver<PathBuf>,
    lost: Arc<AtomicBool>,
}

/// Why a directory is not watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The kernel's limit of watches or instances.
    Limit,
    Gone,
    Denied,
    Other,
}

impl Watcher {
    /// `queue`: hints that may wait; `hold`: see the configuration.
    pub fn new(queue: usize, hold: Option<PathBuf>) -> Result<Self, Failure> {
        let (sender, hints) = sync_channel(queue);
        let lost = Arc::new(AtomicBool::new(false));
        let mut handler = Handler { sender, lost: Arc::clone(&lost), hold };
        // Close-after-write says that content changed; `MODIFY_DATA` would repeat it for every
        // write, and opens and reads would be mostly our own.
        let kinds = EventKindMask::CREATE
            | EventKindMask::REMOVE
            | EventKindMask::MODIFY_NAME
            | EventKindMask::MODIFY_META
            | EventKindMask::ACCESS_CLOSE;
        let inner = RecommendedWatcher::new(
            move |event| handler.handle(event),
            notify::Config::default().with_event_kinds(kinds).with_follow_symlinks(false),
        )
        .map_err(|error| Failure::from(&error))?;
        Ok(Self { inner, hints, lost })
    }

    /// Watches the entries of one directory, not those below.
    pub fn watch(&mut self, directory: &Path) -> Result<(), Failure> {
        self.inner.watch(directory, RecursiveMode::NonRecursive).map_err(|error| Failure::from(&error))
    }

    /// Forgets a directory, so that it can be watched anew when another lies at its path.
    pub fn unwatch(&mut self, directory: &Path) {
        // It may be forgotten already, because the kernel said that it is gone.
        drop(self.inner.unwatch(directory));
    }

    /// True once after hints were lost.
    pub fn take_lost(&self) -> bool {
        self.lost.swap(false, Ordering::AcqRel)
    }
}

struct Handler {
    sender: SyncSender<PathBuf>,
    lost: Arc<AtomicBool>,
    hold: Option<PathBuf>,
}

impl Handler {
    fn handle(&mut self, event: notify::Result<Event>) {
        while self.hold.as_ref().is_some_and(|path| path.exists()) {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.hold = None;
        let Ok(event) = event else {
            self.lost.store(true, Ordering::Release);
            return;
        };
        if event.need_rescan() {
            self.lost.store(true, Ordering::Release);
        }
        for path in event.paths {
            if self.sender.try_send(path).is_err() {
                self.lost.store(true, Ordering::Release);
            }
        }
    }
}

impl From<&notify::Error> for Failure {
    fn from(error: &notify::Error) -> Self {
        match &error.kind {
            ErrorKind::MaxFilesWatch => Self::Limit,
            ErrorKind::PathNotFound | ErrorKind::WatchNotFound => Self::Gone,
            ErrorKind::Io(cause) => match cause.kind() {
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Self::Gone,
                std::io::ErrorKind::PermissionDenied => Self::Denied,
                std::io::ErrorKind::StorageFull => Self::Limit,
                // EMFILE: the limit of instances or of open files.
                _ if cause.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => Self::Limit,
                _ => Self::Other,
            },
            ErrorKind::Generic(_) | ErrorKind::InvalidConfig(_) => Self::Other,
        }
    }
}
