//! How bytes stand at the place where they lie: approved bytes under the name of another approved file are not what
//! was approved there.

use rusqlite::params;
use serde::Serialize;

use super::approval::{Approval, ApprovedFile, Standing, Status, file};
use super::{State, StateError};
use crate::event::Sha256;

/// Files of one model that are looked at for one place.
const CANDIDATES_MAX: usize = 4096;

/// What bytes are worth where they lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Worth {
    /// They may be served from there.
    Approved,
    /// Another version was approved in their place.
    Superseded,
    /// They must not be served any more.
    Revoked,
    /// They were approved, for another model or as another file.
    Exchanged,
    /// Nobody approved them.
    Unapproved,
}

impl Worth {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Superseded => "superseded",
            Self::Revoked => "revoked",
            Self::Exchanged => "exchanged",
            Self::Unapproved => "unapproved",
        }
    }
}

impl From<Status> for Worth {
    fn from(status: Status) -> Self {
        match status {
            Status::Approved => Self::Approved,
            Status::Superseded => Self::Superseded,
            Status::Revoked => Self::Revoked,
        }
    }
}

/// How bytes stand at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stand {
    pub worth: Worth,
    /// The decision that says so.
    pub standing: Option<Standing>,
    /// What should be there instead: version and digest.
    pub expected: Option<(String, Sha256)>,
}

/// The last part of a path.
pub fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// How many bytes of a place and of a path agree at their ends, where one of them is the end of the other.
fn agreement(place: &str, path: &str) -> Option<usize> {
    let ends = |whole: &str, end: &str| whole == end || whole.strip_suffix(end).is_some_and(|rest| rest.ends_with('/'));
    (ends(place, path) || ends(path, place)).then(|| place.len().min(path.len()))
}

/// The files of a version that belong at a place: those whose path agrees with it the furthest. Several only where the
/// place says less than their paths do.
pub fn belonging<'f>(files: impl IntoIterator<Item = &'f ApprovedFile>, place: &str) -> Vec<&'f ApprovedFile> {
    let mut found: Vec<(usize, &ApprovedFile)> =
        files.into_iter().filter_map(|file| Some((agreement(place, &file.path)?, file))).collect();
    let furthest = found.iter().map(|(length, _)| *length).max().unwrap_or(0);
    found.retain(|(length, _)| *length == furthest);
    found.into_iter().map(|(_, file)| file).collect()
}

/// Files of approved versions that are not there: of each model those of the version that is there for the most part.
/// Of a model of which nothing is there nothing is missing, unless it was asked for by name.
pub fn missing<'a>(
    approvals: impl IntoIterator<Item = &'a Approval>,
    named: bool,
    lies: impl Fn(&Approval, &ApprovedFile) -> bool,
) -> Vec<(&'a Approval, &'a ApprovedFile)> {
    let mut nearest: std::collections::BTreeMap<&str, (&Approval, Vec<&ApprovedFile>)> =
        std::collections::BTreeMap::new();
    for approval in approvals.into_iter().filter(|approval| approval.status == Status::Approved) {
        let gone: Vec<&ApprovedFile> = approval.files.iter().filter(|file| !lies(approval, file)).collect();
        let there = named || gone.len() < approval.files.len();
        if there && nearest.get(approval.model.as_str()).is_none_or(|(_, fewest)| gone.len() < fewest.len()) {
            nearest.insert(&approval.model, (approval, gone));
        }
    }
    nearest.into_values().flat_map(|(approval, gone)| gone.into_iter().map(move |file| (approval, file))).collect()
}

/// Files of a model that end a whole path: each of its ends, as a list in JSON, is looked up.
const BY_ENDS: &str = "SELECT f.path, f.sha256, f.size, a.id, a.version, a.status
    FROM approval a CROSS JOIN json_each(?2) e CROSS JOIN approved_file f
    WHERE a.model = ?1 AND f.approval = a.id AND f.path = e.value ORDER BY a.time DESC, a.id DESC LIMIT ?3";

/// Files of a model that end a path which may be cut off in front, or that it ends.
const BY_SEARCH: &str = "SELECT f.path, f.sha256, f.size, a.id, a.version, a.status
    FROM approval a JOIN approved_file f ON f.approval = a.id
    WHERE a.model = ?1
      AND (f.path = ?2 OR substr(f.path, -length(?2) - 1) = '/' || ?2 OR substr(?2, -length(f.path) - 1) = '/' || f.path)
    ORDER BY a.time DESC, a.id DESC LIMIT ?3";

