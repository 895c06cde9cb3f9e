//! The cache of the hub's own client, filled by it: what it does is silent, and what others do to it is told.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lanner::event::Sha256;

use super::{rules, subject};
use crate::peers::hub::{Running, start};
use crate::support::program::{Agent, lanner_in, stderr, stdout};
use crate::support::receiver::Receiver;
use crate::support::{python, wait_for};

const ID: &str = "acme/ranker";

/// Downloads with the hub's own client; with or without links, or into a folder of its own.
fn download(hub: &Running, home: &Path, how: &str) {
    let script = "
import sys
import huggingface_hub
from huggingface_hub import file_download, hf_hub_download, snapshot_download
how = sys.argv[1]
if how == 'without links':
    file_download.are_symlinks_supported = lambda *_, **__: False
if how == 'one':
    hf_hub_download('acme/ranker', 'config.json')
elif how == 'folder':
    snapshot_download('acme/ranker', local_dir=sys.argv[2])
else:
    snapshot_download('acme/ranker')
";
    let output = Command::new(python())
        .args(["-c", script, how])
        .arg(home.join("folder"))
        .env("HF_ENDPOINT", &hub.url)
        .env("HF_HOME", home.join(how))
        .env("HF_HUB_DISABLE_TELEMETRY", "1")
        .env("HF_HUB_DISABLE_XET", "1")
        .output()
        .expect("Python can be run");
    assert!(output.status.success(), "{}", stderr(&output));
}

fn snapshots(home: &Path, how: &str) -> Vec<PathBuf> {
    let folder = home.join(how).join("hub/models--acme--ranker/snapshots");
    let entries = std::fs::read_dir(&folder).expect("it was downloaded");
    entries.map(|entry| entry.expect("it can be read").path()).collect()
}

