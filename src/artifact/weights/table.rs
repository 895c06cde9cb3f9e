//! The table of tensors that people read: one row each, with the figures that led to its class.

use serde::Serialize;

use super::kinds::Kind;
use super::pairs::{Change, Pair};

/// One tensor of either version.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    pub name: String,
    /// Of the new version; of the old one where it was removed.
    pub dtype: String,
    pub shape: Vec<u64>,
    /// The number of its layer, the name without numbers: bars are drawn for each.
    pub layer: Option<u32>,
    pub role: String,
    /// What happened: `equal`, `trained`, `rank-one`; see [`Kind`].
    pub kind: &'static str,
    /// Length of the difference as a share of the length of the old tensor.
    pub rel: Option<f64>,
    /// Share of the numbers that differ, where the bytes of both were read.
    pub changed: Option<f64>,
    /// Singular values above rounding; at most as many as the sketch is wide.
    pub rank: Option<usize>,
    /// Share of the energy of the difference that lies along one direction.
    pub top: Option<f64>,
    pub cosine: Option<f64>,
    /// Rows that differ, of matrices.
    pub rows: Option<usize>,
}

pub fn row(pair: &Pair<'_>, kind: Kind) -> Row {
    let tensor = pair.new.or(pair.old);
    let change = pair.change.as_ref();
    let matrix = change.filter(|change| change.is_matrix());
    Row {
        name: pair.name.to_owned(),
        dtype: tensor.map(|tensor| tensor.dtype.clone()).unwrap_or_default(),
        shape: tensor.map(|tensor| tensor.shape.clone()).unwrap_or_default(),
        layer: pair.role.layer.first().copied(),
        role: pair.role.name.clone(),
        kind: kind.as_str(),
        rel: if kind == Kind::Equal { Some(0.0) } else { change.map(|change| change.rel) },
        changed: if kind == Kind::Equal { Some(0.0) } else { change.and_then(Change::changed_share) },
        rank: matrix.and_then(Change::rank),
        top: matrix.map(Change::top),
        cosine: change.map(|change| change.cosine),
        rows: matrix.map(|change| change.changed_rows),
    }
}
