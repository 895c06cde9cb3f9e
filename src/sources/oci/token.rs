//! What a registry wants before it lets in (distribution specification, token authentication).

use http_auth::parser::ChallengeParser;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Client, Url};
use serde::Deserialize;

use super::credentials::Basic;
use crate::base::http::{self, Failure};
use crate::base::secret::Secret;

const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// What to send along.
#[derive(Debug, Clone)]
pub enum Pass {
    Basic(Basic),
    Bearer(Secret),
}

/// The registry's question.
#[derive(Debug, PartialEq, Eq)]
pub enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String> },
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

/// Reads the first question that can be answered.
pub fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|text| text.to_str().ok());
    texts.flat_map(|text| ChallengeParser::new(text).flatten().collect::<Vec<_>>()).find_map(|challenge| {
        let named = |name: &str| {
            let (_, value) = challenge.params.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
            Some(value.to_unescaped())
        };
        if challenge.scheme.eq_ignore_ascii_case("bearer") {
            Some(Challenge::Bearer { realm: named("realm")?, service: named("service") })
        } else {
            challenge.scheme.eq_ignore_ascii_case("basic").then_some(Challenge::Basic)
        }
    })
}

/// Answers it, with credentials if there are any; a token is asked for one scope.
pub async fn answer(
    client: &Client,
    challenge: Challenge,
    scope: &str,
    plain: bool,
    known: Option<&Basic>,
) -> Result<Pass, Failure> {
    let denied = Failure::Denied { status: 401 };
    let (realm, service) = match challenge {
        Challenge::Basic => return known.cloned().map(Pass::Basic).ok_or(denied),
        Challenge::Bearer { realm, service } => (realm, service),
    };
    let mut url =
        Url::parse(&realm).map_err(|_| Failure::Garbage("the registry's token service has no address".to_owned()))?;
    // A password goes over TLS, unless the registry itself is on this machine.
    let near = plain && url.scheme() == "http" && url.host_str().is_some_and(super::api::is_loopback);
    if url.scheme() != "https" && !near {
        return Err(Failure::Garbage("the registry's token service is not reached over HTTPS".to_owned()));
    }
    url.query_pairs_mut().extend_pairs(service.map(|service| ("service", service))).append_pair("scope", scope);
    let mut request = client.get(url);
    if let Some(Basic { user, password }) = known {
        request = request.basic_auth(user, Some(password.expose()));
    }
    let body = http::body(http::success(request.send().await?)?, ANSWER_BYTES_MAX).await?;
    let answer: Answer =
        serde_json::from_slice(&body).map_err(|_| Failure::Garbage("the token service gave no token".to_owned()))?;
    let token = answer.token.or(answer.access_token).filter(|token| !token.is_empty());
    token.map(|token| Pass::Bearer(Secret::new(token))).ok_or(denied)
}
