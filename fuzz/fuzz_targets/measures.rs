//! Any bytes as what was kept of tensors, with the digest that makes them pass for whole: reading and comparing end,
//! and what was read is written again.

#![no_main]

use lanner::artifact::weights::{Comparison, Measured};
use libfuzzer_sys::fuzz_target;

/// Bytes of the digest at the end, and of the name of the format at the beginning.
const CHECK: usize = 8;
const MAGIC: usize = 8;

fn kept(bytes: &[u8]) -> Option<Measured> {
    let mut whole = Measured::default().to_bytes();
    whole.truncate(MAGIC);
    whole.extend(bytes);
    let check = blake3::hash(&whole);
    whole.extend(&check.as_bytes()[..CHECK]);
    Measured::from_bytes(&whole).ok()
}

fuzz_target!(|input: &[u8]| {
    let Some((at, bytes)) = input.split_first() else { return };
    let (old, new) = bytes.split_at((usize::from(*at) * 64).min(bytes.len()));
    for measured in [kept(old), kept(new)].into_iter().flatten() {
        let again = Measured::from_bytes(&measured.to_bytes()).expect("it was just written");
        assert_eq!(again.tensors.len(), measured.tensors.len(), "what was read is written again");
    }
    if let (Some(old), Some(new)) = (kept(old), kept(new)) {
        drop(Comparison::of(&old, &new, None, &|| false));
    }
});
