//! Models that must be signed: the agent says when they are not, and when a signed one takes another's place.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{rule, rules, subject};
use crate::support::program::Agent;
use crate::support::receiver::Receiver;
use crate::support::{peers, wait_for};

fn openssl(root: &Path, arguments: &[&str]) {
    let status = Command::new("openssl").args(arguments).current_dir(root).status().expect("openssl is installed");
    assert!(status.success());
}

/// Signs a folder with the reference implementation.
fn sign(root: &Path, model: &str) {
    let status = Command::new(peers().join("venv/bin/model_signing"))
        .args(["sign", "key", model, "--private_key", "site.key", "--signature", &format!("{model}/model.sig")])
        .current_dir(root)
        .status()
        .expect("model_signing is installed: run `make peers`");
    assert!(status.success(), "it signs");
}

#[test]
fn signatures_are_asked_for_and_exchanged_models_are_told() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    openssl(root, &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "site.key"]);
    openssl(root, &["pkey", "-in", "site.key", "-pubout", "-out", "site.pub"]);
    for (model, text) in [("fraud", "one"), ("ranker", "two"), ("plain", "three")] {
        let folder = root.join("models").join(model);
        std::fs::create_dir_all(&folder).expect("it is empty");
        std::fs::write(folder.join("weights.bin"), text).expect("there is space");
    }
    sign(root, "models/fraud");
    sign(root, "models/ranker");
    let receiver = Receiver::start();
    let models = root.join("models").display().to_string();
    let config = format!(
        "sources: {{filesystem: [{{name: models, paths: [models], settle_millis: 50}}]}}\n\
         signatures:\n  rules:\n    - {{match: [\"{models}/plain\"], enforcement: warn, signers: [{{public_key: \"{root}/site.pub\"}}]}}\n\
         \x20   - {{match: [\"{models}/*\"], signers: [{{public_key: \"{root}/site.pub\"}}]}}\n\
         sinks: {{webhook: [{{name: hook, url: \"{}\"}}]}}\n",
        receiver.url(),
        root = root.display(),
    );
    let agent = Agent::start(root, &config).ready();
    wait_for("the one without a signature", Duration::from_secs(60), || {
        (rules(&receiver) == ["SIG-003"]).then_some(())
    });

    // One file of a signed model is overwritten.
    std::fs::write(root.join("models/fraud/weights.bin"), "evil").expect("there is space");
    wait_for("the file that differs", Duration::from_secs(60), || {
        let taken = receiver.taken();
        let delivery = taken.iter().find(|delivery| rule(delivery) == "SIG-001")?;
        assert!(subject(delivery).ends_with("models/fraud"));
        let text = delivery.json().to_string();
        assert!(text.contains("digest_mismatch") && text.contains("weights.bin"), "{text}");
        Some(())
    });
    assert_eq!(agent.stop(), Some(0));

    // A valid signature of another model, once the policy knows whose is whose.
    let root_of = |model: &str| -> String {
        let output = crate::support::program::lanner_in(
            root,
            &["verify", model, "--public-key", "site.pub", "--format", "json"],
        );
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it answers JSON");
        json["root_digest"].as_str().expect("it has one").trim_start_matches("sha256:").to_owned()
    };
    let ranker = root_of("models/ranker");
    std::fs::remove_dir_all(root.join("models/fraud")).expect("it is there");
    std::fs::create_dir(root.join("models/fraud")).expect("it is gone");
    for file in ["weights.bin", "model.sig"] {
        std::fs::copy(root.join("models/ranker").join(file), root.join("models/fraud").join(file))
            .expect("it is there");
    }
    let subjects = format!("signers: [{{public_key: \"{}/site.pub\"}}], subjects: [", root.display());
    let wanted = "0".repeat(64);
    let config = config.replace(
        &format!("    - {{match: [\"{models}/*\"]"),
        &format!(
            "    - {{match: [\"{models}/fraud\"], {subjects}\"{wanted}\"]}}\n    - {{match: [\"{models}/ranker\"], {subjects}\"{ranker}\"]}}\n    - {{match: [\"{models}/*\"]"
        ),
    );
    let agent = Agent::start(root, &config).ready();
    wait_for("the exchanged model", Duration::from_secs(60), || {
        let taken = receiver.taken();
        let delivery = taken.iter().find(|delivery| rule(delivery) == "SIG-002")?;
        let text = delivery.json().to_string();
        assert!(text.contains("subject_mismatch") && text.contains("ranker"), "it says whose it is: {text}");
        Some(())
    });
    assert!(!receiver.taken().iter().any(|delivery| subject(delivery).ends_with("models/ranker")), "ranker is fine");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn models_that_come_go_or_lie_behind_links_are_told_and_so_is_what_cannot_be_seen() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    openssl(root, &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "site.key"]);
    openssl(root, &["pkey", "-in", "site.key", "-pubout", "-out", "site.pub"]);
    let model = |path: &str| {
        std::fs::create_dir_all(root.join(path)).expect("it is empty");
        std::fs::write(root.join(path).join("weights.bin"), "one").expect("there is space");
    };
    model("models/plain");
    model("elsewhere/ranker");
    // The name of a signature makes none of a folder, only of a file.
    model("models/evil.sig");
    std::fs::write(root.join("models/plain.sig"), "{}").expect("there is space");
    std::fs::create_dir(root.join("linked")).expect("it is empty");
    for (link, target) in [("linked/team", "../elsewhere"), ("elsewhere/back", "../linked"), ("linked/self", ".")] {
        std::os::unix::fs::symlink(target, root.join(link)).expect("a link can be made");
    }
    let receiver = Receiver::start();
    let here = root.display();
    let config = format!(
        "sources: {{filesystem: [{{name: models, paths: [models], settle_millis: 50}}]}}\n\
         signatures:\n  rules:\n    - {{match: [\"{here}/models/*\", \"{here}/linked/*/ranker\"], signers: [{{public_key: \"{here}/site.pub\"}}]}}\n\
         sinks: {{webhook: [{{name: hook, url: \"{}\"}}]}}\n",
        receiver.url(),
    );
    let tells = |wanted: &str, name: &str| {
        wait_for(&format!("{wanted} about {name}"), Duration::from_secs(30), || {
            let taken = receiver.taken();
            let mut all = taken.iter().filter(|delivery| rule(delivery) == wanted);
            all.any(|delivery| delivery.json().to_string().contains(name)).then_some(())
        });
    };
    let agent = Agent::start(root, &config).ready();
    tells("SIG-001", "models/plain");
    tells("SIG-001", "linked/team/ranker");
    tells("SIG-001", "models/evil.sig");
    // Long before all is walked again.
    model("models/late");
    tells("SIG-001", "models/late");
    std::fs::remove_dir_all(root.join("models/plain")).expect("it is there");
    tells("SIG-004", "models/plain");
    model("models/plain");
    wait_for("the one that is back", Duration::from_secs(30), || {
        let taken = receiver.taken();
        let about = |delivery: &&crate::support::receiver::Delivery| {
            rule(delivery) == "SIG-001" && subject(delivery).ends_with("models/plain")
        };
        (taken.iter().filter(about).count() == 2).then_some(())
    });
    assert!(!receiver.taken().iter().any(|delivery| subject(delivery).ends_with("plain.sig")), "it is a signature");
    assert!(!rules(&receiver).iter().any(|rule| rule == "HLT-001"), "all of it can be seen");

    // The folder of all models is away: nobody knows whether they are gone.
    std::fs::rename(root.join("models"), root.join("away")).expect("it is there");
    tells("HLT-001", "signatures");
    std::fs::rename(root.join("away"), root.join("models")).expect("it is there");
    assert_eq!(agent.stop(), Some(0));
    let gone = receiver.taken().iter().filter(|delivery| rule(delivery) == "SIG-004").count();
    assert_eq!(gone, 1, "what cannot be seen is not gone");
}

