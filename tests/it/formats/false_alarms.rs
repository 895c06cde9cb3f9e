//! What honest files hold that looks like an attack, and the attacks it looks like.

use super::build::pickle;
use super::{list, report};

#[test]
fn a_method_of_a_vetted_class_is_no_walk_through_modules() {
    let anomalies = "artifact.pickle.anomalies";
    let of = |module: &str, name: &str| pickle::whole(4, &[&pickle::stack_global(module, name)]);
    for name in ["interp1d._call_linear_np", "interp1d._evaluate"] {
        let quiet = report(&of("scipy.interpolate._interpolate", name), "a.pkl");
        assert!(list(&quiet, anomalies).is_empty(), "{name}: {:?}", quiet.facts);
    }
    for (module, name) in [
        ("random", "_os.system"),
        ("scipy.interpolate._interpolate", "np.f2py"),
        ("scipy.interpolate._interpolate", "interp1d.__init__.__globals__"),
        ("scipy.interpolate._interpolate", "interp1d.os.system"),
        ("mycompany.tools", "helpers.launch"),
    ] {
        let found = list(&report(&of(module, name), "a.pkl"), anomalies);
        assert_eq!(found, ["dotted_name"], "{module}.{name}");
    }
}

#[test]
fn the_state_of_an_object_is_data() {
    let texts = ["https://example.com/data", "/data/train.csv", "SELECT 1; SELECT 2"];
    let state: Vec<u8> = texts
        .iter()
        .enumerate()
        .flat_map(|(index, text)| [pickle::text(&format!("k{index}")), pickle::text(text)].concat())
        .collect();
    let class = pickle::stack_global("__main__", "Feat");
    let plain = pickle::whole(4, &[&class, b")\x81}(", &state, b"ub"]);
    let slots = pickle::whole(4, &[&class, b")\x81N}(", &state, b"u\x86b"]);
    let old = pickle::whole(
        2,
        &[
            &pickle::global("copy_reg", "_reconstructor"),
            b"(",
            &class,
            &pickle::global("__builtin__", "object"),
            b"NtR}(",
            &state,
            b"ub",
        ],
    );
    for (sample, made) in [(&plain, true), (&slots, true), (&old, false)] {
        let report = report(sample, "a.pkl");
        assert!(list(&report, "artifact.pickle.suspicious_arguments").is_empty(), "{:?}", report.facts);
        assert_eq!(list(&report, "artifact.pickle.unlisted"), ["__main__.Feat"]);
        if made {
            assert_eq!(list(&report, "artifact.pickle.suspicious_state").len(), 3, "{:?}", report.facts);
        }
    }
    let called = pickle::call("__main__", "Feat", &["https://example.com/data"]);
    assert_eq!(list(&report(&called, "a.pkl"), "artifact.pickle.suspicious_arguments"), ["https://example.com/data"]);
    let stated = pickle::whole(4, &[&pickle::stack_global("os", "popen"), b")R}(", &state, b"ub"]);
    assert!(list(&report(&stated, "a.pkl"), "artifact.pickle.arguments").contains(&texts[0].to_owned()));
}
