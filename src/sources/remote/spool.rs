//! A file at an address fetched whole, into a file without a name: what is hashed and what is looked into
//! are the same bytes.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};

use futures_util::StreamExt as _;
use tokio::runtime::Handle;

use super::{Entry, Remote, until};
use crate::artifact::Stop;
use crate::sources::StoreError;

/// A download that breaks off is continued so often.
const CONTINUE_MAX: u32 = 3;

/// Fetches all bytes, unless `stop` says so in between. The file is gone with the process, however that
/// ends.
pub fn spool(remote: &dyn Remote, entry: &Entry, runtime: &Handle, stop: &Stop) -> Result<Option<File>, StoreError> {
    let mut file = tempfile::tempfile().map_err(disk)?;
    let mut written = 0;
    let mut tries = 0;
    loop {
        let before = written;
        let Some(fetched) = runtime.block_on(until(stop, fetch(remote, entry, &mut file, &mut written))) else {
            return Ok(None);
        };
        match fetched {
            Ok(()) => {}
            Err(StoreError::Transient(_)) if written > before => {}
            Err(StoreError::Transient(_)) if tries < CONTINUE_MAX => {}
            // It cannot go on in the middle: it begins anew.
            Err(StoreError::Refused(_)) if before > 0 && written == before => {
                file.set_len(0).and_then(|()| file.rewind()).map_err(disk)?;
                written = 0;
            }
            Err(error) => return Err(error),
        }
        if written >= entry.size {
            break;
        }
        tries += 1;
        if tries > CONTINUE_MAX {
            return Err(StoreError::Transient("the download broke off again and again".into()));
        }
    }
    file.flush().map_err(disk)?;
    Ok(Some(file))
}

fn disk(error: io::Error) -> StoreError {
    StoreError::Transient(Box::new(error))
}

/// Fetches what is left.
async fn fetch(remote: &dyn Remote, entry: &Entry, file: &mut File, written: &mut u64) -> Result<(), StoreError> {
    let mut body = remote.read(entry, *written..entry.size).await?;
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        if chunk.len() as u64 > entry.size.saturating_sub(*written) {
            return Err(StoreError::Refused(format!("the store gives more than the {} bytes it tells of", entry.size)));
        }
        file.write_all(&chunk).map_err(|error| StoreError::Refused(format!("no place to keep it: {error}")))?;
        *written = written.saturating_add(chunk.len() as u64);
    }
    Ok(())
}
