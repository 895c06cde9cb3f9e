//! A change against what was said of it: who announced it, what they claim it is, and whether the bytes agree.

use std::sync::LazyLock;

use regex::Regex;

use crate::event::{Difference, Fields, Grade, Sha256, Value};
use crate::sources::{Record, RecordKind};
use crate::state::{Placed, Stand, Standing, Worth};

/// What the inventory knows about bytes that came, and about those that were there before.
#[derive(Debug, Default)]
pub struct Knowledge {
    /// How the new bytes stand where they lie; `None` while nothing was ever approved.
    pub new: Option<Stand>,
    /// The bytes that were last at this place, also when nothing was there in between.
    pub stood: Option<Sha256>,
    /// How they stand.
    pub old: Option<Stand>,
    /// Places that hold the new bytes.
    pub places: Vec<Placed>,
    /// Places that hold the bytes with which they are compared.
    pub old_places: Vec<Placed>,
}

impl Knowledge {
    fn old_standing(&self) -> Option<&Standing> {
        self.old.as_ref().and_then(|stand| stand.standing.as_ref())
    }

    /// The bytes are what was approved for this place.
    pub fn is_approved(&self) -> bool {
        self.new.as_ref().is_some_and(|stand| stand.worth == Worth::Approved)
    }
}

/// The model that a place serves, by its configuration.
pub fn served(attributes: &Fields) -> Option<&str> {
    let served = matches!(attributes.get("file.served"), Some(Value::Bool(true)));
    served.then(|| attributes.get("ml.model.name").and_then(Value::as_text)).flatten()
}

/// Fields of every event that tells of the change: how the bytes stand, and who announced them; and what they are
/// claimed to be.
pub fn fields(record: &Record, knowledge: &Knowledge, silent: bool) -> (Fields, Vec<&'static str>) {
    let mut fields = Fields::new();
    if let Some(new) = &knowledge.new {
        fields.extend(standing_fields(new.worth.as_str(), Some(new), knowledge.old.as_ref()));
    }
    let mut put = |path: &str, value: Value| fields.insert(path.to_owned(), value);
    let announced = announced_by(record, knowledge);
    put("artifact.change.announced", (!announced.is_empty()).into());
    if !announced.is_empty() {
        put("artifact.change.announced_by", announced.into());
    }
    put("artifact.change.silent", silent.into());
    let claims = claims_about(record, knowledge);
    if !claims.is_empty() {
        put("artifact.change.claims", claims.clone().into());
    }
    (fields, claims)
}

/// Fields of how bytes stand, in a word, and how those before did. A new version stands beside the one before, and
/// takes nothing's place.
pub fn standing_fields(word: &str, new: Option<&Stand>, old: Option<&Stand>) -> Fields {
    let mut fields = Fields::new();
    let mut put = |path: &str, value: Value| fields.insert(path.to_owned(), value);
    put("artifact.approval.status", word.into());
    if let Some(old) = old {
        put("artifact.approval.previous_status", old.worth.as_str().into());
    }
    if let Some(standing) = [new, old].iter().flatten().find_map(|stand| stand.standing.as_ref()) {
        put("artifact.approval.model", standing.model.as_str().into());
        put("artifact.approval.version", standing.version.as_str().into());
    }
    if let Some((version, digest)) = new.or(old).and_then(|stand| stand.expected.as_ref()) {
        put("artifact.approval.expected_version", version.as_str().into());
        put("artifact.approval.expected_hash", format!("sha256:{digest}").into());
    }
    fields
}

/// Who said beforehand that these bytes would come.
fn announced_by(record: &Record, knowledge: &Knowledge) -> Vec<&'static str> {
    let mut by = Vec::new();
    if knowledge.is_approved() {
        by.push("approval");
    }
    // Bytes of a version that were replaced in place are nobody's announcement, whatever else the version says.
    if record.kind == RecordKind::VersionArtifact {
        if knowledge.stood.is_none() {
            by.push("version");
            if record.attributes.get("ml.run.id").and_then(Value::as_text).is_some_and(|run| !run.is_empty()) {
                by.push("run");
            }
            let approver = |path: &String| path.starts_with("ml.model.version.tags.") && path.contains("approve");
            if record.attributes.keys().any(approver) {
                by.push("approver");
            }
        }
    } else if same_model(knowledge) {
        by.push("version");
    }
    by
}

