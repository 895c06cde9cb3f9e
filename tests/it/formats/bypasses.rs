//! The public advisories about bypasses of model scanners, one row each: an inert sample of the
//! class, and the fact that must be found. Identifiers are those of the incident collection.

use super::build::{self, pickle, zip};
use super::{list, report};

/// What a row needs: files that must have the fact, with an item.
struct Row {
    id: &'static str,
    samples: Vec<(&'static str, Vec<u8>)>,
    fact: &'static str,
    item: &'static str,
}

const CALLS: &str = "artifact.pickle.dangerous_calls";
const TRICKS: &str = "artifact.container.anomalies";

/// Advisories about one callable that a list lacked.
const CALLABLES: &[(&str, &str, &str)] = &[
    ("INC-03026", "pip", "main"),
    ("INC-10279", "idlelib.pyshell", "ModifiedInterpreter.runcode"),
    ("INC-09275", "uuid", "_get_command_stdout"),
    ("INC-09275", "_osx_support", "_read_output"),
    ("INC-09275", "_aix_support", "_read_cmd_output"),
    ("INC-09311", "imaplib", "IMAP4_stream"),
    ("INC-09311", "_pyrepl.pager", "pipe_pager"),
    ("INC-09311", "test.support.script_helper", "assert_python_ok"),
    ("INC-14193", "pkgutil", "resolve_name"),
    ("INC-09312", "pkgutil", "resolve_name"),
    ("INC-09476", "logging", "FileHandler"),
    ("INC-16343", "logging", "FileHandler"),
    ("INC-09882", "cProfile", "run"),
    ("INC-15580", "cProfile", "run"),
    ("INC-15589", "cProfile", "runctx"),
    ("INC-09959", "numpy.f2py.crackfortran", "_eval_length"),
    ("INC-15573", "numpy.f2py.crackfortran", "param_eval"),
    ("INC-15579", "numpy.f2py.crackfortran", "eval"),
    ("INC-15582", "numpy.f2py.crackfortran", "myeval"),
    ("INC-15585", "numpy.f2py.crackfortran", "getlincoef"),
    ("INC-10281", "idlelib.calltip", "get_entity"),
    ("INC-15578", "idlelib.calltip", "get_entity"),
    ("INC-10291", "torch.utils._config_module", "load_config"),
    ("INC-10515", "timeit", "timeit"),
    ("INC-10516", "numpy.testing._private.utils", "runstring"),
    ("INC-10607", "pip._internal.cli.main", "main"),
    ("INC-15566", "pydoc", "locate"),
    ("INC-15566", "operator", "methodcaller"),
    ("INC-15586", "operator", "methodcaller"),
    ("INC-15567", "distutils.file_util", "write_file"),
    ("INC-15568", "ctypes", "WinDLL"),
    ("INC-15569", "profile", "Profile.runctx"),
    ("INC-15587", "profile", "Profile.run"),
    ("INC-16245", "profile", "run"),
    ("INC-15570", "idlelib.run", "Executive.runcode"),
    ("INC-15571", "lib2to3.pgen2.pgen", "ParserGenerator.make_label"),
    ("INC-15572", "torch.utils.bottleneck.__main__", "run_autograd_prof"),
    ("INC-15574", "trace", "Trace.run"),
    ("INC-15575", "trace", "Trace.runctx"),
    ("INC-15576", "idlelib.pyshell", "ModifiedInterpreter.runcommand"),
    ("INC-15577", "lib2to3.pgen2.grammar", "Grammar.loads"),
    ("INC-15581", "asyncio.unix_events", "_UnixSubprocessTransport._start"),
    ("INC-15583", "doctest", "debug_script"),
    ("INC-15584", "code", "InteractiveInterpreter.runcode"),
    ("INC-15588", "idlelib.autocomplete", "AutoComplete.fetch_completions"),
    ("INC-16244", "io", "FileIO"),
    ("INC-16244", "urllib.request", "urlopen"),
];

#[test]
fn every_callable_of_an_advisory_is_dangerous_in_every_spelling() {
    for (id, module, name) in CALLABLES {
        for bytes in
            [pickle::call(module, name, &["print('lanner')"]), pickle::stack_call(module, name, &["print('lanner')"])]
        {
            let found = list(&report(&bytes, "model.pkl"), CALLS);
            assert!(found.contains(&format!("{module}.{name}")), "{id}: {module}.{name} gave {found:?}");
        }
    }
}

#[test]
fn every_advisory_has_a_row() {
    let mut ids: Vec<&str> = CALLABLES.iter().map(|(id, ..)| *id).chain(rows().iter().map(|row| row.id)).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 51, "{ids:?}");
}

