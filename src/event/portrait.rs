//! What is kept of bytes so that later ones can be compared with them when they are gone.

/// What is kept, as bytes that an inventory stores without understanding them; `artifact` writes and reads them.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Portrait {
    /// Structures and texts.
    pub outline: Option<Vec<u8>>,
    /// Digests, statistics and sketches of tensors.
    pub measured: Option<Vec<u8>>,
}

impl Portrait {
    pub const fn is_empty(&self) -> bool {
        self.outline.is_none() && self.measured.is_none()
    }
}