/// Whether the new bytes are those of a registered version of a model that the bytes before belonged to.
fn same_model(knowledge: &Knowledge) -> bool {
    let models = |places: &[Placed]| -> Vec<String> {
        let versions = places.iter().filter(|place| place.kind == "version_artifact");
        versions.filter_map(|place| Some(place.attributes.get("ml.model.name")?.as_text()?.to_owned())).collect()
    };
    let mut known = models(&knowledge.old_places);
    known.extend(knowledge.old_standing().map(|standing| standing.model.clone()));
    models(&knowledge.places).iter().any(|model| known.contains(model))
}

/// Words by which people say what a new version is.
static CLAIMS: LazyLock<Vec<(&'static str, Regex)>> = LazyLock::new(|| {
    let words = [
        ("quantised", r"(?i)\b(quanti[sz](?:ed|ation)|int[48]|[ui]8|fp8|nf4|awq|gptq|q[2-8]_[k01]\w*|bitsandbytes)\b"),
        ("converted", r"(?i)\b(fp16|float16|bf16|bfloat16|half[ -]precision|convert(?:ed|sion)|re-?export(?:ed)?)\b"),
        ("fine_tune", r"(?i)\b(fine[ -]?tun(?:e|ed|ing)|lora|qlora|sft|dpo|rlhf|instruct)\b"),
        ("retrained", r"(?i)\b(re-?train(?:ed|ing)|from[ -]scratch)\b"),
    ];
    words.into_iter().filter_map(|(claim, text)| Some((claim, Regex::new(text).ok()?))).collect()
});

/// Fields in which people say it.
const SAYINGS: [&str; 2] = ["ml.model.description", "ml.model.name"];

/// What is said of bytes that came to a place: by the record, and by every registered version that holds them.
fn claims_about(record: &Record, knowledge: &Knowledge) -> Vec<&'static str> {
    let versions = knowledge.places.iter().filter(|place| place.kind == "version_artifact");
    let mut all = claims(&record.attributes);
    all.extend(versions.flat_map(|place| claims(&place.attributes)));
    all.sort_unstable();
    all.dedup();
    all
}

/// What the registry says that these bytes are.
fn claims(attributes: &Fields) -> Vec<&'static str> {
    let tag = |path: &str| path.starts_with("ml.model.version.tags.") || path.starts_with("ml.model.tags.");
    let mut texts: Vec<String> = Vec::new();
    for (path, value) in attributes.iter().filter(|(path, _)| SAYINGS.contains(&path.as_str()) || tag(path)) {
        // The key of a tag says as much as its value: `quantization: int8`.
        texts.push(path.rsplit('.').next().unwrap_or_default().replace(['_', '-'], " "));
        texts.extend(value.as_text().map(|text| text.replace('_', " ")));
    }
    CLAIMS.iter().filter(|(_, words)| texts.iter().any(|text| words.is_match(text))).map(|(claim, _)| *claim).collect()
}

/// Classes of a change of weights that a claim allows for; `None` for a claim that says nothing of weights.
fn allows(claim: &str) -> &'static [&'static str] {
    match claim {
        "quantised" | "converted" => &["weights.numeric_conversion", "weights.reshaped", "weights.metadata_only"],
        "fine_tune" => &[
            "weights.fine_tune",
            "weights.low_rank_update",
            "weights.numeric_conversion",
            "weights.metadata_only",
            "weights.added",
            "weights.reshaped",
        ],
        _ => &[],
    }
}