#[test]
fn a_signed_model_that_takes_for_ever_to_read_holds_up_no_other() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path();
    openssl(root, &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "site.key"]);
    openssl(root, &["pkey", "-in", "site.key", "-pubout", "-out", "site.pub"]);
    std::fs::create_dir_all(root.join("models/fraud")).expect("it is empty");
    std::fs::write(root.join("models/fraud/weights.bin"), "one").expect("there is space");
    sign(root, "models/fraud");
    let receiver = Receiver::start();
    let here = root.display();
    let config = format!(
        "inspection: {{timeout_secs: 12}}\nsources: {{filesystem: [{{name: site, paths: [elsewhere]}}]}}\n\
         signatures:\n  rules:\n    - {{match: [\"{here}/models/*\"], signers: [{{public_key: \"{here}/site.pub\"}}]}}\n\
         sinks: {{webhook: [{{name: hook, url: \"{}\"}}]}}\n",
        receiver.url(),
    );
    std::fs::create_dir(root.join("elsewhere")).expect("it is empty");
    let agent = Agent::start(root, &config).ready();
    std::thread::sleep(Duration::from_secs(2));
    std::fs::File::create(root.join("models/fraud/weights.bin"))
        .and_then(|file| file.set_len(4 << 40))
        .expect("the file system knows holes");
    std::thread::sleep(Duration::from_secs(2));
    let about = |name: &str, what: &str| {
        let taken = receiver.taken();
        let mut all = taken.iter().filter(|delivery| rule(delivery) == "SIG-001" && subject(delivery).ends_with(name));
        all.any(|delivery| delivery.json().to_string().contains(what))
    };
    // Bytes of a name that is no text, too: told once.
    for name in [b"plain".as_slice(), b"odd-\xff"] {
        let folder = root.join("models").join(std::ffi::OsStr::from_bytes(name));
        std::fs::create_dir(&folder).expect("it is new");
        std::fs::write(folder.join("weights.bin"), "two").expect("there is space");
    }
    wait_for("another model that is not signed", Duration::from_secs(6), || {
        about("models/plain", "unsigned").then_some(())
    });
    assert!(!about("models/fraud", ""), "while the large one is read");
    wait_for("the one that takes too long", Duration::from_secs(20), || {
        about("models/fraud", "took longer than").then_some(())
    });
    let odd = receiver.taken().iter().filter(|delivery| subject(delivery).contains("odd-")).count();
    assert_eq!(odd, 1);
    assert_eq!(agent.stop(), Some(0));
}
