//! What a registry has: its repositories, their tags, and the manifests to which those lead, asked for with few bytes.

use reqwest::Url;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, HeaderMap, HeaderName, IF_NONE_MATCH};
use serde::Deserialize;

use super::api::{ACCEPTED, Api};
use super::manifest;
use crate::base::http::{self, Failure};
use crate::sources::remote::{ANSWER_BYTES_MAX, PAGES_MAX, answer, patiently};

/// Names asked for in one page; registries give fewer if they like.
const PAGE: usize = 1000;
/// HTTP 304: a tag leads where it did.
const UNCHANGED: u16 = 304;
const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

#[derive(Default, Deserialize)]
#[serde(default)]
struct Page {
    repositories: Option<Vec<String>>,
    tags: Option<Vec<String>>,
}

/// A list of names, and whether there are more than were wanted.
#[derive(Debug, Default)]
pub struct Names {
    pub names: Vec<String>,
    pub more: bool,
}

impl Api {
    /// Repositories of the registry: at most so many.
    pub async fn repositories(&self, most: usize) -> Result<Names, Failure> {
        self.names(&format!("_catalog?n={PAGE}"), most).await
    }

    /// Tags of the repository: at most so many.
    pub async fn tags(&self, most: usize) -> Result<Names, Failure> {
        self.names(&format!("tags/list?n={PAGE}"), most).await
    }

    async fn names(&self, first: &str, most: usize) -> Result<Names, Failure> {
        let mut found = Names::default();
        let mut next = Some(self.url(first)?);
        let mut pages = 0;
        while let Some(url) = next {
            let (page, link) = self.page(&url).await?;
            let names = page.repositories.or(page.tags).unwrap_or_default();
            for name in names {
                if found.names.len() >= most {
                    return Ok(Names { more: true, ..found });
                }
                found.names.push(name);
            }
            pages += 1;
            // Only the registry itself is asked, and it ends some time.
            if link.as_ref().is_some_and(|link| link.origin() != url.origin() || *link == url) || pages > PAGES_MAX {
                return Err(Failure::Garbage("the pages of a list lead nowhere".to_owned()));
            }
            next = link;
        }
        found.names.sort_unstable();
        found.names.dedup();
        Ok(found)
    }

    async fn page(&self, url: &Url) -> Result<(Page, Option<Url>), Failure> {
        patiently(|| async {
            let response = http::success(self.send(|| self.client().get(url.clone())).await?)?;
            let next = answer::next_page(response.headers(), url);
            let body = http::body(response, ANSWER_BYTES_MAX).await?;
            let page = serde_json::from_slice(&body)
                .map_err(|error| Failure::Garbage(format!("not the JSON expected, at byte {}", error.column())))?;
            Ok((page, next))
        })
        .await
    }

    /// Where a tag leads now; `known` is where it led before. The manifest itself is fetched only from registries that
    /// do not tell otherwise.
    pub async fn resolve(&self, tag: &str, known: Option<&str>) -> Result<String, Failure> {
        let url = self.url(&format!("manifests/{tag}"))?;
        let asked = patiently(|| async {
            let response = self
                .send(|| {
                    let request = self.client().head(url.clone()).header(ACCEPT, ACCEPTED);
                    match known {
                        Some(known) => request.header(IF_NONE_MATCH, format!("\"{known}\"")),
                        None => request,
                    }
                })
                .await?;
            match (http::success(response), known) {
                (Err(Failure::Denied { status: UNCHANGED }), Some(known)) => Ok(Some(known.to_owned())),
                (answer, _) => Ok(text(answer?.headers(), &DIGEST).map(ToOwned::to_owned)),
            }
        })
        .await;
        match asked {
            Ok(Some(digest)) if manifest::sha256(&digest).is_some() => Ok(digest),
            Ok(_) | Err(Failure::Rejected { .. }) => Ok(self.manifest(tag).await?.digest),
            Err(failure) => Err(failure),
        }
    }

    /// How many bytes a blob or manifest has, as the registry stores it.
    pub async fn size(&self, key: &str) -> Result<u64, Failure> {
        let url = self.url(key)?;
        patiently(|| async {
            let response = self.send(|| self.downloads().head(url.clone()).header(ACCEPT, ACCEPTED)).await?;
            let size = text(http::success(response)?.headers(), &CONTENT_LENGTH).and_then(|size| size.parse().ok());
            size.ok_or_else(|| Failure::Garbage("the registry does not tell how large it is".to_owned()))
        })
        .await
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