/// Where what was found is not what was claimed: `claim: class`, sorted.
pub fn contradictions(claims: &[&str], differences: &[Difference]) -> Vec<String> {
    let mut found = Vec::new();
    for claim in claims {
        // A version may be both quantised and fine-tuned: one claim that fits is enough.
        let fits = |class: &str| claims.iter().any(|claim| allows(claim).is_empty() || allows(claim).contains(&class));
        let weights = differences.iter().filter(|difference| difference.class.starts_with("weights."));
        found.extend(
            weights
                .filter(|difference| difference.grade == Grade::Hostile || !fits(&difference.class))
                .map(|difference| format!("{claim}: {}", difference.class)),
        );
    }
    found.sort();
    found.dedup();
    found
}

/// Fields of a diff event: what differs, as classes, and in words.
pub fn difference_fields(differences: &[Difference], claims: &[&str]) -> Fields {
    /// Items of one list: the worst come first.
    const ITEMS_MAX: usize = 32;
    let mut worst: Vec<&Difference> = differences.iter().collect();
    worst.sort_by_key(|difference| std::cmp::Reverse(difference.grade));
    let mut fields = Fields::new();
    let mut put = |path: &str, items: Vec<String>| {
        let mut different: Vec<String> = Vec::new();
        for item in items {
            if different.len() < ITEMS_MAX && !different.contains(&item) {
                different.push(item);
            }
        }
        if !different.is_empty() {
            fields.insert(path.to_owned(), Value::from(different));
        }
    };
    let classes = |grade: Option<Grade>| -> Vec<String> {
        let chosen = worst.iter().filter(|difference| grade.is_none_or(|grade| difference.grade == grade));
        chosen.map(|difference| difference.class.clone()).collect()
    };
    put("artifact.diff.classes", classes(None));
    put("artifact.diff.hostile", classes(Some(Grade::Hostile)));
    put("artifact.diff.notable", classes(Some(Grade::Notable)));
    let named = |text: fn(&Difference) -> &String| worst.iter().map(|difference| text(difference).clone()).collect();
    put("artifact.diff.places", named(|difference| &difference.place));
    put("artifact.diff.words", named(|difference| &difference.words));
    put("artifact.change.contradictions", contradictions(claims, differences));
    fields
}

/// Fields that this room adds to events about bytes.
pub const FIELDS: &[crate::event::Field] = {
    use crate::event::FieldType::{Bool, Text, TextList};
    use crate::event::field::field;
    &[
        field(
            "artifact.approval.status",
            Text,
            "How the bytes stand where they lie: approved, superseded, revoked, exchanged (approved for another model or as another file), unapproved, unread (they could not be read), missing; absent while nothing was ever approved.",
        ),
        field("artifact.approval.previous_status", Text, "How the bytes stand that were there before, or last."),
        field("artifact.approval.model", Text, "Model to which the bytes, or those before, were approved."),
        field("artifact.approval.version", Text, "Its version."),
        field("artifact.approval.expected_version", Text, "Approved version whose bytes should be there."),
        field("artifact.approval.expected_hash", Text, "Digest of those bytes."),
        field("artifact.change.announced", Bool, "Somebody said beforehand that these bytes would come."),
        field(
            "artifact.change.announced_by",
            TextList,
            "What announced them: approval, version (a registered version of the same model), run, approver (a tag of that name).",
        ),
        field(
            "artifact.change.silent",
            Bool,
            "Neither size nor times told of the change: it was found by reading the bytes again.",
        ),
        field(
            "artifact.change.claims",
            TextList,
            "What the registry says that the version is: quantised, converted, fine_tune, retrained.",
        ),
        field("artifact.change.contradictions", TextList, "Claims that what differs contradicts, as `claim: class`."),
        field("artifact.diff.classes", TextList, "Classes of what differs, the worst first; see the manual of diffs."),
        field("artifact.diff.hostile", TextList, "Those of them that no ordinary training or export leaves."),
        field("artifact.diff.notable", TextList, "Those that are worth a look where nobody announced them."),
        field("artifact.diff.places", TextList, "Tensors, nodes, keys or rows concerned."),
        field("artifact.diff.words", TextList, "What differs, a sentence each."),
    ]
};
