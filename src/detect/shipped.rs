//! The rules that come with the program: every file under `detections/`.

use super::Source;

include!(concat!(env!("OUT_DIR"), "/detections.rs"));

/// The shipped rule files, by path.
pub fn sources() -> Vec<Source> {
    FILES.iter().map(|(path, text)| Source::new(*path, *text)).collect()
}
