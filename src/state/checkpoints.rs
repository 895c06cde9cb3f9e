//! How far sources had read, and which of them have completed a first listing.

use std::collections::BTreeMap;

use super::{State, StateError};

impl State {
    /// Committed checkpoints of one source, by key.
    pub fn checkpoints(&self, source: &str) -> Result<BTreeMap<String, serde_json::Value>, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT key, position FROM checkpoint WHERE source = ?1")?;
        let rows = statement.query_map([source], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        let mut checkpoints = BTreeMap::new();
        for row in rows {
            let (key, position) = row?;
            // A position that cannot be read is as good as none: the source starts that log anew.
            if let Ok(position) = serde_json::from_str(&position) {
                checkpoints.insert(key, position);
            }
        }
        Ok(checkpoints)
    }

    /// Whether the source has completed a first listing: before that, nothing counts as changed.
    pub fn is_listed(&self, source: &str) -> Result<bool, StateError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT 1 FROM listed WHERE source = ?1")?;
        Ok(statement.exists([source])?)
    }
}
