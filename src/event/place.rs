//! Where in the fleet something happened.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{Fields, Value};

/// Host, pod and container, as far as they are known. Names are OpenTelemetry's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Place {
    pub host: Option<String>,
    pub namespace: Option<String>,
    pub pod: Option<String>,
    pub pod_uid: Option<String>,
    pub container: Option<String>,
    pub restart_count: Option<u64>,
    pub container_id: Option<String>,
}

impl Place {
    /// Writes what is known under its standard names.
    pub fn describe(&self, fields: &mut Fields) {
        let texts = [
            ("host.name", &self.host),
            ("k8s.namespace.name", &self.namespace),
            ("k8s.pod.name", &self.pod),
            ("k8s.pod.uid", &self.pod_uid),
            ("k8s.container.name", &self.container),
            ("container.id", &self.container_id),
        ];
        for (path, text) in texts {
            if let Some(text) = text {
                fields.insert(path.to_owned(), Value::from(text.as_str()));
            }
        }
        if let Some(count) = self.restart_count {
            fields.insert("k8s.container.restart_count".to_owned(), Value::from(count));
        }
    }
}
