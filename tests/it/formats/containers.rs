//! Archives that are recognised only, and compressed streams of several frames.

use std::io::Write as _;

use super::build::{self, arrays};
use super::{ALARMING, list, report};

#[test]
fn archives_that_no_loader_opens_are_named() {
    let mut iso = vec![0; 0x8800];
    iso.splice(0x8000..0x8006, *b"\x01CD001");
    for (sample, format) in [
        (b"Rar!\x1a\x07\x01\0rest of it".to_vec(), "rar"),
        (b"MSCF\0\0\0\0\x40\0\0\0rest of it".to_vec(), "cab"),
        (iso, "iso"),
    ] {
        for name in ["model.pt", "model.safetensors", "model.gguf", "model.bin"] {
            let report = report(&sample, name);
            assert_eq!(report.format, format);
            assert_eq!(list(&report, "artifact.container.anomalies"), ["unexpected_container"], "{name}");
            assert!(report.issues.iter().any(|issue| issue.code == "not_inspected"), "{report:?}");
        }
        let honest = report(&sample, &format!("backup.{format}"));
        assert!(list(&honest, "artifact.container.anomalies").is_empty(), "{honest:?}");
    }
}

#[test]
fn a_pointer_of_git_lfs_is_no_disguise() {
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n", "4d7a".repeat(16));
    for name in ["model.safetensors", "data.parquet", "model.gguf"] {
        let report = report(pointer.as_bytes(), name);
        assert!(!report.facts.contains_key("artifact.extension_mismatch"), "{name}: {report:?}");
    }
    let longer = [pointer.as_bytes(), &b"# more of it\n".repeat(100)].concat();
    assert!(report(&longer, "model.safetensors").facts.contains_key("artifact.extension_mismatch"));
}

#[test]
fn every_frame_of_a_stream_is_unpacked() {
    let lz4 = |bytes: &[u8]| {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(bytes).expect("memory takes it");
        encoder.finish().expect("memory takes it")
    };
    let skipped = [[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0].as_slice(), b"abc"].concat();
    let payload = build::pickle_os_system();
    let (start, end) = payload.split_at(payload.len() / 2);
    let zstd = |bytes: &[u8]| arrays::zstd(bytes);
    for (sample, name) in [
        ([zstd(start), zstd(end)].concat(), "a.pkl.zst"),
        ([skipped.clone(), zstd(start), zstd(b""), skipped.clone(), zstd(end)].concat(), "a.pkl.zst"),
        ([lz4(start), lz4(end)].concat(), "a.pkl.lz4"),
        ([lz4(start), skipped, lz4(b""), lz4(end), b"what follows".to_vec()].concat(), "a.pkl.lz4"),
    ] {
        let found = report(&sample, name);
        assert_eq!(list(&found, "artifact.pickle.dangerous_calls"), ["os.system"], "{name}: {found:?}");
    }
    let empty = report(&zstd(b"").repeat(10_000), "a.zst");
    assert!(empty.issues.iter().any(|issue| issue.code == "malformed"), "{empty:?}");
}

#[test]
fn an_archive_without_members_is_one() {
    for length in [1024, 10_240] {
        let empty = report(&vec![0; length], "empty.tar");
        assert_eq!(empty.format, "tar");
        assert!(ALARMING.iter().all(|path| !empty.facts.contains_key(*path)), "{:?}", empty.facts);
    }
    let hidden = [vec![0; 10_240], b"x".repeat(512)].concat();
    for (bytes, name) in
        [(vec![0; 512], "x.tar"), (vec![0; 1000], "x.tar"), (vec![0; 1024], "x.bin"), (hidden, "x.tar")]
    {
        assert_ne!(report(&bytes, name).format, "tar", "{name}");
    }
}
