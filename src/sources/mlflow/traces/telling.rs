//! A trace as an event.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::base::text::shorten;
use crate::event::subject::SubjectKind;
use crate::event::{Fields, Place, Subject};
use crate::sources::inference::Texts;
use crate::sources::mlflow::api::{Space, Trace};
use crate::sources::models::{self, TEXT_CHARS_MAX, put};
use crate::sources::{Checkpoint, Inference};

/// Tags and metadata of the server's own begin so.
const OWN: &str = "mlflow.";

/// What traces of one workspace have in common.
pub struct Teller<'t> {
    pub registry: &'t str,
    pub space: Space<'t>,
    /// Names of experiments by their numbers.
    pub experiments: &'t BTreeMap<String, String>,
    /// The texts themselves are told.
    pub text: bool,
}

impl Teller<'_> {
    pub fn tell(&self, trace: &Trace, checkpoint: Checkpoint) -> Inference {
        let mut fields = Fields::new();
        let mut set = |path: &str, text: &str| {
            if !text.is_empty() {
                put(&mut fields, path, shorten(text, TEXT_CHARS_MAX));
            }
        };
        let known = |name: &str| trace.metadata.get(name).map_or("", String::as_str);
        let experiment = self.experiments.get(&trace.experiment).unwrap_or(&trace.experiment);
        let recorded = [known("mlflow.auth.username"), known("mlflow.user")];
        for (path, text) in [
            ("ml.model.registry", self.registry),
            ("ml.model.workspace", self.space.unwrap_or_default()),
            ("ml.experiment.id", &trace.experiment),
            ("ml.experiment.name", experiment),
            ("ml.trace.id", &trace.id),
            ("ml.trace.name", trace.tags.get("mlflow.traceName").map_or("", String::as_str)),
            ("ml.trace.state", &trace.state),
            ("ml.trace.recorded_by", recorded.into_iter().find(|user| !user.is_empty()).unwrap_or_default()),
            ("ml.run.id", known("mlflow.sourceRun")),
            ("ml.logged_model.id", known("mlflow.modelId")),
            ("gen_ai.conversation.id", known("mlflow.trace.session")),
            ("enduser.id", known("mlflow.trace.user")),
            ("gen_ai.request.model", model(known("mlflow.traceInputs"))),
            ("gen_ai.response.model", model(known("mlflow.traceOutputs"))),
        ] {
            set(path, text);
        }
        if let Some(took) = trace.took {
            put(&mut fields, "ml.inference.duration_ms", took);
        }
        let usage: serde_json::Value = serde_json::from_str(known("mlflow.trace.tokenUsage")).unwrap_or_default();
        for name in ["input_tokens", "output_tokens"] {
            if let Some(count) = usage.get(name).and_then(serde_json::Value::as_u64) {
                put(&mut fields, &format!("gen_ai.usage.{name}"), count);
            }
        }
        models::tags(&mut fields, "ml.trace.tags.", theirs(&trace.tags));
        models::tags(&mut fields, "ml.trace.metadata.", theirs(&trace.metadata));
        let texts = Texts { request: trace.request.as_deref(), response: trace.response.as_deref() };
        texts.tell(&mut fields, self.text);
        let space = self.space.map_or_else(String::new, |space| format!("{space}/"));
        // What did not end, and its end later, are two events.
        let end = if trace.state == "IN_PROGRESS" { "/unfinished" } else { "" };
        let name = format!("{space}{}/{}", shorten(experiment, TEXT_CHARS_MAX), shorten(&trace.id, TEXT_CHARS_MAX));
        Inference {
            id: format!("{space}{}{end}", trace.id),
            action: match &*trace.state {
                "IN_PROGRESS" => "inference.unfinished",
                "ERROR" => "inference.failed",
                _ => "inference.finished",
            },
            time: Timestamp::from_millisecond(trace.ended()).ok(),
            subject: Subject::new(SubjectKind::Trace, plain(&name)),
            place: Place::default(),
            attributes: fields,
            checkpoint,
        }
    }
}

/// A name that can be shown: without ends of lines, and without marks that turn the order of a line around.
fn plain(name: &str) -> String {
    let odd = |c: char| {
        let invisible = '\u{200b}'..='\u{200f}';
        let turning = matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        c.is_control() || turning || invisible.contains(&c) || ('\u{e0000}'..='\u{e007f}').contains(&c)
    };
    name.chars().map(|c| if odd(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn theirs(members: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    members.iter().filter(|(name, _)| !name.starts_with(OWN)).map(|(name, value)| (&**name, &**value))
}

/// The model that the arguments of a call, or its answer, name. They are JSON that was cut somewhere: inside a text of
/// it, a quotation mark is never without its backslash, so that nobody who merely speaks of a model is believed.
fn model(json: &str) -> &str {
    let named = json.match_indices("\"model\": \"").find(|(at, _)| json.get(..*at).is_some_and(|b| !b.ends_with('\\')));
    let Some((at, begin)) = named else { return "" };
    let rest = json.get(at + begin.len()..).unwrap_or_default();
    rest.split_once('"').map_or("", |(name, _)| name).trim_end_matches('\\')
}
