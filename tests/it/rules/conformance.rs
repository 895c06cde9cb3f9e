//! The meaning of Sigma, clause by clause: `tests/cases/detect/*.yml`.
//!
//! A case names the clause and has either a `detection` or whole `rules`; lists of `values` for
//! `expand`; and events that must `match` some rule or `miss` all, or the code with which it `rejects`
//! or `warns`.

use lanner::base::yaml::{self, Node};
use lanner::detect::{Level, Loader, RuleSet, Schema, Source, Values};
use lanner::event::{Fields, Value, value};

use super::{detect_cases, read, rule_of};

#[test]
fn every_clause_holds() {
    let (mut failures, mut checked) = (Vec::new(), 0);
    let mut names = std::collections::BTreeSet::new();
    let entries = std::fs::read_dir(detect_cases()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.is_file()).collect();
    files.sort();
    for file in files {
        let documents = yaml::parse(&read(&file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for case in documents.first().and_then(Node::as_list).expect("a list of cases") {
            checked += 1;
            let name = case.get("name").and_then(Node::as_text).expect("a case has a name");
            let clause = case.get("clause").and_then(Node::as_text).unwrap_or_else(|| panic!("{name}: which clause?"));
            assert!(names.insert((clause.to_owned(), name.to_owned())), "{clause}: {name} is there twice");
            failures.extend(check(case, name).into_iter().map(|failure| format!("{clause}: {name}: {failure}")));
        }
    }
    assert!(checked >= 300, "only {checked} cases were read");
    assert!(failures.is_empty(), "{} of {checked}:\n{}", failures.len(), failures.join("\n"));
}

/// Every document of a case is a file of its own, but for those of one rule alone.
fn sources(case: &Node, name: &str) -> Vec<Source> {
    if let Some(detection) = case.get("detection") {
        return vec![rule_of(name, &detection.to_json())];
    }
    let rules = case.get("rules").and_then(Node::as_list).expect("a case has a detection or rules");
    let source = |(index, rule): (usize, &Node)| Source::new(format!("{index}.yml"), rule.to_json().to_string());
    rules.iter().enumerate().map(source).collect()
}

fn loader(case: &Node) -> Loader {
    let mut values = Values::default();
    for (name, list) in case.get("values").and_then(Node::as_map).unwrap_or_default() {
        let list = list.as_list().expect("values are lists").iter().map(|value| Value::from(value.to_json()));
        values.insert(name.as_text().expect("lists have names"), list.collect()).expect("a list of values");
    }
    Loader { schema: Schema::open(), values }
}

fn check(case: &Node, name: &str) -> Vec<String> {
    let loaded = loader(case).load(&sources(case, name));
    let code = |key| case.get(key).and_then(Node::as_text);
    let set = match (loaded, code("rejects")) {
        (Ok(set), None) => set,
        (Ok(_), Some(code)) => return vec![format!("was accepted, {code} expected")],
        (Err(found), None) => return found.iter().map(ToString::to_string).collect(),
        (Err(found), Some(code)) => {
            let expected = found.iter().any(|found| found.severity == Level::Error && found.code == code);
            let shown = found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            return if expected { Vec::new() } else { vec![format!("{code} expected, not\n{shown}")] };
        }
    };
    let mut failures = events(case, name, &set);
    if let Some(code) = code("warns")
        && !set.warnings().iter().any(|warning| warning.code == code)
    {
        failures.push(format!("no warning {code}"));
    }
    failures
}

fn events(case: &Node, name: &str, set: &RuleSet) -> Vec<String> {
    let mut failures = Vec::new();
    let mut asked = 0;
    for (key, wanted) in [("match", true), ("miss", false)] {
        for event in case.get(key).and_then(Node::as_list).unwrap_or_default() {
            asked += 1;
            let fields: Fields = value::from_json(event.to_json());
            let json = set.json_hits(&event.to_json().to_string(), None).expect("it is JSON");
            for (way, hits) in [("plain", set.plain_hits(&fields)), ("program", set.open_hits(&fields)), ("JSON", json)]
            {
                let loud = hits.iter().any(|number| set.rule(*number).is_some_and(|rule| !rule.silent));
                if loud != wanted {
                    failures.push(format!("{key} expected ({way}) of {}", event.to_json()));
                }
            }
        }
    }
    assert!(asked > 0, "{name} asks nothing");
    failures
}
