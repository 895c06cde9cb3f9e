//! The filesystem of an image, one layer of it. Programs, links and code are at home there: what counts is
//! what lies under the folders of models, and what is a model wherever it lies.

use ::tar::EntryType;

use crate::artifact::digest;
use crate::artifact::format::{claim, places, zip};
use crate::artifact::inspection::Inspection;

/// Folders in which the files of a model are kept.
const MODELS: &[&str] = &["models", "model", "weights", "checkpoints", "huggingface", "snapshots", "adapters", "lora"];
/// Folders of installed software, whatever is called a model in it.
const SOFTWARE: &[&str] =
    &["site-packages", "dist-packages", "node_modules", "lib", "lib64", "share", "include", "src"];
/// Folders of a system, below which devices, sockets and programs with the rights of others are ordinary.
const SYSTEM: &[&str] = &[
    "bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "libexec", "media", "mnt", "nix", "opt",
    "proc", "root", "run", "sbin", "srv", "sys", "tmp", "usr", "var",
];
/// What names claim that only models are called.
const WEIGHTS: &[&str] = &[
    "safetensors",
    "gguf",
    "numpy",
    "npz",
    "pt2",
    "pickle",
    "joblib",
    "keras",
    "onnx",
    "tflite",
    "executorch",
    "coreml",
    "paddle",
    "msgpack",
    "torch7",
    "catboost",
    "llamafile",
    "rknn",
    "skops",
    "pmml",
    "r-data",
    "mar",
    "nemo",
];
/// Names that begin so delete what a layer below has.
const WHITEOUT: &str = ".wh.";

/// True for the name of a tar archive that is a layer of an image.
pub fn is_layer(name: &str) -> bool {
    let stem = name.strip_suffix("/layer.tar").and_then(|folder| folder.rsplit('/').next());
    stem.is_some_and(|id| digest::digest(id).is_some()) || digest::is_blob(name)
}

/// A name by which [`is_layer`] knows one.
pub fn name(said: Option<crate::event::Sha256>) -> String {
    said.map_or_else(|| format!("{:064}/layer.tar", 0), |digest| format!("{digest}/layer.tar"))
}

fn parts(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|part| !matches!(*part, "" | "."))
}

/// True for what a model's files lie in.
fn is_of_model(path: &str) -> bool {
    let has = |names: &[&str]| parts(path).rev().skip(1).any(|part| names.contains(&part));
    has(MODELS) && !has(SOFTWARE)
}

/// An image that only carries a model has it in this folder.
pub fn note(inspection: &mut Inspection<'_>, path: &str, file: bool) {
    if file && parts(path).next() == Some("models") && parts(path).nth(1).is_some() {
        inspection.list("artifact.oci.packaging", "modelcar");
    }
}

/// True for a member that is looked into as any other archive's would be.
pub fn is_looked_at(path: &str, head: &[u8]) -> bool {
    let named = claim(path).is_some_and(|(extension, declared, _)| {
        let weights = WEIGHTS.contains(declared) || matches!(*extension, "pt" | "ckpt" | "ptl");
        // Files of these names are anything else as well.
        let own = matches!(*extension, "bin" | "pth" | "h5" | "hdf5" | "pb" | "parquet" | "arrow");
        weights || own && !parts(path).any(|part| SOFTWARE.contains(&part))
    });
    named
        || is_of_model(path)
        || matches!(head, [0x80, 2..=5, 0x95 | b'c' | b'}' | b'(' | b']', ..] | [b'G', b'G', b'U', b'F', ..])
}

/// What an entry of a layer would do beside the files of its image. A link leads within the image, but where
/// only the model of it is mounted, one among the model's files leads into another's filesystem.
pub fn escapes(inspection: &mut Inspection<'_>, name: &str, kind: EntryType, mode: u32, target: &str) {
    zip::escapes(inspection, name);
    let system = parts(name).next().is_some_and(|first| SYSTEM.contains(&first));
    let what = match kind {
        EntryType::Symlink if is_of_model(name) && leaves_model(name, target) => format!("{name} -> {target}"),
        EntryType::Symlink if !system && secret(target) => format!("{name} -> {target}"),
        EntryType::Link if target.split('/').any(|part| part == "..") => format!("{name} -> {target}"),
        EntryType::Char | EntryType::Block if !system => format!("{name} (device)"),
        EntryType::Fifo if !system => format!("{name} (fifo)"),
        EntryType::Regular | EntryType::Continuous if !system && mode & 0o6000 != 0 => format!("{name} (setuid)"),
        _ => return,
    };
    inspection.list("artifact.container.escapes", what);
}

/// True for a link among a model's files that leads out of their folder.
fn leaves_model(path: &str, target: &str) -> bool {
    let all: Vec<&str> = parts(path).collect();
    let start = all.iter().position(|part| MODELS.contains(part)).unwrap_or(0);
    if target.starts_with('/') {
        let folder = all.get(..=start).unwrap_or_default();
        let inside: Vec<&str> = parts(target).take(folder.len()).collect();
        return inside != folder || parts(target).any(|part| part == "..");
    }
    zip::leaves(&all.get(start..).unwrap_or_default().join("/"), target)
}

/// What no link of an application needs: secrets, and what a process sees of others.
fn secret(target: &str) -> bool {
    let program =
        ["/usr/", "/run/", "/var/run/", "/sys/", "/etc/ssl", "/etc/alternatives/", "/etc/localtime", "/proc/mounts"];
    target.starts_with('/') && places::is_sensitive(target) && !program.iter().any(|place| target.starts_with(place))
}

/// A mark that deletes: it is empty, and deletes one file beside it. Returns false for any other file.
pub fn whiteout(inspection: &mut Inspection<'_>, path: &str, size: u64) -> bool {
    let file = parts(path).next_back().unwrap_or_default();
    let Some(deleted) = file.strip_prefix(WHITEOUT) else { return false };
    if matches!(deleted, "" | "." | "..") {
        inspection.list("artifact.container.escapes", format!("{path} (deletes its own folder, or the one above)"));
    }
    if size > 0 {
        inspection.list("artifact.container.anomalies", "hidden_entry");
        return false;
    }
    inspection.add("artifact.oci.whiteouts", 1);
    true
}
