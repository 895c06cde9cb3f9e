//! A queue of Amazon SQS, by its JSON protocol: messages are received, and deleted when they were kept.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName};
use reqwest::{Client, Method, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use super::signer::{Plain, Signer};
use crate::base::http::{self, Failure};
use crate::event::digest;

/// Messages of one answer: the most that the service gives.
pub const MESSAGES: usize = 10;
/// How long the service holds an answer back while there is nothing to tell: the longest that it takes.
const WAIT_SECS: u64 = 20;
/// One answer has ten messages, whose bodies have 1 MiB together; as text in text they grow.
const ANSWER_BYTES_MAX: u64 = 16 << 20;
const TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// One message.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Message {
    #[serde(rename = "MessageId")]
    pub id: String,
    /// Names this delivery of the message, to delete it.
    #[serde(rename = "ReceiptHandle")]
    pub receipt: String,
    #[serde(rename = "Body")]
    pub body: String,
}

/// Bytes of an id: those of the service have 36.
const ID_MAX: usize = 128;

impl Message {
    /// What the delivery is called, so that it is taken once. A queue that names none, or gives a name without end,
    /// would have one message taken for another: there the delivery itself is its name.
    pub fn delivery(&self) -> String {
        if (1..=ID_MAX).contains(&self.id.len()) {
            return self.id.clone();
        }
        digest::of_parts(&["message", &self.receipt, &self.body]).to_string()
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Received {
    messages: Vec<Message>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Deleted {
    failed: Vec<Value>,
}

/// A queue that is asked.
pub struct Queue {
    client: Client,
    /// As it is configured, which is its name in requests.
    url: String,
    /// The service.
    service: Url,
    region: String,
    signer: Arc<Signer>,
}

impl Queue {
    /// `url` is that of the queue: `https://sqs.REGION.amazonaws.com/ACCOUNT/NAME`. `timeout` is for an answer that is
    /// not held back.
    pub fn open(url: &str, signer: Arc<Signer>, timeout: Duration) -> Result<Self, String> {
        let wrong = || format!("`{url}` is no queue; write https://sqs.REGION.amazonaws.com/ACCOUNT/NAME");
        let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(wrong)?;
        let host = parsed.host_str().ok_or_else(wrong)?;
        let parts = parsed.path_segments().map_or(0, |parts| parts.filter(|part| !part.is_empty()).count());
        if parts < 2 || !parsed.username().is_empty() || parsed.password().is_some() || parsed.query().is_some() {
            return Err(wrong());
        }
        let labels: Vec<&str> = host.split('.').collect();
        let region = match labels.as_slice() {
            ["sqs", region, "amazonaws", ..] => (*region).to_owned(),
            _ => signer.region().to_owned(),
        };
        let service = parsed.join("/").map_err(|_| wrong())?;
        let wait = Duration::from_secs(WAIT_SECS);
        // It says nothing while it waits.
        let read_timeout = wait + timeout;
        let options = http::Options { timeout: Some(wait + timeout), read_timeout, ..http::Options::default() };
        Ok(Self { client: http::client(&options)?, url: url.to_owned(), service, region, signer })
    }

    /// As it is configured.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Messages that wait; comes back empty after a while without any.
    pub async fn receive(&self) -> Result<Vec<Message>, Failure> {
        let ask = json!({ "QueueUrl": self.url, "MaxNumberOfMessages": MESSAGES, "WaitTimeSeconds": WAIT_SECS });
        let mut received: Received = self.call("AmazonSQS.ReceiveMessage", &ask).await?;
        // Whoever gives more keeps the others.
        received.messages.truncate(MESSAGES);
        Ok(received.messages)
    }

    /// Deletes messages that were received, ten at most; how many could not be.
    pub async fn delete(&self, messages: &[Message]) -> Result<usize, Failure> {
        let entry = |(number, message): (usize, &Message)| json!({ "Id": number.to_string(), "ReceiptHandle": message.receipt });
        let entries: Vec<Value> = messages.iter().enumerate().map(entry).collect();
        let ask = json!({ "QueueUrl": self.url, "Entries": entries });
        let deleted: Deleted = self.call("AmazonSQS.DeleteMessageBatch", &ask).await?;
        Ok(deleted.failed.len())
    }

    /// Whether it is there and may be asked, without taking a message.
    pub async fn look(&self) -> Result<(), Failure> {
        let ask = json!({ "QueueUrl": self.url, "AttributeNames": ["QueueArn"] });
        let _: Value = self.call("AmazonSQS.GetQueueAttributes", &ask).await?;
        Ok(())
    }

    async fn call<T: serde::de::DeserializeOwned>(&self, call: &'static str, ask: &Value) -> Result<T, Failure> {
        let body = ask.to_string().into_bytes();
        let headers = [(CONTENT_TYPE, "application/x-amz-json-1.0"), (TARGET, call)];
        let plain = Plain { method: Method::POST, url: &self.service, headers: &headers, body: body.clone() };
        let headers = self.signer.sign("sqs", &self.region, plain).await?;
        let request = self.client.post(self.service.clone()).headers(headers).body(body);
        let response = http::success(request.send().await?)?;
        let answer = http::body(response, ANSWER_BYTES_MAX).await?;
        serde_json::from_slice(&answer)
            .map_err(|error| Failure::Garbage(format!("not the JSON expected, at byte {}", error.column())))
    }
}