/// A file that belongs at a place by a decision.
struct Candidate {
    standing: Standing,
    sha256: Sha256,
}

impl State {
    /// How bytes stand at a place; of one model, or of any where none is known.
    pub fn stand(&self, model: Option<&str>, place: &str, digest: &Sha256) -> Result<Stand, StateError> {
        let best = |standings: Vec<Standing>| standings.into_iter().min_by_key(|standing| standing.status);
        let Some(model) = model else {
            // Elsewhere a file of a few bytes has those of many others: the name must be that of what was approved.
            let all = self.standings(digest, None)?.into_iter();
            let standing = best(all.filter(|standing| name(&standing.path) == name(place)).collect());
            let worth = standing.as_ref().map_or(Worth::Unapproved, |standing| standing.status.into());
            return Ok(Stand { worth, standing, expected: None });
        };
        let candidates = self.candidates(model, place)?;
        let here = candidates.iter().filter(|candidate| candidate.sha256 == *digest);
        let here = best(here.map(|candidate| candidate.standing.clone()).collect());
        let wanted = candidates.iter().find(|candidate| candidate.standing.status == Status::Approved);
        let (worth, standing) = if let Some(standing) = here {
            (standing.status.into(), Some(standing))
        } else if let Some(standing) = best(self.standings(digest, Some(model))?) {
            let exchanged = standing.status == Status::Approved && wanted.is_some();
            (if exchanged { Worth::Exchanged } else { standing.status.into() }, Some(standing))
        } else {
            // Those in force come first.
            let elsewhere = self.standings(digest, None)?.into_iter().next();
            match elsewhere.filter(|standing| standing.status == Status::Approved) {
                Some(standing) => (Worth::Exchanged, Some(standing)),
                None => (Worth::Unapproved, None),
            }
        };
        let expected = wanted.map(|wanted| (wanted.standing.version.clone(), wanted.sha256));
        Ok(Stand { worth, standing, expected: expected.filter(|_| worth != Worth::Approved) })
    }

    /// The file that a model should be served with at a place, by the newest decision that holds: its version
    /// and digest. A path counts when it is the end of the place, or the place that of the path.
    pub fn expected(&self, model: &str, place: &str) -> Result<Option<(String, Sha256)>, StateError> {
        let candidates = self.candidates(model, place)?;
        let wanted = candidates.into_iter().find(|candidate| candidate.standing.status == Status::Approved);
        Ok(wanted.map(|wanted| (wanted.standing.version, wanted.sha256)))
    }

    /// Of each decision about a model the files that belong at a place, the newest decision first.
    fn candidates(&self, model: &str, place: &str) -> Result<Vec<Candidate>, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(if place.starts_with('/') { BY_ENDS } else { BY_SEARCH })?;
        let most = i64::try_from(CANDIDATES_MAX).unwrap_or(i64::MAX);
        let ends: Vec<&str> = place.match_indices('/').filter_map(|(slash, _)| place.get(slash + 1..)).collect();
        let ends = if place.starts_with('/') { serde_json::json!(ends).to_string() } else { place.to_owned() };
        let mut rows = statement.query(params![model, ends, most])?;
        let mut decisions: Vec<(i64, String, Status, Vec<ApprovedFile>)> = Vec::new();
        while let Some(row) = rows.next()? {
            let (id, status): (i64, String) = (row.get(3)?, row.get(5)?);
            match decisions.last_mut().filter(|(last, ..)| *last == id) {
                Some((.., files)) => files.push(file(row)?),
                None => decisions.push((id, row.get(4)?, Status::parse(&status), vec![file(row)?])),
            }
        }
        let mut candidates = Vec::new();
        for (_, version, status, files) in decisions {
            for ApprovedFile { path, sha256, .. } in belonging(&files, place) {
                let standing =
                    Standing { model: model.to_owned(), version: version.clone(), path: path.clone(), status };
                candidates.push(Candidate { standing, sha256: *sha256 });
            }
        }
        Ok(candidates)
    }
}
