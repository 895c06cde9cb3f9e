//! What Lanner itself sees, and rules about it: those that are shipped, and more in their manner.

use lanner::detect::{Source, shipped};

use super::Dice;
use super::words::coin;

/// So many rules: the shipped ones first.
pub fn rules(count: usize) -> Vec<Source> {
    let mut rules = shipped::sources();
    let mut dice = Dice::new(0xa71a5);
    while rules.len() < count {
        let number = rules.len();
        rules.push(Source::new(format!("more-{number}.yml"), one(number, &mut dice)));
    }
    rules.truncate(count);
    rules
}

/// What rules of each category ask about.
const ASKED: [(&str, &str, &str); 6] = [
    ("artifact_scan", "artifact.pickle.globals", "startswith"),
    ("artifact_scan", "artifact.strings.urls", "contains"),
    ("artifact_change", "artifact.path", "endswith"),
    ("model_registry", "ml.model.name", "contains"),
    ("training_log", "log.line", "contains"),
    ("artifact_diff", "artifact.diff.added", "contains"),
];

fn one(number: usize, dice: &mut Dice) -> String {
    let (category, field, modifier) = ASKED[dice.below(ASKED.len())];
    let values: Vec<String> =
        (0..dice.between(2, 12)).map(|_| format!("            - '{}.{}'\n", coin(dice), coin(dice))).collect();
    let values = values.concat();
    format!(
        "title: More {number}\nid: {number:08x}-0000-4000-9000-000000000000\nlogsource:\n    category: {category}\n\
         detection:\n    selection:\n        {field}|{modifier}:\n{values}    filter:\n        \
         event.provider: '{}'\n    condition: selection and not filter\nlevel: medium\n",
        coin(dice)
    )
}

/// So many events of five kinds in turn, some 850 bytes each: the category, and flat JSON.
pub fn events(count: usize) -> Vec<(&'static str, String)> {
    let mut dice = Dice::new(0xcafe);
    (0..count).map(|number| one_event(number, &mut dice)).collect()
}

fn one_event(number: usize, dice: &mut Dice) -> (&'static str, String) {
    let digest: String = (0..64).map(|_| char::from(b"0123456789abcdef"[dice.below(16)])).collect();
    let name = format!("{}-{}", coin(dice), coin(dice));
    let mut event = serde_json::json!({
        "@timestamp": "2026-11-21T07:59:01.337Z", "event.id": format!("{number:032x}"), "event.provider": "models",
        "host.name": format!("node-{}", dice.below(400)), "k8s.namespace.name": "training",
        "k8s.pod.name": format!("{name}-{}", dice.below(1000)), "artifact.hash": format!("sha256:{digest}"),
        "subject.name": format!("/mnt/models/{name}/{}/model.safetensors", dice.below(90)),
    });
    let (category, more) = match number % 5 {
        0 => (
            "artifact_change",
            serde_json::json!({
                "event.dataset": "filesystem", "event.action": "modified", "artifact.path": format!("/mnt/models/{name}/model.safetensors"),
                "artifact.size": dice.below(1 << 30), "artifact.format": "safetensors", "artifact.previous_hash": format!("sha256:{digest}"),
                "artifact.mtime": "2026-11-21T07:59:01.337Z", "file.owner": "1000", "file.mode": "0644",
                "file.inode": dice.below(1 << 30), "artifact.shard.index": 1, "artifact.shard.count": 4,
                "ml.model.name": name, "ml.framework.name": "pytorch", "source.listing": "hint",
            }),
        ),
        1 => (
            "artifact_scan",
            serde_json::json!({
                "event.dataset": "filesystem", "event.action": "inspected", "artifact.format": "pytorch", "artifact.size": dice.below(1 << 30),
                "artifact.pickle.globals": ["collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch.FloatStorage", "numpy.core.multiarray.scalar"],
                "artifact.pickle.protocol": 2, "artifact.pickle.opcodes": dice.below(10_000), "artifact.container.members": dice.below(900),
                "artifact.path": format!("/mnt/models/{name}/pytorch_model.bin"), "artifact.inspection.outcome": "complete",
            }),
        ),
        2 => (
            "model_registry",
            serde_json::json!({
                "event.dataset": "mlflow", "event.action": "version.created", "ml.model.name": name, "ml.model.version": "17",
                "ml.model.aliases": ["champion", "challenger"], "ml.model.source": format!("mlflow-artifacts:/1/{digest}/artifacts/model"),
                "ml.run.id": digest.get(..32), "user.name": "trainer", "ml.model.tags.team": "vision", "ml.model.stage": "None",
                "ml.model.description": "A model that was trained on last week's data and passed the gate for quality.",
            }),
        ),
        3 => (
            "training_log",
            serde_json::json!({
                "event.dataset": "kubernetes", "log.line": format!("epoch {} step {}: loss={}.{} lr=0.0003 throughput={} samples/s eta 0:12:44 ckpt=/mnt/models/{name}/step-{}.pt gpu_mem=39.2GiB grad_norm=1.02", dice.below(90), dice.below(90_000), dice.below(9), dice.below(9_999), dice.below(4_000), dice.below(90_000)),
                "log.file.path": format!("/var/log/pods/training_{name}/trainer/0.log"), "log.iostream": "stdout",
                "k8s.container.name": "trainer", "container.id": digest, "job.name": name, "job.framework": "pytorch",
            }),
        ),
        _ => (
            "artifact_diff",
            serde_json::json!({
                "event.dataset": "mlflow", "event.action": "compared", "artifact.format": "safetensors",
                "artifact.diff.changed_tensors": dice.below(300), "artifact.diff.added": ["lm_head.weight", "model.embed_tokens.weight"],
                "artifact.diff.removed": [], "artifact.diff.share": 0.02, "artifact.previous_hash": format!("sha256:{digest}"),
                "ml.model.name": name, "ml.model.version": "18", "artifact.path": format!("{name}/model.safetensors"),
            }),
        ),
    };
    let members = event.as_object_mut().expect("it is an object");
    members.insert("event.category".to_owned(), category.into());
    members.extend(more.as_object().expect("it is an object").clone());
    (category, event.to_string())
}
