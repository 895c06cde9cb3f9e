//! A hub whose name was taken, whose history was rewritten, and whose store gives other bytes than it promises.

use std::time::Duration;

use lanner::event::Sha256;

use super::rules;
use crate::peers::hub::{Repository, TOKEN, start};
use crate::support::program::Agent;
use crate::support::receiver::Receiver;
use crate::support::wait_for;

const ID: &str = "acme/ranker";

#[test]
fn attacks_on_a_hub_reach_people_and_an_ordinary_push_does_not() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let hub = start(&[(ID, &[("config.json", b"{}"), ("weights.gguf", b"GGUF\x03\0\0\0")])]);
    let receiver = Receiver::start();
    let config = format!(
        "sources:\n  huggingface: [{{name: hub, endpoint: \"{}\", repositories: [{ID}], sweep_interval_secs: 1}}]\n\
         sinks:\n  webhook: [{{name: hook, url: \"{}\"}}]\n",
        hub.url,
        receiver.url()
    );
    let agent = Agent::start(directory.path(), &config).ready();
    let registry = || rules(&receiver).into_iter().filter(|rule| rule.starts_with("REG-")).collect::<Vec<_>>();
    let repository = |edit: &dyn Fn(&mut crate::peers::hub::Repository)| {
        let mut hub = hub.hub.lock().expect("no test panics while it holds this");
        edit(hub.repositories.get_mut(ID).expect("it is there"));
    };
    let looks = || {
        let before = agent.metric("lanner_rescans_total", "source=\"hub\"");
        wait_for("two listings", Duration::from_mins(1), || {
            (agent.metric("lanner_rescans_total", "source=\"hub\"") >= before + 2.0).then_some(())
        });
    };
    // The benign twin: a push on top of the history.
    repository(&|repository| {
        repository.files.insert("config.json".to_owned(), b"{\"a\": 1}".to_vec());
        repository.push(false);
    });
    looks();
    assert_eq!(registry(), Vec::<String>::new(), "a push is nothing to tell of");

    repository(&|repository| {
        repository.files.insert("config.json".to_owned(), b"{\"a\": 2}".to_vec());
        repository.push(true);
    });
    wait_for("the rewritten history", Duration::from_mins(1), || {
        registry().iter().any(|rule| rule == "REG-006b").then_some(())
    });

    // The store gives other bytes than the hub promises.
    let (promised, given) = (b"a new model, as promised".to_vec(), b"a new model, not as such".to_vec());
    {
        let mut hub = hub.hub.lock().expect("no test panics while it holds this");
        hub.tampered.insert(Sha256::of(&promised).to_string(), given);
        let repository = hub.repositories.get_mut(ID).expect("it is there");
        repository.files.insert("new.bin".to_owned(), promised);
        repository.push(false);
    }
    wait_for("the bytes that are not as named", Duration::from_mins(1), || {
        rules(&receiver).iter().any(|rule| rule == "SCN-040").then_some(())
    });

    repository(&|repository| {
        repository.number = 7;
        repository.created = Some("2026-11-01T00:00:00.000Z".to_owned());
    });
    wait_for("the name that was taken", Duration::from_mins(1), || {
        registry().iter().any(|rule| rule == "REG-007").then_some(())
    });
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_private_repository_that_is_opened_reaches_people_and_what_is_new_or_closed_does_not() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let hub = start(&[(ID, &[("config.json", b"{}")]), ("acme/gated", &[]), ("acme/open", &[("a.bin", b"1")])]);
    let edit = |id: &str, edit: &dyn Fn(&mut Repository)| {
        let mut hub = hub.hub.lock().expect("no test panics while it holds this");
        edit(hub.repositories.get_mut(id).expect("it is there"));
    };
    edit(ID, &|repository| repository.private = true);
    edit("acme/gated", &|repository| repository.gated = "manual".into());
    std::fs::write(directory.path().join("token"), TOKEN).expect("there is space");
    let receiver = Receiver::start();
    let config = format!(
        "sources:\n  huggingface:\n    - {{name: hub, endpoint: \"{}\", repositories: [{ID}, acme/gated, acme/open], \
         authors: [acme], token_file: token, sweep_interval_secs: 1}}\n\
         sinks:\n  webhook: [{{name: hook, url: \"{}\"}}]\n",
        hub.url,
        receiver.url()
    );
    let agent = Agent::start(directory.path(), &config).ready();
    let registry = || rules(&receiver).into_iter().filter(|rule| rule.starts_with("REG-")).collect::<Vec<_>>();
    let looks = || {
        let before = agent.metric("lanner_rescans_total", "source=\"hub\"");
        wait_for("two listings", Duration::from_mins(1), || {
            (agent.metric("lanner_rescans_total", "source=\"hub\"") >= before + 2.0).then_some(())
        });
    };
    // What its scanners are still looking at, and what they only want one to be careful with.
    edit("acme/open", &|repository| repository.issues = Some(vec![("a.bin", "caution")]));
    // The benign twin: one is closed, one is made that everybody can read from its first day, one lets people in otherwise.
    edit("acme/open", &|repository| repository.private = true);
    edit("acme/gated", &|repository| repository.gated = "auto".into());
    let new = Repository { commit: "c".repeat(40), ..Repository::default() };
    hub.hub.lock().expect("no test panics while it holds this").repositories.insert("acme/new".to_owned(), new);
    looks();
    let watched = || agent.metric("lanner_source_watched", "source=\"hub\"");
    wait_for("the new repository", Duration::from_mins(1), || (watched() >= 6.0).then_some(()));
    assert_eq!(registry(), Vec::<String>::new(), "nothing was opened");

    edit(ID, &|repository| repository.private = false);
    wait_for("the opened repository", Duration::from_mins(1), || (registry() == ["REG-013b"]).then_some(()));
    edit("acme/gated", &|repository| repository.gated = false.into());
    wait_for("the gate that is gone", Duration::from_mins(1), || (registry().len() == 2).then_some(()));
    let about = || receiver.taken().iter().map(super::subject).collect::<Vec<_>>();
    assert_eq!(about(), [ID, "acme/gated"], "and nothing else");
    edit("acme/open", &|repository| repository.issues = Some(vec![("a.bin", "unsafe")]));
    wait_for("the flag of the hub", Duration::from_mins(1), || (registry().len() == 3).then_some(()));
    assert_eq!(
        (registry().last().map(String::as_str), about().last().map(String::as_str)),
        (Some("REG-017"), Some("acme/open"))
    );
    assert_eq!(agent.stop(), Some(0));
}
