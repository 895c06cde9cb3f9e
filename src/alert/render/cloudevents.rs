//! CloudEvents 1.0, structured JSON, around an OCSF finding.

use serde_json::{Value, json};

use super::ocsf;
use crate::event::Alert;

/// The event type; the number changes when a reader must change.
pub const TYPE: &str = "io.lanner.detection.v1";

/// The envelope. `id` is the alert's, so that a receiver can drop repeats.
pub fn envelope(alert: &Alert) -> Value {
    let host = alert.place.host.as_deref().unwrap_or("unknown");
    json!({
        "specversion": "1.0",
        "id": alert.id,
        "type": TYPE,
        "source": format!("/lanner/{host}/{}", alert.source),
        "subject": alert.subject.name,
        "time": alert.time.to_string(),
        "datacontenttype": "application/json",
        "dataschema": format!("https://schema.ocsf.io/{}/classes/detection_finding", ocsf::VERSION),
        "data": ocsf::finding(alert),
    })
}
