//! Two versions of a model: what happened to each tensor, and what that means for the whole.

use std::collections::{HashMap, HashSet};

use super::classify::{self, kind};
use super::kinds::Kind;
use super::pairs::{Pair, pairs};
use super::table::{Row, row};
use super::{Measured, edits, spread, swaps};
use crate::artifact::Bytes;
use crate::event::Difference;

/// What was found, as classes and as a table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comparison {
    /// What matters most first.
    pub differences: Vec<Difference>,
    /// Every tensor of either version.
    pub table: Vec<Row>,
}

impl Comparison {
    /// Compares what was measured; with the bytes of both at hand (old, new), also what only they can tell. Reads
    /// both once where tensors differ, unless `stop` says so: then the rest is told from what was measured.
    pub fn of(old: &Measured, new: &Measured, both: Option<(&dyn Bytes, &dyn Bytes)>, stop: &dyn Fn() -> bool) -> Self {
        let pairs = pairs(old, new, both, stop);
        let model = Model::new(&pairs);
        let mut differences = Vec::new();
        for find in [swaps::find, edits::find, spread::find] {
            differences.extend(find(&model));
        }
        differences.sort_by_key(|difference: &Difference| std::cmp::Reverse(difference.grade));
        let table = model.tensors.iter().map(|tensor| row(tensor.pair, tensor.kind)).collect();
        Self { differences, table }
    }
}

/// The differences alone.
pub fn compare(
    old: &Measured,
    new: &Measured,
    both: Option<(&dyn Bytes, &dyn Bytes)>,
    stop: &dyn Fn() -> bool,
) -> Vec<Difference> {
    Comparison::of(old, new, both, stop).differences
}

/// The table alone.
pub fn table(
    old: &Measured,
    new: &Measured,
    both: Option<(&dyn Bytes, &dyn Bytes)>,
    stop: &dyn Fn() -> bool,
) -> Vec<Row> {
    Comparison::of(old, new, both, stop).table
}

/// One tensor with what happened to it.
#[derive(Clone, Copy)]
pub struct Tensor<'p> {
    pub pair: &'p Pair<'p>,
    pub kind: Kind,
    pub is_matrix: bool,
}

impl<'p> Tensor<'p> {
    pub const fn name(&self) -> &'p str {
        self.pair.name
    }

    pub fn rel(&self) -> f64 {
        self.pair.change.as_ref().map_or(0.0, |change| change.rel)
    }

    pub fn top(&self) -> f64 {
        self.pair.change.as_ref().map_or(0.0, super::pairs::Change::top)
    }
}

/// All tensors of both versions.
pub struct Model<'p> {
    pub tensors: Vec<Tensor<'p>>,
    /// Indices of the matrices of each role.
    roles: HashMap<&'p str, Vec<usize>>,
}

impl<'p> Model<'p> {
    fn new(pairs: &'p [Pair<'p>]) -> Self {
        let tensor = |pair| Tensor { pair, kind: kind(pair), is_matrix: classify::is_matrix(pair) };
        let tensors: Vec<Tensor<'p>> = pairs.iter().map(tensor).collect();
        let mut roles: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, tensor) in tensors.iter().enumerate().filter(|(_, tensor)| tensor.is_matrix) {
            roles.entry(tensor.pair.role.name.as_str()).or_default().push(index);
        }
        let mut model = Self { tensors, roles };
        let moved: HashSet<&str> = swaps::moved(&model).into_iter().map(|(tensor, _)| tensor.name()).collect();
        for tensor in model.tensors.iter_mut().filter(|tensor| moved.contains(tensor.pair.name)) {
            tensor.kind = Kind::Moved;
        }
        model
    }

    pub fn of_kind(&self, wanted: impl Fn(Kind) -> bool) -> Vec<Tensor<'p>> {
        self.tensors.iter().copied().filter(|tensor| wanted(tensor.kind)).collect()
    }

    pub fn matrices(&self) -> impl Iterator<Item = &Tensor<'p>> {
        self.tensors.iter().filter(|tensor| tensor.is_matrix)
    }

    /// Matrices of the same role, the tensor itself among them.
    pub fn role(&self, tensor: &Tensor<'_>) -> Vec<Tensor<'p>> {
        let indices = self.roles.get(tensor.pair.role.name.as_str()).map(Vec::as_slice).unwrap_or_default();
        indices.iter().filter_map(|index| self.tensors.get(*index).copied()).collect()
    }

    /// True where hardly a matrix was trained or replaced: what is left stands out by itself.
    pub fn is_calm(&self) -> bool {
        let trained = self.matrices().filter(|tensor| matches!(tensor.kind, Kind::Trained | Kind::Replaced)).count();
        trained <= 1 || trained.saturating_mul(20) <= self.matrices().count()
    }
}
