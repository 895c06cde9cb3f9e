//! R's serialised objects: what runs when they are read, and what ordinary models hold.

use std::io::Write as _;

use super::{ALARMING, list, report};

const ACTIVE: &str = "artifact.r.active";
const NIL: i32 = 254;
const GLOBAL: i32 = 253;

/// What is written, in either encoding.
#[derive(Default, Clone)]
struct Out(Vec<Piece>);

#[derive(Clone)]
enum Piece {
    Int(i32),
    Real(f64),
    Text(String),
}

impl Out {
    fn int(mut self, value: i32) -> Self {
        self.0.push(Piece::Int(value));
        self
    }

    fn then(mut self, other: &Out) -> Self {
        self.0.extend(other.0.iter().cloned());
        self
    }

    fn xdr(&self) -> Vec<u8> {
        let mut bytes = b"X\n".to_vec();
        for piece in &self.0 {
            match piece {
                Piece::Int(value) => bytes.extend(value.to_be_bytes()),
                Piece::Real(value) => bytes.extend(value.to_be_bytes()),
                Piece::Text(text) => bytes.extend(text.as_bytes()),
            }
        }
        bytes
    }

    fn ascii(&self) -> Vec<u8> {
        let mut text = "A\n".to_owned();
        for piece in &self.0 {
            match piece {
                Piece::Int(value) => text += &value.to_string(),
                Piece::Real(value) => text += &value.to_string(),
                Piece::Text(value) => text += &value.replace(' ', "\\040"),
            }
            text.push('\n');
        }
        text.into_bytes()
    }
}

fn int(value: i32) -> Out {
    Out::default().int(value)
}

fn chars(text: &str) -> Out {
    let mut out = int(0x0004_0009).int(i32::try_from(text.len()).expect("short"));
    out.0.push(Piece::Text(text.to_owned()));
    out
}

fn symbol(name: &str) -> Out {
    int(1).then(&chars(name))
}

fn string(text: &str) -> Out {
    int(16).int(1).then(&chars(text))
}

fn real(value: f64) -> Out {
    let mut out = int(14).int(1);
    out.0.push(Piece::Real(value));
    out
}

fn call(head: &Out, arguments: &[Out]) -> Out {
    let mut out = int(6).then(head);
    for argument in arguments {
        out = out.int(2).then(argument);
    }
    out.int(NIL)
}

fn promise(expression: &Out) -> Out {
    int(5 | 0x400).int(GLOBAL).int(252).then(expression)
}

fn closure(body: &Out) -> Out {
    int(3 | 0x400).int(GLOBAL).int(NIL).then(body)
}

/// A list with names, as an attribute.
fn named(members: &[(&str, Out)]) -> Out {
    let mut out = int(0x13 | 0x200).int(i32::try_from(members.len()).expect("few"));
    for (_, value) in members {
        out = out.then(value);
    }
    out = out.int(2 | 0x400).then(&symbol("names")).int(16).int(i32::try_from(members.len()).expect("few"));
    for (name, _) in members {
        out = out.then(&chars(name));
    }
    out.int(NIL)
}

fn file(object: &Out) -> Out {
    int(2).int(0x0004_0301).int(0x0002_0300).then(object)
}

fn workspace(members: &[(&str, Out)]) -> Vec<u8> {
    let mut out = Out::default();
    for (name, value) in members {
        out = out.int(2 | 0x400).then(&symbol(name)).then(value);
    }
    [b"RDX2\n".to_vec(), file(&out.int(NIL)).xdr()].concat()
}

fn active(object: &Out) -> Vec<String> {
    let found = list(&report(&file(object).xdr(), "m.rds"), ACTIVE);
    let text = report(&file(object).ascii(), "m.rds");
    assert_eq!(list(&text, ACTIVE), found, "in text: {:?}", text.issues);
    found
}

fn system() -> Out {
    call(&symbol("system"), &[string("echo lanner")])
}

