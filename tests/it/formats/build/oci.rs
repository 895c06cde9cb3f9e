//! Layouts of images, as tar archives and as the blobs in them.

use lanner::event::Sha256;
use serde_json::{Value, json};

/// An entry of a tar archive: its name, its kind, its content or the target of a link, its mode.
pub type Entry<'a> = (&'a str, tar::EntryType, &'a [u8], u32);

pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub const TITLE: &str = "org.opencontainers.image.title";

pub fn file<'a>(name: &'a str, content: &'a [u8]) -> Entry<'a> {
    (name, tar::EntryType::Regular, content, 0o644)
}

pub fn link<'a>(name: &'a str, target: &'a str) -> Entry<'a> {
    (name, tar::EntryType::Symlink, target.as_bytes(), 0o777)
}

/// A tar archive whose names and links are written as they are.
pub fn tar(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, content, mode) in entries {
        let mut header = tar::Header::new_ustar();
        let bytes = header.as_mut_bytes();
        bytes.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
        let link = matches!(kind, tar::EntryType::Symlink | tar::EntryType::Link);
        if link {
            bytes.iter_mut().skip(157).zip(*content).for_each(|(to, from)| *to = *from);
        }
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_size(if link { 0 } else { content.len() as u64 });
        header.set_cksum();
        builder.append(&header, if link { &[][..] } else { content }).expect("memory takes it");
    }
    builder.into_inner().expect("memory takes it")
}

pub fn path(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", Sha256::of(bytes))
}

/// What a manifest says of a blob.
pub fn descriptor(kind: &str, bytes: &[u8], title: Option<(&str, &str)>) -> Value {
    let mut descriptor =
        json!({"mediaType": kind, "digest": format!("sha256:{}", Sha256::of(bytes)), "size": bytes.len()});
    if let (Some((key, title)), Some(members)) = (title, descriptor.as_object_mut()) {
        members.insert("annotations".to_owned(), json!({key: title}));
    }
    descriptor
}

/// An image: its configuration, and its layers by their descriptors.
pub struct Image {
    pub manifest: Value,
    pub blobs: Vec<Vec<u8>>,
}

impl Image {
    pub fn new(config: (&str, &[u8]), layers: &[(Value, &[u8])]) -> Self {
        let descriptors: Vec<&Value> = layers.iter().map(|(descriptor, _)| descriptor).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor(config.0, config.1, None),
            "layers": descriptors,
        });
        let blobs = std::iter::once(config.1).chain(layers.iter().map(|(_, bytes)| *bytes));
        Self { manifest, blobs: blobs.map(<[u8]>::to_vec).collect() }
    }

    /// The layout in a tar archive.
    pub fn archive(&self) -> Vec<u8> {
        let manifest = self.manifest.to_string().into_bytes();
        let index = json!({"schemaVersion": 2, "manifests": [descriptor("application/vnd.oci.image.manifest.v1+json", &manifest, None)]});
        let index = index.to_string();
        let paths: Vec<String> = self.blobs.iter().map(|blob| path(blob)).collect();
        let manifest_path = path(&manifest);
        let mut entries: Vec<Entry<'_>> = paths.iter().zip(&self.blobs).map(|(path, blob)| file(path, blob)).collect();
        entries.extend([
            file(&manifest_path, &manifest),
            file("index.json", index.as_bytes()),
            file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
        ]);
        tar(&entries)
    }
}
