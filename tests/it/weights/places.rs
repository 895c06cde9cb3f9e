//! Where tensors lie in files of other families, as real libraries write them.

use std::process::Command;

use lanner::artifact::{Limits, Memory, Segment, segments};

use crate::support;

/// Files that libraries write, and the bytes of each tensor as they themselves give them.
const WRITE: &str = r#"
import os, sys, numpy, gguf
out = sys.argv[1]
rng = numpy.random.default_rng(1)
a = rng.standard_normal((6, 64)).astype("<f4")
b = rng.standard_normal((3, 5)).astype("<f2")
numpy.save(os.path.join(out, "one.npy"), a)
numpy.save(os.path.join(out, "turned.npy"), numpy.asfortranarray(a))
numpy.savez(os.path.join(out, "two.npz"), a=a, b=b)
w = gguf.GGUFWriter(os.path.join(out, "model.gguf"), "llama")
w.add_tensor("blk.0.attn_q.weight", a)
w.add_tensor("blk.0.attn_k.weight", gguf.quants.quantize(a, gguf.GGMLQuantizationType.Q8_0), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
a.tofile(os.path.join(out, "a.raw")); b.tofile(os.path.join(out, "b.raw"))
"#;

fn found(bytes: &[u8]) -> Vec<Segment> {
    segments(&Memory(bytes.to_vec()), &Limits::default())
}

fn slice<'b>(bytes: &'b [u8], segment: &Segment) -> &'b [u8] {
    &bytes[usize::try_from(segment.start).expect("small")..usize::try_from(segment.end).expect("small")]
}

#[test]
fn arrays_and_gguf_are_found_where_they_lie() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let status = Command::new(support::python()).args(["-c", WRITE]).arg(folder.path()).status().expect("Python runs");
    assert!(status.success(), "the libraries could not write");
    let read = |name: &str| std::fs::read(folder.path().join(name)).expect("it was written");
    let (first, second) = (read("a.raw"), read("b.raw"));

    let one = read("one.npy");
    let [segment] = found(&one).try_into().expect("one array");
    assert_eq!(
        (segment.dtype.as_str(), segment.shape.as_slice(), slice(&one, &segment)),
        ("F32", &[6, 64][..], &first[..])
    );
    let [turned] = found(&read("turned.npy")).try_into().expect("one array");
    assert_eq!(turned.shape, [64, 6]);

    let two = read("two.npz");
    let [a, b] = found(&two).try_into().expect("two arrays");
    assert_eq!((a.name.as_str(), slice(&two, &a)), ("a", &first[..]));
    assert_eq!(
        (b.name.as_str(), b.dtype.as_str(), b.shape.as_slice(), slice(&two, &b)),
        ("b", "F16", &[3, 5][..], &second[..])
    );

    let gguf = read("model.gguf");
    let [q, k] = found(&gguf).try_into().expect("two tensors");
    assert_eq!(
        (q.name.as_str(), q.shape.as_slice(), slice(&gguf, &q)),
        ("blk.0.attn_q.weight", &[6, 64][..], &first[..])
    );
    assert_eq!((k.dtype.as_str(), k.shape.as_slice(), slice(&gguf, &k).len()), ("Q8_0", &[6, 64][..], 6 * 2 * 34));
}