#[test]
fn what_runs_or_executes_is_told() {
    assert_eq!(active(&named(&[("w", real(1.0)), ("p", promise(&system()))])), ["promise", "promise:system"]);
    assert_eq!(active(&promise(&call(&symbol("cat"), &[string("lanner")]))), ["promise"]);
    assert_eq!(active(&named(&[("call", system())])), ["language:system"]);
    assert_eq!(active(&closure(&system())), ["closure:system"]);
    let inner = call(&symbol("lm"), &[call(&symbol("print"), &[system()])]);
    assert_eq!(active(&closure(&inner)), ["closure:system"]);
    let qualified = call(&call(&symbol("::"), &[symbol("base"), symbol("system2")]), &[string("echo")]);
    assert_eq!(active(&qualified), ["language:system2"]);
    let indirect = call(&symbol("do.call"), &[string("system"), string("echo lanner")]);
    assert_eq!(active(&indirect), ["language:system"]);
    assert_eq!(active(&int(20).int(1).then(&system())), ["expression:system"]);
    // Reference number 1 is the symbol that was written first.
    let twice = named(&[("a", call(&symbol("shell"), &[])), ("b", call(&int(255 | 1 << 8), &[]))]);
    assert_eq!(active(&twice), ["language:shell"]);
    let environment = int(4)
        .int(0)
        .int(242)
        .then(&int(2 | 0x400).then(&symbol("x")).then(&promise(&system())).int(NIL))
        .int(NIL)
        .int(NIL);
    assert_eq!(active(&environment), ["promise:system"]);
    let compiled = int(3 | 0x400)
        .int(GLOBAL)
        .int(NIL)
        .int(21)
        .int(1)
        .int(13)
        .int(1)
        .int(12)
        .int(2)
        .int(6)
        .int(NIL)
        .then(&symbol("system"))
        .int(2)
        .int(NIL)
        .then(&string("echo lanner"))
        .int(254)
        .then(&string("x"));
    assert_eq!(active(&compiled), ["closure:system"]);
    let started =
        report(&workspace(&[("model", real(1.0)), (".First", closure(&call(&symbol("cat"), &[])))]), "m.RData");
    assert_eq!(list(&started, ACTIVE), ["startup:.First"]);
    assert_eq!(list(&started, "artifact.r.objects"), ["model", ".First"]);
}

#[test]
fn packed_objects_are_looked_into() {
    let object = file(&promise(&system())).xdr();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&object).expect("memory takes it");
    let report = report(&gzip.finish().expect("memory takes it"), "model.rds");
    assert_eq!(list(&report, ACTIVE), ["promise", "promise:system"]);
    assert!(!report.facts.contains_key("artifact.extension_mismatch"));
}

#[test]
fn ordinary_models_are_silent() {
    let formula = call(&symbol("~"), &[symbol("y"), symbol("system")]);
    let frame = named(&[("x", real(1.0)), ("url", string("system"))]);
    let lazy = int(4)
        .int(0)
        .int(242)
        .then(&int(2 | 0x400).then(&symbol("x")).then(&promise(&symbol("y"))).int(NIL))
        .int(NIL)
        .int(NIL);
    let predict = closure(&call(
        &symbol("{"),
        &[call(&symbol("library"), &[symbol("stats")]), call(&symbol("<-"), &[symbol("system"), real(1.0)])],
    ));
    let model = named(&[
        ("coefficients", real(0.5)),
        ("call", call(&symbol("lm"), &[formula.clone(), symbol("d")])),
        ("terms", formula),
        ("model", frame),
        ("environment", lazy),
        ("predict", predict),
    ]);
    for bytes in [file(&model).xdr(), file(&model).ascii(), workspace(&[("fit", model)])] {
        let report = report(&bytes, "fit.RData");
        assert_eq!(report.format, "r-data");
        assert!(report.issues.is_empty(), "{:?}", report.issues);
        assert!(ALARMING.iter().all(|path| !report.facts.contains_key(*path)), "{:?}", report.facts);
    }
}

#[test]
fn an_object_that_is_cut_or_flipped_is_survived_and_told() {
    let whole = file(&named(&[("w", real(1.0)), ("p", promise(&system()))])).xdr();
    for end in 6..whole.len() {
        let report = report(whole.get(..end).expect("within"), "m.rds");
        assert!(!report.issues.is_empty(), "{end}: {:?}", report.facts);
    }
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            report(&flipped, "m.rds");
        }
    }
    let mut deep = int(2).int(0x0004_0301).int(0x0002_0300);
    for _ in 0..100_000 {
        deep = deep.int(19).int(1);
    }
    assert!(report(&deep.xdr(), "m.rds").issues.iter().any(|issue| issue.code == "budget_exceeded"));
    let long = int(2).int(0x0004_0301).int(0x0002_0300).int(24).int(-1).int(i32::MAX).int(-1);
    assert!(!report(&long.xdr(), "m.rds").issues.is_empty());
}
