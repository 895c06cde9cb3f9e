//! HDF5: ways out of the file, and what does not belong into it.

use super::build::{self, hdf5};
use super::{list, report};

const EXTERNAL: &str = "artifact.hdf5.external";

#[test]
fn ways_out_of_the_file_are_told() {
    let mut file = hdf5::File::new();
    let heap = file.heap(b"/etc/hostname\0\0\0");
    let stored = file.object(&[hdf5::storage(heap)]);
    let sources = [&[0], 1_u64.to_le_bytes().as_slice(), b"/data/other.h5\0x\0", &[3, 0, 0, 0]].concat();
    let sources = file.global(&sources);
    let pieced = file.object(&[hdf5::virtual_data(sources)]);
    let group = file.old_object(&[hdf5::external("away", "../other.h5", "/x")]);
    let root = file.object(&[hdf5::link("a", stored), hdf5::link("b", pieced), hdf5::link("c", group)]);
    let mut found = list(&report(&file.finish(root), "weights.h5"), EXTERNAL);
    found.sort();
    assert_eq!(found, ["link:../other.h5:/x", "storage:/etc/hostname", "virtual:/data/other.h5"]);
}

#[test]
fn a_virtual_dataset_of_the_same_file_stays_inside() {
    let mut file = hdf5::File::new();
    let sources = file.global(&[&[0], 1_u64.to_le_bytes().as_slice(), b".\0x\0", &[3, 0, 0, 0]].concat());
    let pieced = file.object(&[hdf5::virtual_data(sources)]);
    let root = file.object(&[hdf5::link("b", pieced)]);
    let report = report(&file.finish(root), "weights.h5");
    assert!(list(&report, EXTERNAL).is_empty() && report.issues.is_empty(), "{report:?}");
}

#[test]
fn what_stands_before_and_behind_is_looked_into() {
    let plain = hdf5::keras("{}", true);
    let mut block = build::pickle_os_system();
    block.resize(1024, 0);
    let before = report(&[block, plain.clone()].concat(), "model.h5");
    assert_eq!(before.format, "hdf5");
    assert_eq!(list(&before, "artifact.pickle.dangerous_calls"), ["os.system"]);
    assert_eq!(list(&before, "artifact.hdf5.anomalies"), ["user_block"]);
    let behind = report(&[plain.clone(), build::pickle_os_system()].concat(), "model.h5");
    assert_eq!(list(&behind, "artifact.pickle.dangerous_calls"), ["os.system"]);
    let whole = report(&plain, "model.h5");
    assert!(whole.issues.is_empty() && !whole.facts.contains_key("artifact.hdf5.anomalies"), "{whole:?}");
}

#[test]
fn attributes_and_weights_hold_no_programs() {
    let elf = [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 57]].concat();
    for payload in [elf, build::pickle_os_system()] {
        let mut file = hdf5::File::new();
        let data = file.put(&payload);
        let length = payload.len() as u64;
        let set = file.object(&[hdf5::contiguous(data, length)]);
        let in_data = file.object(&[hdf5::link("w", set)]);
        let in_data = report(&file.finish(in_data), "weights.h5");
        let mut file = hdf5::File::new();
        let root = file.object(&[hdf5::fixed("note", &payload)]);
        let in_text = report(&file.finish(root), "weights.h5");
        for report in [in_data, in_text] {
            let told = !list(&report, "artifact.embedded_executables").is_empty()
                || list(&report, "artifact.pickle.dangerous_calls") == ["os.system"];
            assert!(told, "{report:?}");
        }
    }
}

#[test]
fn what_lies_in_heaps_is_found() {
    let mut file = hdf5::File::new();
    let (_, link) = hdf5::external("away", "/data/other.h5", "/x");
    // Free space in front, as deletion leaves it.
    let links = file.fractal(&[[0; 9].as_slice(), &link].concat(), None);
    let config = serde_json::json!({"class_name": "function", "module": "os", "config": "system"}).to_string();
    let (_, short) = hdf5::fixed("note", b"plain");
    let (_, long) = hdf5::fixed("config", config.as_bytes());
    let attributes = file.fractal(&short, Some(&long));
    let root = file.object(&[hdf5::dense(0x02, links), hdf5::dense(0x15, attributes)]);
    let report = report(&file.finish(root), "weights.h5");
    assert_eq!(list(&report, EXTERNAL), ["link:/data/other.h5:/x"]);
    assert_eq!(list(&report, "artifact.keras.gadgets"), ["os.system"]);
    assert!(report.issues.is_empty(), "{report:?}");
}

#[test]
fn a_type_that_stands_elsewhere_hides_nothing() {
    let mut file = hdf5::File::new();
    let config = serde_json::json!({"class_name": "function", "module": "os", "config": "system"}).to_string();
    let text = file.text("model_config", &config);
    let root = file.object(&[hdf5::typed_elsewhere(text)]);
    let report = report(&file.finish(root), "weights.h5");
    assert_eq!(list(&report, "artifact.keras.gadgets"), ["os.system"]);
}

#[test]
fn circles_end() {
    let mut file = hdf5::File::new();
    let first = file.object(&[hdf5::link("up", 96), hdf5::link("self", 96)]);
    assert_eq!(first, 96);
    let report = report(&file.finish(first), "a.h5");
    assert!(report.issues.is_empty(), "{report:?}");
}
