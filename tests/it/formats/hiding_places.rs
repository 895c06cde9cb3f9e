//! Places in which something was once overlooked.

use super::build::{self, tensors, zip};
use super::{list, report};

const CALLS: &str = "artifact.pickle.dangerous_calls";
const ESCAPES: &str = "artifact.container.escapes";
const TEMPLATE: &str = "artifact.chat_template.unsafe";

#[test]
fn a_text_pickle_is_one_under_any_name() {
    for name in ["x.json", "x.py", "README.md", "x.yaml", "x.txt"] {
        let report = report(b"cposix\nsystem\n(S\"echo inert\"\ntR.", name);
        assert!(list(&report, CALLS).contains(&"posix.system".to_owned()), "{name}: {:?}", report.facts);
    }
    for (name, text) in
        [("a.py", "import os\nimport sys\n"), ("a.md", "cats\nand dogs\n."), ("a.json", "[1]"), ("a.yaml", "a: 1\n")]
    {
        assert!(!report(text.as_bytes(), name).format.contains("pickle"), "{name}");
    }
}

#[test]
fn links_in_an_archive_do_not_escape() {
    let link = |target: &str| {
        let member = zip::Member { attributes: 0o120_777 << 16, ..zip::member("model/link", target.as_bytes()) };
        list(&report(&zip::archive(&[member]), "a.zip"), ESCAPES)
    };
    for target in ["/etc/passwd", "../../x"] {
        assert_eq!(link(target), [format!("model/link -> {target}")]);
    }
    assert!(link("../weights").is_empty());
}

#[test]
fn what_follows_the_tensors_is_looked_into() {
    let torch = zip::archive(&zip::torch(&build::pickle_os_system()));
    let payload = [build::pickle_os_system(), vec![b'.'; 64]].concat();
    for appended in [torch.clone(), [vec![0; 7], torch.clone()].concat(), [b"junk".to_vec(), torch].concat(), payload] {
        for (file, name) in [(tensors::gguf(&[]), "m.gguf"), (tensors::safetensors_benign(), "m.safetensors")] {
            let report = report(&[file, appended.clone()].concat(), name);
            assert!(list(&report, CALLS).contains(&"os.system".to_owned()), "{name}: {:?}", report.facts);
        }
    }
}

#[test]
fn an_index_names_files_beside_it() {
    for name in ["model.safetensors.index.json", "pytorch_model.bin.index.json"] {
        let found = |shard: &str| {
            let json = serde_json::json!({"weight_map": {"a": shard}}).to_string();
            list(&report(json.as_bytes(), name), ESCAPES)
        };
        for shard in ["../x.bin", "/x.bin", "a\\b.bin", "https://example.com/x.bin"] {
            assert_eq!(found(shard), [shard]);
        }
        assert!(found("model-00001-of-00002.safetensors").is_empty());
    }
}

#[test]
fn templates_neither_loop_without_end_nor_reach_private_attributes() {
    for (template, item) in [
        ("{% for i in range(1000000000) %}x{% endfor %}", "loop:range"),
        ("{% for i in range(10 ** 9) %}x{% endfor %}", "loop:range"),
        ("{% for i in range(99999 * 99999) %}x{% endfor %}", "loop:range"),
        ("{{ self._TemplateReference__context }}", "dunder:_TemplateReference__context"),
    ] {
        assert_eq!(list(&report(template.as_bytes(), "chat_template.jinja"), TEMPLATE), [item], "{template}");
    }
    let plain = b"{% for i in range(messages|length - 1, -1, -1) %}{{ messages[i].content }}{% endfor %}";
    assert!(list(&report(plain, "chat_template.jinja"), TEMPLATE).is_empty());
}

#[test]
fn an_array_has_a_literal_header() {
    let npy = |header: &str| {
        let length = u16::try_from(header.len()).expect("a short header");
        let bytes = [b"\x93NUMPY\x01\0".as_slice(), &length.to_le_bytes(), header.as_bytes(), &[0; 8]].concat();
        report(&bytes, "a.npy").issues.iter().any(|issue| issue.code == "malformed")
    };
    assert!(!npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }\n"));
    assert!(npy("{'descr': '<f8', 'fortran_order': print('inert'), 'shape': (1,), }\n"));
    assert!(npy("x['descr': '<f8', 'shape': (1,)]\n"));
}
