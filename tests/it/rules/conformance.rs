//! The meaning of Sigma, clause by clause: `tests/cases/detect/*.yml`.

use lanner::base::yaml::{self, Node};
use lanner::detect::{self, Level, Schema};
use lanner::event::Fields;
use lanner::event::value;

use super::{detect_cases, read, rule_of};

#[test]
fn every_clause_holds() {
    let (mut failures, mut checked) = (Vec::new(), 0);
    let entries = std::fs::read_dir(detect_cases()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.is_file()).collect();
    files.sort();
    for file in files {
        let documents = yaml::parse(&read(&file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for case in documents.first().and_then(Node::as_list).expect("a list of cases") {
            checked += 1;
            let name = case.get("name").and_then(Node::as_text).expect("a case has a name");
            failures.extend(check(case, name).into_iter().map(|failure| format!("{name}: {failure}")));
        }
    }
    assert!(checked >= 200, "only {checked} cases were read");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn check(case: &Node, name: &str) -> Vec<String> {
    let detection = case.get("detection").expect("a case has a detection").to_json();
    let loaded = detect::load(&[rule_of(name, &detection)], &Schema::open());
    let rejects = case.get("rejects").and_then(Node::as_text);
    let set = match (loaded, rejects) {
        (Ok(set), None) => set,
        (Ok(_), Some(code)) => return vec![format!("was accepted, {code} expected")],
        (Err(found), None) => return found.iter().map(ToString::to_string).collect(),
        (Err(found), Some(code)) => {
            let expected = found.iter().any(|found| found.severity == Level::Error && found.code == code);
            let shown = found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            return if expected { Vec::new() } else { vec![format!("{code} expected, not\n{shown}")] };
        }
    };
    let mut failures = Vec::new();
    let mut events = 0;
    for (key, wanted) in [("match", true), ("miss", false)] {
        for event in case.get(key).and_then(Node::as_list).unwrap_or_default() {
            events += 1;
            let fields: Fields = value::from_json(event.to_json());
            if set.matches_open(&fields).is_empty() == wanted {
                failures.push(format!("{key} expected of {}", event.to_json()));
            }
        }
    }
    assert!(events > 0, "{name} asks nothing");
    failures
}
