//! Signatures as they were last checked, by the place of the model.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{State, StateError, inventory};
use crate::event::Sha256;

/// What was found about the signature of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Path of the model.
    pub place: String,
    /// Identity of the model, where the signature is valid.
    pub root: Option<Sha256>,
    pub signer: String,
    /// `verified` or `failed`.
    pub verdict: String,
    /// Out of a closed set; empty when verified.
    pub reason: String,
    /// A digest over the names of files that differ or are not signed.
    pub names: String,
    /// Of what was there: names, sizes, times.
    pub fingerprint: String,
}

impl State {
    /// What was found about a model when it was last looked at.
    pub fn checked(&self, place: &str) -> Result<Option<Checked>, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT root, signer, verdict, reason, names, fingerprint FROM signature WHERE place = ?1",
        )?;
        let found = statement
            .query_row([place], |row| {
                Ok(Checked {
                    place: place.to_owned(),
                    root: inventory::digest(row, 0)?,
                    signer: row.get(1)?,
                    verdict: row.get(2)?,
                    reason: row.get(3)?,
                    names: row.get(4)?,
                    fingerprint: row.get(5)?,
                })
            })
            .optional()?;
        Ok(found)
    }

    /// Places of all models that were looked at.
    pub fn checked_places(&self) -> Result<Vec<String>, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT place FROM signature ORDER BY place")?;
        let places = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(places)
    }
}

pub(super) fn forget(connection: &Connection, place: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM signature WHERE place = ?1")?.execute([place]).map(drop)
}

pub(super) fn keep(connection: &Connection, checked: &Checked, now: i64) -> rusqlite::Result<()> {
    let Checked { place, root, signer, verdict, reason, names, fingerprint } = checked;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO signature (place, root, signer, verdict, reason, names, fingerprint, time)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![place, root.as_ref().map(Sha256::as_bytes), signer, verdict, reason, names, fingerprint, now])
        .map(drop)
}
