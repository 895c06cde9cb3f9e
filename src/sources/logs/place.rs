//! Which pod or container a log belongs to, as far as its path tells.

use std::path::Path;

use crate::event::Place;

/// Digits of a container id.
const ID_DIGITS: usize = 64;

/// Place, and the name of the job.
pub fn of(path: &Path, text: &str) -> (Place, String) {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    match parts.as_slice() {
        [.., pod, container, file] => {
            pod_log(pod, container, file).or_else(|| container_log(container)).unwrap_or_else(|| plain(text))
        }
        _ => plain(text),
    }
}

/// `<namespace>_<pod>_<uid>/<container>/<restart>.log`
fn pod_log(pod: &str, container: &str, file: &str) -> Option<(Place, String)> {
    let mut parts = pod.split('_');
    let (namespace, name, uid) = (parts.next()?, parts.next()?, parts.next()?);
    let restart = file.split('.').next()?.parse().ok()?;
    if parts.next().is_some() || namespace.is_empty() || name.is_empty() {
        return None;
    }
    let place = Place {
        namespace: Some(namespace.to_owned()),
        pod: Some(name.to_owned()),
        pod_uid: Some(uid.to_owned()),
        container: Some(container.to_owned()),
        restart_count: Some(restart),
        ..Place::default()
    };
    Some((place, format!("{namespace}/{name}/{container}")))
}

/// `containers/<id>/<id>-json.log`
fn container_log(id: &str) -> Option<(Place, String)> {
    let valid = id.len() == ID_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    valid.then(|| (Place { container_id: Some(id.to_owned()), ..Place::default() }, id.to_owned()))
}

fn plain(text: &str) -> (Place, String) {
    (Place::default(), text.to_owned())
}
