//! The calls about stored bytes, which the tracking server serves.

use std::ops::Range;

use reqwest::header::{CONTENT_LENGTH, ETAG, HeaderMap, LAST_MODIFIED, RANGE};
use reqwest::{Method, Response, Url};
use serde::Deserialize;

use super::{Api, Entry, Head, address};
use crate::base::http::{self, Failure};
use crate::base::uri::{encode, encode_path};
use crate::sources::StoreError;
use crate::sources::remote::{Body, answer, patiently};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entries {
    files: Vec<Entry>,
}

#[derive(Deserialize)]
struct LoggedModel {
    model: Logged,
}

#[derive(Deserialize)]
struct Logged {
    info: LoggedInfo,
}

#[derive(Deserialize)]
struct LoggedInfo {
    artifact_uri: String,
}

impl Api {
    /// Where the bytes of a logged model lie.
    pub async fn logged_model(&self, id: &str) -> Result<String, Failure> {
        Ok(self.get::<LoggedModel>(None, &format!("logged-models/{}", encode(id)), &[]).await?.model.info.artifact_uri)
    }

    /// One level of a directory of artifacts.
    pub async fn list(&self, directory: &str) -> Result<Vec<Entry>, Failure> {
        let url = address(&self.tracking, "mlflow-artifacts/artifacts", &[("path", directory)])?;
        Ok(self.json::<Entries>(self.scope.of_path(directory), url).await?.files)
    }

    pub async fn head(&self, path: &str) -> Result<Head, Failure> {
        let (url, space) = (self.artifact(path)?, self.scope.of_path(path));
        let answer = http::success(self.request(space, &self.client, Method::HEAD, url.clone()).send().await?);
        match answer {
            Ok(response) => Ok(head(response.headers())),
            // Some proxies take no HEAD: the first byte comes with the same headers.
            Err(Failure::Rejected { status: 405 | 501 }) => {
                let request = self.request(space, &self.client, Method::GET, url).header(RANGE, "bytes=0-0");
                let mut found = head(http::success(request.send().await?)?.headers());
                found.size = None;
                Ok(found)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Bytes of an artifact from an offset on.
    pub async fn fetch(&self, path: &str, offset: u64) -> Result<Response, Failure> {
        let url = self.artifact(path)?;
        let mut request = self.request(self.scope.of_path(path), &self.downloads, Method::GET, url);
        if offset > 0 {
            request = request.header(RANGE, format!("bytes={offset}-"));
        }
        http::success(request.send().await?)
    }

    /// A range of an artifact's bytes.
    pub async fn read(&self, path: &str, range: Range<u64>, size: u64) -> Result<Body, StoreError> {
        let url = self.artifact(path)?;
        let response = patiently(|| async {
            let request = self.request(self.scope.of_path(path), &self.downloads, Method::GET, url.clone());
            http::success(answer::ask(request, &range, size).send().await?)
        })
        .await?;
        answer::body(response, &range, size)
    }

    fn artifact(&self, path: &str) -> Result<Url, Failure> {
        address(&self.tracking, &format!("mlflow-artifacts/artifacts/{}", encode_path(path)), &[])
    }
}

fn head(headers: &HeaderMap) -> Head {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    Head {
        etag: text(ETAG),
        modified: text(LAST_MODIFIED),
        size: text(CONTENT_LENGTH).and_then(|size| size.parse().ok()),
    }
}