#[test]
fn every_trick_of_an_advisory_is_seen_through() {
    for row in rows() {
        for (name, bytes) in &row.samples {
            let report = report(bytes, name);
            let found = list(&report, row.fact);
            assert!(
                found.iter().any(|item| item == row.item),
                "{} as {name}: {:?} {:?}",
                row.id,
                report.facts,
                report.issues
            );
        }
    }
}

/// Every sample with the advisory it belongs to and the name under which it is passed on.
pub fn samples() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let calls =
        CALLABLES.iter().map(|(id, module, name)| (*id, "model.pkl", pickle::call(module, name, &["print('lanner')"])));
    let tricks =
        rows().into_iter().flat_map(|row| row.samples.into_iter().map(move |(name, bytes)| (row.id, name, bytes)));
    calls.chain(tricks).collect()
}

fn rows() -> Vec<Row> {
    let payload = build::pickle_os_system();
    let row = |id, samples, fact, item| Row { id, samples, fact, item };
    let getter = pickle::whole(
        4,
        &[
            &pickle::stack_global("_operator", "attrgetter"),
            &pickle::text("system"),
            b"\x85R",
            &pickle::global("os", "*"),
            b"\x85R",
            &pickle::text("echo lanner"),
            b"\x85R",
        ],
    );
    let build = pickle::whole(2, &[&pickle::reduce("os", "system", &["echo lanner"]), b"}b"]);
    let object = pickle::whole(2, &[b"(", &pickle::global("os", "system"), &pickle::long_text("echo lanner"), b"o0N"]);
    let mut submodule = pickle::stack_call("asyncio.base_subprocess", "BaseSubprocessTransport", &["echo lanner"]);
    submodule.extend_from_slice(b"rest");
    vec![
        row(
            "INC-03027",
            ["model.data", "model.txt", "model.h5", "model"].map(|name| (name, payload.clone())).to_vec(),
            CALLS,
            "os.system",
        ),
        row("INC-03029", vec![("model.pt", renamed(&payload))], TRICKS, "name_mismatch"),
        row("INC-03025", vec![("model.pt", renamed(&payload))], CALLS, "os.system"),
        row("INC-03028", (0..16).map(|bit| ("model.pt", flagged(&payload, 1 << bit))).collect(), CALLS, "os.system"),
        row("INC-13525", vec![("model.pt", legacy(&payload)), ("model.bin", legacy(&payload))], TRICKS, "legacy_magic"),
        row("INC-09407", vec![("model.pt", legacy(&payload))], CALLS, "os.system"),
        row("INC-09370", vec![("model.pkl", build)], CALLS, "os.system"),
        row("INC-09372", vec![("model.pkl", object)], CALLS, "os.system"),
        row("INC-09958", vec![("model.pkl", getter)], CALLS, "os.*"),
        row("INC-02306", vec![("model.bin", submodule)], CALLS, "asyncio.base_subprocess.BaseSubprocessTransport"),
        row("INC-02306", vec![("model.pt", checksum(&payload))], TRICKS, "crc_mismatch"),
        row("INC-02306", vec![("model.pt", checksum(&payload))], CALLS, "os.system"),
    ]
}

fn renamed(payload: &[u8]) -> Vec<u8> {
    let mut members = zip::torch(payload);
    members[0].local_name = "archive/data.pkm".into();
    zip::archive(&members)
}

fn flagged(payload: &[u8], flags: u16) -> Vec<u8> {
    let mut members = zip::torch(payload);
    members[0].flags = flags;
    zip::archive(&members)
}

fn checksum(payload: &[u8]) -> Vec<u8> {
    let mut members = zip::torch(payload);
    members[0].crc ^= 0xffff;
    zip::archive(&members)
}

/// PyTorch's old container whose magic number is what a call returns.
fn legacy(payload: &[u8]) -> Vec<u8> {
    [payload, b"\x80\x02M\xe9\x03.", b"\x80\x02}.", b"\x80\x02}.", b"\x80\x02]."].concat()
}