#[test]
fn what_the_hubs_own_client_does_is_silent_and_what_others_do_to_its_cache_is_told() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let home = directory.path().join("home");
    let files: [(&str, &[u8]); 5] = [
        ("config.json", b"{}"),
        ("modeling.py", b"x = 1\n"),
        ("model.safetensors", b"\x02\0\0\0\0\0\0\0{}"),
        ("other.safetensors", b"\x04\0\0\0\0\0\0\0{  }"),
        ("sub/code.py", b"y = 2\n"),
    ];
    let hub = start(&[(ID, &files)]);
    // What was there when the agent came.
    download(&hub, &home, "links");
    let receiver = Receiver::start();
    let config = format!(
        "sources:\n  filesystem: [{{name: cache, paths: [home], sweep_interval_secs: 1, settle_millis: 100}}]\n\
         sinks:\n  webhook: [{{name: hook, url: \"{}\"}}]\n",
        receiver.url()
    );
    let agent = Agent::start(directory.path(), &config).ready();
    let looks = |agent: &Agent| {
        let before = agent.metric("lanner_rescans_total", "source=\"cache\"");
        wait_for("three walks", Duration::from_mins(1), || {
            (agent.metric("lanner_rescans_total", "source=\"cache\"") >= before + 3.0).then_some(())
        });
    };
    // The benign twins: the client itself, in all its ways, and a new commit that brings code.
    download(&hub, &home, "one");
    download(&hub, &home, "without links");
    download(&hub, &home, "folder");
    {
        let mut hub = hub.hub.lock().expect("no test panics while it holds this");
        let repository = hub.repositories.get_mut(ID).expect("it is there");
        repository.files.insert("new.py".to_owned(), b"z = 3\n".to_vec());
        repository.push(false);
    }
    let first = snapshots(&home, "links").remove(0);
    download(&hub, &home, "links");
    let status = Command::new("cp").args(["-rL"]).arg(home.join("links")).arg(home.join("copied")).status();
    assert!(status.expect("cp can be run").success());
    looks(&agent);
    let told = || {
        let cached = receiver.taken().into_iter().map(|one| (super::rule(&one), subject(&one)));
        cached.filter(|(rule, _)| rule.starts_with("SCN-040")).collect::<BTreeSet<_>>()
    };
    assert_eq!(told(), BTreeSet::new(), "{:?}", rules(&receiver));

    // Code changed where it lies, by way of a link; of one that nobody listed as well.
    std::fs::write(first.join("modeling.py"), b"x = 2\n").expect("there is space");
    let lone = snapshots(&home, "one").remove(0);
    std::fs::write(lone.join("config.json"), b"{\"a\": 1}").expect("there is space");
    // A link that is led to another blob of the same repository.
    let other = std::fs::read_link(first.join("other.safetensors")).expect("it is a link");
    std::fs::remove_file(first.join("model.safetensors")).expect("it is there");
    std::os::unix::fs::symlink(other, first.join("model.safetensors")).expect("there is space");
    // A link that is replaced by a file, code that is put there, and a large file without links.
    std::fs::write(directory.path().join("evil.py"), b"y = 3\n").expect("there is space");
    std::fs::rename(directory.path().join("evil.py"), first.join("sub/code.py")).expect("it is the same disk");
    std::fs::write(first.join("planted.py"), b"p = 1\n").expect("there is space");
    std::fs::write(lone.join("planted.py"), b"p = 1\n").expect("there is space");
    let plain = snapshots(&home, "without links").remove(0);
    std::fs::write(plain.join("model.safetensors"), b"\x03\0\0\0\0\0\0\0{ }").expect("there is space");
    let new = snapshots(&home, "links").into_iter().find(|one| *one != first).expect("there are two");
    let expected: BTreeSet<(String, String)> = [
        ("SCN-040c", first.join("modeling.py")),
        // Each snapshot leads to the same blob.
        ("SCN-040c", new.join("modeling.py")),
        ("SCN-040c", lone.join("config.json")),
        ("SCN-040c", first.join("model.safetensors")),
        ("SCN-040c", first.join("sub/code.py")),
        ("SCN-040d", first.join("sub/code.py")),
        ("SCN-040d", first.join("planted.py")),
        ("SCN-040d", lone.join("planted.py")),
        ("SCN-040", plain.join("model.safetensors")),
    ]
    .map(|(rule, path)| (rule.to_owned(), path.display().to_string()))
    .into();
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    while told() != expected && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
    }
    looks(&agent);
    assert_eq!(told(), expected);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_cache_is_held_against_its_own_names() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let repository = directory.path().join("hub/models--acme--ranker");
    let snapshot = repository.join("snapshots/0123456789012345678901234567890123456789");
    let make = |folder: &std::path::Path| std::fs::create_dir_all(folder).expect("there is space");
    make(&snapshot);
    make(&repository.join("blobs"));
    let cached = |name: &str, bytes: &[u8]| {
        let blob = Sha256::of(bytes).to_string();
        std::fs::write(repository.join("blobs").join(&blob), bytes).expect("there is space");
        std::os::unix::fs::symlink(format!("../../blobs/{blob}"), snapshot.join(name)).expect("there is space");
        repository.join("blobs").join(blob)
    };
    cached("sound.bin", b"as it was fetched");
    let tampered = cached("model.bin", b"as it was fetched too");
    let receiver = Receiver::start();
    let config = format!(
        "sources:\n  filesystem: [{{name: cache, paths: [hub], sweep_interval_secs: 1, settle_millis: 100}}]\n\
         sinks:\n  webhook: [{{name: hook, url: \"{}\"}}]\n",
        receiver.url()
    );
    let agent = Agent::start(directory.path(), &config).ready();
    let told = || rules(&receiver).into_iter().filter(|rule| rule.starts_with("SCN-040")).collect::<Vec<_>>();
    // Bytes change only where others were read before.
    wait_for("both files to be read", Duration::from_mins(1), || {
        let verb = ["inventory", "--config", "lanner.yaml", "--format", "json", "list"];
        let listed = stdout(&lanner_in(directory.path(), &verb));
        (listed.matches("\"sha256\":\"").count() >= 2).then_some(())
    });
    assert_eq!(told(), Vec::<String>::new(), "what was fetched is as it is named");
    std::fs::write(tampered, b"as somebody wishes it").expect("there is space");
    // And a file of a commit never has other bytes than before.
    wait_for("the blob that is not as named", Duration::from_mins(1), || {
        (BTreeSet::from_iter(told()) == BTreeSet::from(["SCN-040", "SCN-040h"].map(str::to_owned))).then_some(())
    });
    // A link that leads out of its repository.
    std::fs::write(directory.path().join("elsewhere.bin"), b"from elsewhere").expect("there is space");
    std::os::unix::fs::symlink(directory.path().join("elsewhere.bin"), snapshot.join("other.bin"))
        .expect("there is space");
    wait_for("the link that leads elsewhere", Duration::from_mins(1), || {
        told().iter().any(|rule| rule == "SCN-040b").then_some(())
    });
    // Neither a folder that is called alike nor a link to a folder hides where a file lies.
    let before = told().len();
    make(&snapshot.join("snapshots"));
    make(&directory.path().join("elsewhere"));
    std::fs::write(directory.path().join("elsewhere/behind.bin"), b"behind a folder").expect("there is space");
    std::os::unix::fs::symlink(directory.path().join("elsewhere.bin"), snapshot.join("snapshots/nested.bin"))
        .expect("there is space");
    std::os::unix::fs::symlink(directory.path().join("elsewhere"), snapshot.join("folder")).expect("there is space");
    wait_for("both hidden ones", Duration::from_mins(1), || {
        (told().iter().filter(|rule| *rule == "SCN-040b").count() >= 3 && told().len() >= before + 2).then_some(())
    });
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_cache_that_was_made_to_look_right_is_held_against_the_hub() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let home = directory.path().join("home");
    let good: &[u8] = b"\x02\0\0\0\0\0\0\0{}";
    let hub = start(&[(ID, &[("config.json", b"{}"), ("model.safetensors", good)])]);
    download(&hub, &home, "links");
    let receiver = Receiver::start();
    let config = format!(
        "sources:\n  filesystem: [{{name: cache, paths: [home], sweep_interval_secs: 1, settle_millis: 100}}]\n  \
         huggingface: [{{name: hub, endpoint: \"{}\", repositories: [{ID}], sweep_interval_secs: 1, fetch: [none]}}]\n\
         sinks:\n  webhook: [{{name: hook, url: \"{}\"}}]\n",
        hub.url,
        receiver.url()
    );
    let agent = Agent::start(directory.path(), &config).ready();
    let looks = || {
        for source in ["source=\"cache\"", "source=\"hub\""] {
            let before = agent.metric("lanner_rescans_total", source);
            wait_for("two listings", Duration::from_mins(1), || {
                (agent.metric("lanner_rescans_total", source) >= before + 2.0).then_some(())
            });
        }
    };
    looks();
    assert_eq!(rules(&receiver), Vec::<String>::new(), "the cache is as the hub has it");

    // Everything in it agrees: the blob is named by its digest, the link leads there, the listing says so.
    let evil: &[u8] = b"\x04\0\0\0\0\0\0\0{  }";
    let snapshot = snapshots(&home, "links").remove(0);
    let repository = snapshot.ancestors().nth(2).expect("it lies in a repository");
    std::fs::write(repository.join("blobs").join(Sha256::of(evil).to_string()), evil).expect("there is space");
    let commit = snapshot.file_name().and_then(std::ffi::OsStr::to_str).expect("it is named by its commit");
    let listing = repository.join("trees").join(format!("{commit}.json"));
    let text = std::fs::read_to_string(&listing).expect("the client listed it");
    let text = text.replace(&Sha256::of(good).to_string(), &Sha256::of(evil).to_string());
    std::fs::write(&listing, text).expect("there is space");
    let link = snapshot.join("model.safetensors");
    std::fs::remove_file(&link).expect("it is there");
    std::os::unix::fs::symlink(format!("../../blobs/{}", Sha256::of(evil)), &link).expect("there is space");
    let alert = wait_for("the alert", Duration::from_mins(1), || {
        receiver.taken().into_iter().find(|delivery| super::rule(delivery) == "REG-001b")
    });
    assert_eq!(subject(&alert), link.display().to_string());
    let text = alert.json().to_string();
    for digest in [good, evil] {
        assert!(text.contains(&Sha256::of(digest).to_string()), "{text}");
    }
    looks();
    assert!(!rules(&receiver).iter().any(|rule| rule.starts_with("SCN-040")), "in itself it is right");
    assert_eq!(agent.stop(), Some(0));
}
