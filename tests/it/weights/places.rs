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

/// An archive as `torch.save` writes it, by a pickler that has only the names of PyTorch: two tensors share one
/// storage, one is a view turned over, one storage is in no tensor.
const TORCH: &str = r#"
import collections, io, pickle, sys, types, zipfile
torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
def _rebuild_tensor_v2(*arguments): pass
def _rebuild_parameter(*arguments): pass
for function in (_rebuild_tensor_v2, _rebuild_parameter):
    function.__module__, function.__qualname__ = "torch._utils", function.__name__
    setattr(utils, function.__name__, function)
torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})
sys.modules.update({"torch": torch, "torch._utils": utils})
Storage = collections.namedtuple("Storage", "key count")
class Tensor:
    def __init__(self, key, offset, shape, strides, parameter=False):
        self.parts = (Storage(key, 100), offset, shape, strides, False, collections.OrderedDict())
        self.parameter = parameter
    def __reduce__(self):
        if self.parameter:
            inner = Tensor("0", 0, (), ())
            inner.parts = self.parts
            return (utils._rebuild_parameter, (inner, True, collections.OrderedDict()))
        return (utils._rebuild_tensor_v2, self.parts)
class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        if isinstance(value, Storage):
            return ("storage", torch.FloatStorage, value.key, "cpu", value.count)
model = collections.OrderedDict(
    [("a.weight", Tensor("0", 0, (6, 8), (8, 1))), ("b.bias", Tensor("0", 48, (4,), (1,), True)), ("turned", Tensor("1", 0, (8, 6), (1, 8)))]
)
buffer = io.BytesIO()
Pickler(buffer, 2).dump({"state": model, "step": 3})
with zipfile.ZipFile(sys.argv[1], "w") as archive:
    archive.writestr("model/data.pkl", buffer.getvalue())
    archive.writestr("model/byteorder", "little")
    for key in "012":
        archive.writestr(f"model/data/{key}", bytes((i * 7 + int(key)) % 251 for i in range(400)))
    archive.writestr("model/version", "3\n")
"#;

#[test]
fn tensors_of_an_archive_of_pytorch_have_their_names() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.pt");
    let status = Command::new(support::python()).args(["-c", TORCH]).arg(&path).status().expect("Python runs");
    assert!(status.success(), "the archive could not be written");
    let bytes = std::fs::read(&path).expect("it was written");
    let found = found(&bytes);
    let raw: Vec<u8> = (0..400_u32).map(|at| u8::try_from(at * 7 % 251).expect("8 bits")).collect();
    let named = |name: &str| found.iter().find(|segment| segment.name == name).unwrap_or_else(|| panic!("{found:?}"));
    let (weight, bias) = (named("a.weight"), named("b.bias"));
    assert_eq!((weight.dtype.as_str(), weight.shape.as_slice()), ("F32", &[6, 8][..]));
    assert_eq!((slice(&bytes, weight), slice(&bytes, bias)), (&raw[..192], &raw[192..208]));
    // What is no plain stretch, and what no tensor has, is compared as bytes.
    assert_eq!((named("data/1").dtype.as_str(), named("data/2").shape.as_slice()), ("U8", &[400][..]));
    assert_eq!(found.len(), 4);
}
