//! What stores say that happened, in their own words: Amazon's events as they come by way of SNS, SQS and `EventBridge`,
//! those of `MinIO` and `SeaweedFS`, Google's notifications, Azure's Event Grid. A hint names objects to look at, and
//! is believed in nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// Lists, texts and messages in each other: a queue hands over what a topic took, which an event is in.
const DEPTH_MAX: usize = 12;
/// Objects that are gathered from one hint.
const OBJECTS_MAX: usize = 10_000;

/// An object that a hint speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub bucket: String,
    pub key: String,
}

/// The objects that a hint speaks of; `None` if only a listing can tell what it means.
pub fn read(body: &Value) -> Option<Vec<Object>> {
    let mut objects = Vec::new();
    gather(body, DEPTH_MAX, &mut objects).filter(|()| objects.len() <= OBJECTS_MAX)?;
    Some(objects)
}

fn gather(value: &Value, depth: usize, objects: &mut Vec<Object>) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    match value {
        Value::Array(items) if !items.is_empty() && objects.len() <= OBJECTS_MAX => {
            items.iter().try_for_each(|item| gather(item, depth, objects))
        }
        // A message that carries another one as text.
        Value::String(text) => gather(&serde_json::from_str(text).ok()?, depth, objects),
        Value::Object(_) => object(value, depth, objects),
        _ => None,
    }
}

fn object(value: &Value, depth: usize, objects: &mut Vec<Object>) -> Option<()> {
    let text = |path: &str| value.pointer(path).and_then(Value::as_str);
    let mut put = |bucket: &str, key: String| objects.push(Object { bucket: bucket.to_owned(), key });
    // Amazon and MinIO: keys are encoded as in forms.
    if let (Some(bucket), Some(key)) = (text("/s3/bucket/name"), text("/s3/object/key")) {
        put(bucket, percent_decode_str(&key.replace('+', " ")).decode_utf8().ok()?.into_owned());
        return Some(());
    }
    if let (Some(_), Some(bucket), Some(key)) =
        (text("/detail-type"), text("/detail/bucket/name"), text("/detail/object/key"))
    {
        put(bucket, key.to_owned());
        return Some(());
    }
    // Google: attributes of a message of Pub/Sub, or the object itself.
    for (bucket, key) in [("/attributes/bucketId", "/attributes/objectId"), ("/bucket", "/name")] {
        if let (Some(bucket), Some(key)) = (text(bucket), text(key)) {
            put(bucket, key.to_owned());
            return Some(());
        }
    }
    if let (Some(kind), Some(subject)) = (text("/eventType").or_else(|| text("/type")), text("/subject"))
        && kind.starts_with("Microsoft.Storage.")
    {
        return azure(kind, subject, objects);
    }
    if let (Some(event), Some(path)) = (text("/event_type"), text("/key")) {
        return seaweed(event, path, value.get("message"), objects);
    }
    // What a store says when it begins to tell.
    let begins = text("/Event") == Some("s3:TestEvent")
        || text("/Type") == Some("SubscriptionConfirmation")
        || text("/eventType") == Some("Microsoft.EventGrid.SubscriptionValidationEvent");
    if begins {
        return Some(());
    }
    // What carries something: SQS, SNS, Pub/Sub, CloudEvents.
    let inner = ["Records", "Messages", "receivedMessages", "Message", "Body", "body", "Sns", "message", "data"];
    let inner = inner.iter().find_map(|name| value.get(name))?;
    match (inner.as_str(), value.get("data")) {
        (Some(data), Some(_)) => gather(&serde_json::from_slice(&STANDARD.decode(data).ok()?).ok()?, depth, objects),
        _ => gather(inner, depth, objects),
    }
}

/// `/blobServices/default/containers/models/blobs/fraud/model.pkl`.
fn azure(kind: &str, subject: &str, objects: &mut Vec<Object>) -> Option<()> {
    // A folder that is renamed or deleted takes all with it.
    if kind.contains("Directory") || kind.ends_with("BlobRenamed") {
        return (kind.ends_with("DirectoryCreated")).then_some(());
    }
    let (bucket, key) = subject.strip_prefix("/blobServices/default/containers/")?.split_once("/blobs/")?;
    objects.push(Object { bucket: bucket.to_owned(), key: key.to_owned() });
    Some(())
}

/// `/buckets/models/fraud/model.pkl`, with the entries before and after.
fn seaweed(event: &str, path: &str, message: Option<&Value>, objects: &mut Vec<Object>) -> Option<()> {
    let get = |path: &str| message.and_then(|message| message.pointer(path));
    let folder = |entry: &str| get(entry).and_then(Value::as_bool) == Some(true);
    if folder("/new_entry/is_directory") || folder("/old_entry/is_directory") {
        // A folder that is renamed or deleted takes all with it.
        return matches!(event, "create" | "update").then_some(());
    }
    let moved = get("/new_parent_path").and_then(Value::as_str).zip(get("/new_entry/name").and_then(Value::as_str));
    let moved = moved.map(|(folder, name)| format!("{}/{name}", folder.trim_end_matches('/')));
    for path in [Some(path.to_owned()), moved].into_iter().flatten() {
        // What lies elsewhere is no object.
        let Some((bucket, key)) = path.strip_prefix("/buckets/").and_then(|path| path.split_once('/')) else {
            continue;
        };
        // Versions are kept in a folder beside the object.
        let key = key.rsplit_once(".versions/").map_or(key, |(key, _)| key);
        objects.push(Object { bucket: bucket.to_owned(), key: key.to_owned() });
    }
    Some(())
}
