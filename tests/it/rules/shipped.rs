//! The rules that come with the program.

use std::collections::BTreeSet;
use std::path::Path;

use lanner::detect::{self, RuleSet, catalogue, shipped};
use lanner::event::atlas;
use regex::Regex;

use super::declared;

fn load() -> RuleSet {
    detect::load(&shipped::sources(), &declared())
        .unwrap_or_else(|found| panic!("{}", found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))
}

#[test]
fn they_load_without_a_warning() {
    let set = load();
    let warnings: Vec<_> = set.warnings().iter().map(ToString::to_string).collect();
    assert!(warnings.is_empty(), "{}", warnings.join("\n"));
}

#[test]
fn their_own_tests_pass() {
    let failures: Vec<_> = load().test().iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn each_has_two_hits_and_two_misses() {
    for rule in load().rules() {
        let hits = rule.tests.iter().filter(|test| test.matches).count();
        assert!(hits >= 2, "{} has {hits} hits", rule.display_id());
        assert!(rule.tests.len() - hits >= 2, "{} has too few misses", rule.display_id());
        let names: BTreeSet<_> = rule.tests.iter().map(|test| &test.name).collect();
        assert_eq!(names.len(), rule.tests.len(), "{} names two tests alike", rule.display_id());
    }
}

#[test]
fn every_rule_that_was_planned_is_there() {
    let set = load();
    let planned = [
        "REG-001", "REG-002", "REG-003", "REG-005", "REG-006", "REG-013", "REG-014", "SCN-001", "SCN-002", "SCN-003",
        "SCN-004", "SCN-005", "SCN-006", "SCN-007", "SCN-008", "SCN-010", "SCN-011", "SCN-012", "SCN-013", "SCN-015",
        "SCN-016", "SCN-017", "SCN-020", "SCN-021", "DIF-001", "DIF-002", "DIF-003", "DIF-005", "DIF-007", "DIF-009",
        "TRN-001", "TRN-002", "TRN-003", "TRN-004", "TRN-005", "TRN-006", "TRN-013",
    ];
    let missing: Vec<_> = planned.iter().filter(|id| set.find(id).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn they_name_known_atlas_ids_a_phase_and_a_mitigation() {
    for rule in load().rules() {
        let id = rule.display_id();
        assert!(!rule.atlas.is_empty() && !rule.mitigations.is_empty() && rule.phase.is_some(), "{id}");
        assert_eq!(rule.atlas_version.as_deref(), Some(atlas::VERSION), "{id}");
        let names = rule.atlas.iter().map(ToString::to_string).chain(rule.mitigations.iter().map(ToString::to_string));
        for name in names {
            let entry = catalogue::find(&name).unwrap_or_else(|| panic!("{id} names {name}"));
            assert_eq!(entry.replaced_by, None, "{id} names {name}, which is retired");
        }
        assert!(!rule.description.is_empty() && !rule.falsepositives.is_empty(), "{id}");
    }
}

#[test]
fn their_tags_pass_the_schema_of_sigma() {
    let well_formed = Regex::new(r"^[a-z0-9_-]+\.[a-z0-9._-]+$").unwrap();
    for rule in load().rules() {
        for tag in &rule.tags {
            assert!(well_formed.is_match(tag), "{}: {tag}", rule.display_id());
            assert!(tag.starts_with("atlas.aml.") || tag.starts_with("attack.t"), "{}: {tag}", rule.display_id());
        }
    }
}

#[test]
fn their_files_are_named_for_them() {
    for rule in load().rules() {
        let path = Path::new(&rule.path);
        let stem = path.file_stem().unwrap().to_string_lossy();
        assert!(stem.starts_with(&format!("{}-", rule.display_id().to_lowercase())), "{}", rule.path);
        let folder = path.parent().unwrap().file_name().unwrap().to_string_lossy().replace('-', "_");
        let category = rule.logsource.category.clone().unwrap();
        let expected = if category == "model_registry" { "registry".to_owned() } else { category };
        assert_eq!(folder, expected, "{}", rule.path);
    }
}

#[test]
fn every_file_of_the_folder_is_embedded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let on_disk = walkdir::WalkDir::new(root.join("detections"))
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .count();
    assert_eq!(shipped::sources().len(), on_disk);
    assert!(on_disk >= 32);
}

#[test]
fn the_catalogue_is_whole() {
    let kinds = [("AML.TA", 16), ("AML.M", 40), ("AML.T0", 211)];
    for (prefix, count) in kinds {
        assert_eq!(catalogue::all().filter(|entry| entry.id.starts_with(prefix)).count(), count, "{prefix}");
    }
    assert_eq!(catalogue::from_tag("atlas.aml.t0018.002").map(|entry| entry.id), Some("AML.T0018.002"));
    assert_eq!(catalogue::from_tag("atlas.t0018").map(|entry| entry.id), Some("AML.T0018"));
    assert_eq!(catalogue::from_tag("attack.t0018"), None);
}
