//! What a site vouches for, and the names that were derived from what libraries write.

use std::sync::Arc;

use lanner::artifact::{Limits, Memory, Vetted, inspect};

use super::build::pickle;
use super::{list, report};

const DERIVED: &str = include_str!("../../../src/artifact/format/pickle/vetted.txt");

fn names() -> impl Iterator<Item = &'static str> {
    DERIVED.lines().filter(|line| !line.is_empty() && !line.starts_with('#') && !line.contains(' '))
}

#[test]
fn every_derived_name_is_vetted_and_none_is_denied() {
    let count = names().count();
    assert!(count > 400, "only {count} names");
    let judged: Vec<(&str, Vec<String>, Vec<String>)> = names()
        .map(|full| {
            let (module, name) = full.rsplit_once('.').expect("a module and a name");
            // A method of a class is named by its path in the module.
            let (module, name) = match module.rsplit_once('.') {
                Some((outer, class)) if class.chars().next().is_some_and(char::is_uppercase) => {
                    (outer.to_owned(), format!("{class}.{name}"))
                }
                Some(_) | None => (module.to_owned(), name.to_owned()),
            };
            let found = report(&pickle::whole(4, &[&pickle::stack_global(&module, &name)]), "a.pkl");
            (full, list(&found, "artifact.pickle.dangerous"), list(&found, "artifact.pickle.unlisted"))
        })
        .filter(|(_, dangerous, unlisted)| !dangerous.is_empty() || !unlisted.is_empty())
        .collect();
    assert!(judged.is_empty(), "{judged:#?}");
}

#[test]
fn every_derived_name_has_a_library_with_its_version() {
    let mut library = None;
    for line in DERIVED.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["version", date] => assert!(date.parse::<jiff::civil::Date>().is_ok(), "{date}"),
            ["library", name, version] => {
                assert!(version.starts_with(|first: char| first.is_ascii_digit()), "{line}");
                library = Some((*name).to_owned());
            }
            [name] => assert!(library.is_some() && name.contains('.'), "{line}"),
            _ => panic!("`{line}` is none of the file's lines"),
        }
    }
}

fn unlisted(vetted: &[&str], module: &str, name: &str) -> (Vec<String>, Vec<String>) {
    let limits =
        Limits { vetted: Arc::new(Vetted::new(vetted.iter().copied()).expect("patterns")), ..Limits::default() };
    let bytes = pickle::whole(4, &[&pickle::stack_global(module, name), b")R"]);
    let found = inspect(&Memory(bytes), "a.pkl", &limits);
    (list(&found, "artifact.pickle.unlisted"), list(&found, "artifact.pickle.dangerous"))
}

#[test]
fn a_site_vouches_for_its_own_classes_and_for_nothing_else() {
    let one = ["acme.models.Ranker"];
    assert_eq!(unlisted(&one, "acme.models", "Ranker"), (vec![], vec![]));
    assert_eq!(unlisted(&one, "acme.models", "rank").0, ["acme.models.rank"]);
    let all = ["acme.*"];
    assert_eq!(unlisted(&all, "acme.models.deep", "rank"), (vec![], vec![]));
    assert_eq!(unlisted(&all, "acmetools", "Ranker").0, ["acmetools.Ranker"]);
    let classes = ["acme.^"];
    assert_eq!(unlisted(&classes, "acme.models", "Ranker"), (vec![], vec![]));
    assert_eq!(unlisted(&classes, "acme.models", "rank").0, ["acme.models.rank"]);
    // What walks elsewhere, and what lies under the surface, stays what it is.
    assert_eq!(unlisted(&all, "acme.models", "os.system").1, ["acme.models.os.system"]);
    assert_eq!(unlisted(&all, "acme.models", "Ranker.__init__.__globals__").1.len(), 1);
    assert_eq!(unlisted(&all, "os", "system").1, ["os.system"]);
}

#[test]
fn what_is_dangerous_or_no_pattern_is_refused() {
    for pattern in [
        "os.system",
        "os.*",
        "builtins.^",
        "torch.hub.*",
        "subprocess.Popen",
        "*",
        "acme",
        "a b",
        "",
        "acme.**",
        "acme..x",
        "1a.b",
    ] {
        assert!(Vetted::new([pattern]).is_err(), "{pattern}");
    }
    let text = "# ours\nacme.models.*   # the team's\nacme.Old acme.New\n";
    assert_eq!(Vetted::parse(text).expect("a list").len(), 3);
    assert!(Vetted::parse("acme.x\nos.system\n").is_err_and(|wrong| wrong.len() == 1));
}
