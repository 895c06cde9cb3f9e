//! What comes on standard input: bytes to look into, or a list of names.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::base::files;

/// Bytes of a list of names.
const NAMES_BYTES_MAX: u64 = 256 << 20;

/// Standard input as a file without a name: gone with the process, however that ends.
pub fn spool(bytes_max: u64) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    let mut input = io::stdin().lock().take(bytes_max.saturating_add(1));
    let copied = io::copy(&mut input, &mut file)?;
    file.flush()?;
    if copied > bytes_max {
        let message = format!("standard input is larger than {bytes_max} bytes; `--stdin-max` allows more");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(file)
}

/// The names in a list: separated by NUL when there is one, else by line ends.
pub fn names(list: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let bytes = if list.as_os_str() == "-" {
        let mut bytes = Vec::new();
        #[expect(clippy::disallowed_methods, reason = "within a bound")]
        io::stdin().lock().take(NAMES_BYTES_MAX + 1).read_to_end(&mut bytes).context("standard input")?;
        anyhow::ensure!(
            bytes.len() as u64 <= NAMES_BYTES_MAX,
            "the list of files is larger than {NAMES_BYTES_MAX} bytes"
        );
        bytes
    } else {
        files::read(list, NAMES_BYTES_MAX).with_context(|| format!("`{}` cannot be read", list.display()))?
    };
    let nul = bytes.contains(&0);
    let split = bytes.split(|byte| *byte == if nul { 0 } else { b'\n' });
    let named = split.map(|name| if nul { name } else { name.strip_suffix(b"\r").unwrap_or(name) });
    Ok(named.filter(|name| !name.is_empty()).map(|name| PathBuf::from(OsString::from_vec(name.to_vec()))).collect())
}
