//! Traces: what applications asked models and what these said, as clients recorded it. Each is read by itself, since
//! whoever may write one may write anything into it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::{Api, Space};
use crate::base::http::{self, Failure};
use crate::event::{digest, repair};

/// Traces of one page, the most that a server gives.
pub const PAGE: usize = 500;
/// Bytes of one page. Ordinary ones take 2 to 4 kB for each trace.
const PAGE_BYTES_MAX: u64 = 16 << 20;
/// Tags or metadata of one trace.
const MEMBERS_MAX: usize = 200;

/// One trace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    pub id: String,
    pub experiment: String,
    /// `OK`, `ERROR`, `IN_PROGRESS`.
    pub state: String,
    /// Milliseconds since 1970, as whoever recorded it says.
    pub started: i64,
    /// Milliseconds that it took; none while it is in progress.
    pub took: Option<i64>,
    pub request: Option<String>,
    pub response: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
}

impl Trace {
    pub fn ended(&self) -> i64 {
        self.started.saturating_add(self.took.unwrap_or(0))
    }
}

/// One page of traces.
#[derive(Debug, Default)]
pub struct TracePage {
    pub traces: Vec<Trace>,
    /// Digests of those that could not be understood.
    pub unreadable: Vec<String>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// Which traces, and how many at once.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'w> {
    pub experiments: &'w [String],
    pub filter: &'w str,
    pub most: usize,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer<'a> {
    #[serde(borrow)]
    traces: Vec<&'a RawValue>,
    next_page_token: Option<String>,
}

impl Api {
    /// One page of the traces of some experiments, those that began first first.
    pub async fn traces(&self, space: Space<'_>, wanted: Wanted<'_>, token: &str) -> Result<TracePage, Failure> {
        let locations = wanted
            .experiments
            .iter()
            .map(|id| json!({ "type": "MLFLOW_EXPERIMENT", "mlflow_experiment": { "experiment_id": id } }));
        let mut body = json!({
            "locations": locations.collect::<Vec<_>>(),
            "filter": wanted.filter,
            "max_results": wanted.most,
            "order_by": ["attributes.timestamp_ms ASC"],
        });
        if !token.is_empty() {
            body["page_token"] = token.into();
        }
        let text = format!("{}/api/3.0/mlflow/traces/search", self.tracking.as_str().trim_end_matches('/'));
        let url = Url::parse(&text).map_err(|error| Failure::Garbage(error.to_string()))?;
        let request = self.request(space, &self.client, Method::POST, url).json(&body);
        let response = http::success(request.send().await?)?;
        let body = http::body(response, self.page_bytes_max.min(PAGE_BYTES_MAX)).await?;
        let answer: Answer<'_> = serde_json::from_slice(&body)
            .map_err(|error| Failure::Garbage(format!("no page of traces, at byte {}", error.column())))?;
        let mut page = TracePage { next: answer.next_page_token, ..TracePage::default() };
        for raw in answer.traces {
            match trace(raw) {
                Some(trace) => page.traces.push(trace),
                None => page.unreadable.push(digest::of_parts(&[raw.get()]).short()),
            }
        }
        Ok(page)
    }
}

/// A trace of which it is known what it is called and when it began; whatever else is not as it should be is left out.
fn trace(raw: &RawValue) -> Option<Trace> {
    let members: Map<String, Value> = serde_json::from_str(raw.get())
        .or_else(|error| {
            // Half of a pair of surrogates in a text of somebody.
            let (mended, _) = repair::repaired(raw.get().as_bytes()).ok_or(error)?;
            serde_json::from_str(&mended)
        })
        .ok()?;
    let text = |name: &str| members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let experiment = members.get("trace_location")?.get("mlflow_experiment")?.get("experiment_id")?.as_str()?;
    Some(Trace {
        id: text("trace_id")?.to_owned(),
        experiment: experiment.to_owned(),
        state: text("state").unwrap_or("STATE_UNSPECIFIED").to_owned(),
        started: text("request_time")?.parse::<Timestamp>().ok()?.as_millisecond(),
        took: text("execution_duration").and_then(millis),
        request: text("request_preview").map(str::to_owned),
        response: text("response_preview").map(str::to_owned),
        metadata: texts(members.get("trace_metadata")),
        tags: texts(members.get("tags")),
    })
}

fn texts(members: Option<&Value>) -> BTreeMap<String, String> {
    let members = members.and_then(Value::as_object).into_iter().flatten();
    members
        .take(MEMBERS_MAX)
        .map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect()
}

/// A duration as protocol buffers spell it: `1.5s`.
fn millis(text: &str) -> Option<i64> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    // What took less than nothing took nothing.
    let took = Duration::try_from_secs_f64(seconds.max(0.0)).ok()?;
    i64::try_from(took.as_millis()).ok()
}
