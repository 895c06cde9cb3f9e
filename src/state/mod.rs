//! What the agent remembers, in one embedded database: inventory, checkpoints and outbox.
//!
//! Everything that one observation led to is committed in one transaction, so that a crash leaves
//! either all of it or nothing. SQLite in WAL mode: a commit that carries alerts is synced to the
//! disk before it counts, one that only remembers what can be seen again is not.

pub mod approval;
pub mod baseline;
mod check;
pub mod checkpoints;
pub mod commit;
pub mod correlation;
pub mod decisions;
pub mod hints;
pub mod identity;
pub mod inventory;
mod journal;
pub mod notebook;
pub mod outbox;
pub mod portraits;
pub mod promises;
mod schema;
pub mod signatures;
pub mod standing;
pub mod sweep;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

pub use approval::{Approval, ApprovedFile, Origin, Standing, Status};
pub use commit::{Commit, Committed, RecordChange, Seen};
pub use inventory::{Blob, Placed};
pub use notebook::Notebook;
pub use outbox::{DeadLetter, Stored};
pub use schema::VERSION;
pub use standing::{Stand, Worth};

/// Statements kept as planned; each takes some kilobytes.
const STATEMENTS: usize = 128;

/// The embedded database. Cheap to clone; calls block, so run them where blocking is allowed.
#[derive(Clone)]
pub struct State {
    connection: Arc<Mutex<Connection>>,
    counted: Arc<Mutex<Option<inventory::Counted>>>,
    path: PathBuf,
    /// Device and inode of the database when it was opened.
    file: Option<(u64, u64)>,
}

/// Why the state cannot be used, by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The directory or file cannot be made or opened: a person must act.
    #[error("the state in `{path}` cannot be opened; check that the directory exists, is writable and has space")]
    Open {
        path: String,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It was written by a newer program.
    #[error(
        "the state in `{path}` has schema version {found}, this program knows {known}; run the newer program, or name another directory"
    )]
    Newer { path: String, found: i64, known: i64 },
    /// Another agent uses it.
    #[error("the state in `{path}` is in use by another lanner; stop it, or name another directory with `--state`")]
    Locked { path: String },
    /// Try again: no space, or busy.
    #[error("the state cannot be written now")]
    Transient(#[source] rusqlite::Error),
    /// What is stored cannot be read.
    #[error("the state holds something unreadable: {0}")]
    Unreadable(String),
}

impl StateError {
    /// Whether the same commit would fail again, however long one waits.
    pub fn is_permanent(&self) -> bool {
        use rusqlite::ErrorCode as Code;
        match self {
            Self::Transient(rusqlite::Error::ToSqlConversionFailure(_)) => true,
            Self::Transient(error) => matches!(
                error.sqlite_error_code(),
                Some(Code::TooBig | Code::ConstraintViolation | Code::TypeMismatch | Code::ParameterOutOfRange)
            ),
            Self::Open { .. } | Self::Newer { .. } | Self::Locked { .. } | Self::Unreadable(_) => false,
        }
    }
}

impl From<rusqlite::Error> for StateError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Transient(error)
    }
}

/// Whether this program will write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The agent: takes the lock that keeps a second agent out.
    Agent,
    /// A verb that lists, or that marks a dead letter for another try, beside a running agent.
    Visitor,
}

impl State {
    /// Opens the database `lanner.db` in a directory, making both if they are missing.
    ///
    /// A file that is no database or is corrupt is set aside as `lanner.db.corrupt-<n>`, and a new
    /// one is begun; [`Opened::set_aside`] says where. A large one is not read through for that:
    /// [`State::check`] does.
    pub fn open(directory: &Path, mode: Mode) -> Result<Opened, StateError> {
        let path = directory.join("lanner.db");
        let fail = |cause: Box<dyn std::error::Error + Send + Sync>| StateError::Open {
            path: directory.display().to_string(),
            cause,
        };
        if mode == Mode::Agent {
            std::fs::create_dir_all(directory).map_err(|error| fail(error.into()))?;
        } else if !path.exists() {
            return Err(fail(format!("`{}` does not exist yet: has the agent run?", path.display()).into()));
        }
        let lock = match mode {
            Mode::Agent => Some(lock(directory)?),
            Mode::Visitor => None,
        };
        let mut set_aside = None;
        let condemned = if mode == Mode::Agent { check::condemned(directory) } else { None };
        let mut connection = match condemned.map_or_else(|| connect(&path), Err) {
            Ok(connection) => connection,
            Err(error) if mode == Mode::Agent && is_corrupt(&error) => {
                set_aside = Some(put_aside(&path).map_err(|error| fail(error.into()))?);
                connect(&path).map_err(|error| fail(error.into()))?
            }
            Err(error) => return Err(fail(error.into())),
        };
        let found = schema::migrate(&connection).map_err(|error| fail(error.into()))?;
        if found > VERSION {
            return Err(StateError::Newer { path: directory.display().to_string(), found, known: VERSION });
        }
        let mut replayed = (0, 0);
        if mode == Mode::Agent {
            replayed = journal::replay(directory, &mut connection)?;
        }
        let file = identity(&path);
        let state = Self {
            connection: Arc::new(Mutex::new(connection)),
            counted: Arc::default(),
            path: directory.to_owned(),
            file,
        };
        Ok(Opened { state, set_aside, replayed, lock })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the database is still the file that was opened.
    pub fn is_in_place(&self) -> bool {
        identity(&self.path.join("lanner.db")) == self.file
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An opened state, and what had to be done for it.
pub struct Opened {
    pub state: State,
    /// Where a corrupt database was moved to.
    pub set_aside: Option<PathBuf>,
    /// Approvals read back from their journal into a new database, and lines of it that made no sense.
    pub replayed: (u64, u64),
    /// Held as long as the agent runs.
    pub lock: Option<std::fs::File>,
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn lock(directory: &Path) -> Result<std::fs::File, StateError> {
    let path = directory.display().to_string();
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(directory.join("lanner.lock"))
        .map_err(|error| StateError::Open { path: path.clone(), cause: error.into() })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StateError::Locked { path }),
        Err(std::fs::TryLockError::Error(error)) => Err(StateError::Open { path, cause: error.into() }),
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    // Enough for the inner pages of a million records, and some of the others.
    connection.pragma_update(None, "cache_size", -24576)?;
    // Without it the planner looks at the values of parameters, and plans each statement anew for each value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // All that the program ever asks: one that is dropped is planned anew the next time.
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    if check::is_small(path) {
        check::sound(&connection)?;
    }
    Ok(connection)
}

fn is_corrupt(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase))
}

/// Moves the database and its journals out of the way, keeping them for a person to look at.
fn put_aside(path: &Path) -> std::io::Result<PathBuf> {
    let name = |n: u32| path.with_file_name(format!("lanner.db.corrupt-{n}"));
    let aside = (1..1000).map(name).find(|aside| !aside.exists()).unwrap_or_else(|| name(1000));
    std::fs::rename(path, &aside)?;
    for suffix in ["-wal", "-shm"] {
        let mut journal = path.as_os_str().to_owned();
        journal.push(suffix);
        match std::fs::remove_file(&journal) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(aside)
}
