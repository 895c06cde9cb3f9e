//! `moto`: S3 once more, and the queues, topics and buses of Amazon by which its events come. It takes any key, and
//! keeps everything in memory.

use std::process::Command;
use std::sync::Arc;

use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tempfile::TempDir;

use super::process::Process;
use crate::support::{free_port, peers, run_python, runtime};

/// How the events of a bucket come to the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Direct,
    /// By a topic of SNS, which wraps them.
    Topic,
    /// By `EventBridge`, which has a shape of its own.
    Bus,
}

pub struct Moto {
    process: Process,
    pub url: String,
}

/// What all programs begin with: `url` is the server.
const BEGIN: &str = "
import json, sys, boto3
url, arguments = sys.argv[1], sys.argv[2:]
settings = dict(endpoint_url=url, aws_access_key_id='AKIATEST', aws_secret_access_key='secret', region_name='us-east-1')
s3, sqs, sns, events = (boto3.client(name, **settings) for name in ('s3', 'sqs', 'sns', 'events'))
";

impl Moto {
    pub fn start() -> Self {
        let port = free_port();
        let mut command = Command::new(peers().join("venv/bin/moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let url = format!("http://127.0.0.1:{port}");
        let process = Process::start(TempDir::new().unwrap(), command, &format!("{url}/moto-api/data.json"));
        Self { process, url }
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        self.url.trim_start_matches("http://").to_owned()
    }

    /// Lets it stand still: connections are taken, and never answered.
    pub fn pause(&self, paused: bool) {
        self.process.pause(paused);
    }

    /// Runs a program with Amazon's own client; its standard output.
    pub fn python(&self, program: &str, arguments: &[&str]) -> String {
        let all: Vec<&str> = std::iter::once(&*self.url).chain(arguments.iter().copied()).collect();
        run_python(&format!("{BEGIN}{program}"), &all).trim().to_owned()
    }

    pub fn make_bucket(&self, bucket: &str) {
        self.python("s3.create_bucket(Bucket=arguments[0])", &[bucket]);
    }

    /// A queue that gets the events of a bucket; its address. What is received and not deleted comes again after a
    /// second.
    pub fn queue(&self, bucket: &str, way: Way) -> String {
        let program = "
bucket, way = arguments
queue = sqs.create_queue(QueueName='lanner-' + way, Attributes={'VisibilityTimeout': '1'})['QueueUrl']
arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=['QueueArn'])['Attributes']['QueueArn']
what = ['s3:ObjectCreated:*', 's3:ObjectRemoved:*']
if way == 'Direct':
    configuration = {'QueueConfigurations': [{'QueueArn': arn, 'Events': what}]}
elif way == 'Topic':
    topic = sns.create_topic(Name='lanner')['TopicArn']
    sns.subscribe(TopicArn=topic, Protocol='sqs', Endpoint=arn)
    configuration = {'TopicConfigurations': [{'TopicArn': topic, 'Events': what}]}
else:
    events.put_rule(Name='lanner', EventPattern=json.dumps({'source': ['aws.s3']}))
    events.put_targets(Rule='lanner', Targets=[{'Id': 'lanner', 'Arn': arn}])
    configuration = {'EventBridgeConfiguration': {}}
s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)
print(queue)
";
        self.python(program, &[bucket, &format!("{way:?}")])
    }

    pub fn send(&self, queue: &str, body: &str) {
        self.python("sqs.send_message(QueueUrl=arguments[0], MessageBody=arguments[1])", &[queue, body]);
    }

    /// Messages in a queue, whether or not somebody has received them.
    pub fn messages(&self, queue: &str) -> usize {
        let program = "
names = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible']
counts = sqs.get_queue_attributes(QueueUrl=arguments[0], AttributeNames=names)['Attributes']
print(sum(int(count) for count in counts.values()))
";
        self.python(program, &[queue]).parse().unwrap()
    }

    pub fn put(&self, bucket: &str, key: &str, bytes: &[u8]) {
        let (client, path) = (self.client(bucket), Path::parse(key).unwrap());
        runtime().block_on(client.put(&path, bytes.to_vec().into())).unwrap();
    }

    /// A client of S3 for one bucket.
    pub fn client(&self, bucket: &str) -> Arc<dyn ObjectStore> {
        lanner::base::http::provider();
        Arc::new(
            AmazonS3Builder::new()
                .with_endpoint(&self.url)
                .with_client_options(object_store::ClientOptions::new().with_allow_http(true))
                .with_region("us-east-1")
                .with_bucket_name(bucket)
                .with_access_key_id("AKIATEST")
                .with_secret_access_key("secret")
                .build()
                .unwrap(),
        )
    }
}
