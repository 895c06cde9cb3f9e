//! Where the server is and how to be let in, by configuration or by `MLflow`'s own variables.

use std::path::Path;
use std::time::Duration;

use reqwest::Url;

use super::Config;
use super::api::{Api, Credentials, Scope, Way};
use crate::base::environment::Environment;
use crate::base::secret::Secret;
use crate::base::{files, http};

/// A certificate or token larger than this is none.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Makes the connection, or says what is wrong.
pub fn connect(config: &Config, environment: Environment<'_>, problems: &mut Vec<String>) -> Option<Api> {
    let before = problems.len();
    let get = |name: &str| environment(name).filter(|text| !text.is_empty());
    let tracking = config.tracking_uri.clone().or_else(|| get("MLFLOW_TRACKING_URI"));
    let Some(tracking) = tracking else {
        problems.push("no `tracking_uri`; write one, or set MLFLOW_TRACKING_URI".to_owned());
        return None;
    };
    let registry = config.registry_uri.clone().or_else(|| get("MLFLOW_REGISTRY_URI")).unwrap_or(tracking.clone());
    let (tracking, in_url) = server("tracking_uri", &tracking, problems)?;
    let (registry, _) = server("registry_uri", &registry, problems)?;
    let credentials = credentials(config, &get, in_url, problems);
    let insecure =
        get("MLFLOW_TRACKING_INSECURE_TLS").is_some_and(|text| matches!(&*text.to_lowercase(), "1" | "true"));
    let pem = |option: &str, path: Option<&Path>, variable: &str, problems: &mut Vec<String>| {
        let path = path.map(Path::to_owned).or_else(|| get(variable).map(Into::into))?;
        read(option, &path, problems)
    };
    let server_cert = config.server_cert_path.as_deref();
    let client_cert = config.client_cert_path.as_deref();
    let options = http::Options {
        timeout: Some(Duration::from_secs(config.request_timeout_secs)),
        insecure_tls: config.insecure_tls.unwrap_or(insecure),
        authorities: pem("server_cert_path", server_cert, "MLFLOW_TRACKING_SERVER_CERT_PATH", problems),
        identity: pem("client_cert_path", client_cert, "MLFLOW_TRACKING_CLIENT_CERT_PATH", problems),
        ..http::Options::default()
    };
    // A download may take its time, as long as bytes keep coming.
    let patient = http::Options { timeout: None, ..options.clone() };
    let (client, downloads) = match (http::client(&options), http::client(&patient)) {
        (Ok(client), Ok(downloads)) => (client, downloads),
        (Err(error), _) | (_, Err(error)) => {
            problems.push(format!("`{}` cannot be connected to: {error}", config.name));
            return None;
        }
    };
    let scope = match get("MLFLOW_WORKSPACE").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()) {
        _ if !config.workspaces.is_empty() => Scope::Many,
        Some(name) => Scope::One(name),
        None => Scope::Unnamed,
    };
    (problems.len() == before)
        .then(|| Api::new(Way { client, downloads, tracking, registry, credentials, scope }, config.page_bytes_max))
}

/// An address without its credentials, and those.
fn server(option: &str, text: &str, problems: &mut Vec<String>) -> Option<(Url, Option<Credentials>)> {
    let mut url = match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
        // The text itself is not repeated: it may hold a password.
        Ok(_) | Err(_) => {
            problems.push(format!("`{option}` is not the address of a server; write `http://host:port`"));
            return None;
        }
    };
    let user = percent_encoding::percent_decode_str(url.username()).decode_utf8_lossy().into_owned();
    let credentials = url.password().map(|password| Credentials::Basic {
        user,
        password: Secret::new(percent_encoding::percent_decode_str(password).decode_utf8_lossy()),
    });
    // This fails only for addresses without a host.
    if url.set_username("").is_err() || url.set_password(None).is_err() {
        return None;
    }
    url.set_query(None);
    url.set_fragment(None);
    Some((url, credentials))
}

fn credentials(
    config: &Config,
    get: Environment<'_>,
    in_url: Option<Credentials>,
    problems: &mut Vec<String>,
) -> Option<Credentials> {
    let mut secret = |option: &str, path: &Option<std::path::PathBuf>, variable: &str| {
        path.as_ref().map_or_else(
            || get(variable).map(Secret::new),
            |path| {
                let bytes = read(option, path, problems)?;
                Some(Secret::new(String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n'])))
            },
        )
    };
    if let Some(token) = secret("token_file", &config.token_file, "MLFLOW_TRACKING_TOKEN") {
        return Some(Credentials::Bearer(token));
    }
    let user = config.username.clone().or_else(|| get("MLFLOW_TRACKING_USERNAME"));
    let password = secret("password_file", &config.password_file, "MLFLOW_TRACKING_PASSWORD");
    match (user, password) {
        (Some(user), Some(password)) => Some(Credentials::Basic { user, password }),
        (Some(_), None) => {
            problems.push(
                "there is a user but no password; write `password_file`, or set MLFLOW_TRACKING_PASSWORD".to_owned(),
            );
            None
        }
        (None, _) => in_url,
    }
}

fn read(option: &str, path: &Path, problems: &mut Vec<String>) -> Option<Vec<u8>> {
    files::read(path, FILE_BYTES_MAX)
        .map_err(|error| problems.push(format!("`{option}`: `{}` cannot be read: {error}", path.display())))
        .ok()
}
