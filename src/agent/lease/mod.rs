//! One of several agents polls a registry: whoever holds the lease. The others stand by, and count as seeing, since
//! another agent looks.

mod file;
mod kubernetes;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::clock;
use crate::config::raw;
use crate::sources::Status;
use crate::sources::hints::Hints;
use kubernetes::Cluster;

/// How often is asked whether the holder is gone.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// What the agents share.
pub enum Lease {
    /// A file, whose lock the kernel lets go of when its holder ends, however that happens.
    File(PathBuf),
    /// An object of Kubernetes, which its holder renews.
    Kubernetes(Box<Cluster>),
}

/// A lease that is ours.
pub enum Held<'l> {
    File { _file: std::fs::File },
    Kubernetes(&'l Cluster),
}

/// What came of asking.
enum Asked<'l> {
    Ours(Held<'l>),
    /// Who has it, in words.
    Theirs(String),
}

impl Lease {
    /// The lease that is configured; an error if there can be none here.
    pub fn new(config: &raw::Lease) -> Result<Self, String> {
        match (&config.file, &config.kubernetes) {
            (Some(file), None) => Ok(Self::File(file.clone())),
            (None, Some(lease)) => Cluster::new(lease).map(Box::new).map(Self::Kubernetes),
            (Some(_), Some(_)) | (None, None) => Err("name either a file or a lease of Kubernetes".to_owned()),
        }
    }

    /// Waits until the lease is ours; `None` when the agent stops first.
    pub async fn hold(&self, status: &Arc<Status>, hints: &Hints, stop: &CancellationToken) -> Option<Held<'_>> {
        loop {
            let asked = tokio::select! {
                asked = self.ask() => asked,
                () = stop.cancelled() => return None,
            };
            let (blind, note) = match asked {
                Ok(Asked::Ours(held)) => {
                    hints.set_heard(true);
                    status.change(|state| {
                        state.synced = false;
                        state.blind.remove("lease");
                        state.notes.remove("standby");
                    });
                    return Some(held);
                }
                Ok(Asked::Theirs(who)) => (None, Some(format!("another agent polls: {who}"))),
                Err(why) => (Some(why), None),
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

    async fn ask(&self) -> Result<Asked<'_>, String> {
        match self {
            Self::File(path) => {
                let name = path.clone();
                // On a dead network mount even an open can take minutes.
                let locked = tokio::task::spawn_blocking(move || file::lock(&name)).await;
                match locked {
                    Ok(Ok(Some(file))) => Ok(Asked::Ours(Held::File { _file: file })),
                    Ok(Ok(None)) => Ok(Asked::Theirs(format!("it holds `{}`", path.display()))),
                    Ok(Err(error)) => Err(format!(
                        "the lock `{}` cannot be taken ({error}); make its folder writable",
                        path.display()
                    )),
                    Err(error) => Err(format!("the lock could not be asked for: {error}")),
                }
            }
            Self::Kubernetes(cluster) => match cluster.take().await? {
                None => Ok(Asked::Ours(Held::Kubernetes(cluster))),
                Some(holder) => Ok(Asked::Theirs(format!("`{holder}` holds {}", cluster.lease()))),
            },
        }
    }
}

impl Held<'_> {
    /// Returns when the lease is lost: from then on another may poll.
    pub async fn lost(&self) {
        match self {
            Self::File { .. } => std::future::pending().await,
            Self::Kubernetes(cluster) => {
                let why = cluster.renew().await;
                tracing::warn!(lease = cluster.lease(), why, "the lease is lost; another agent may poll now");
            }
        }
    }

    /// Lets go of it, so that nobody waits for its end.
    pub async fn release(self) {
        if let Self::Kubernetes(cluster) = self {
            cluster.release().await;
        }
    }
}

fn set(map: &mut BTreeMap<String, String>, name: &str, text: Option<String>) {
    match text {
        Some(text) => drop(map.insert(name.to_owned(), text)),
        None => drop(map.remove(name)),
    }
}
