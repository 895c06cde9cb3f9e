//! Tensors under another name: swapped, copied, renamed, or in another order within.

use std::collections::HashMap;

use super::TensorMeasure;
use super::compare::{Model, Tensor};
use super::kinds::Kind;
use super::words::{count, names, that};
use crate::event::{Difference, Grade};

/// Bytes below which two tensors may well be alike by chance.
const BYTES_MIN: u64 = 128;

pub fn find(model: &Model<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    let moved = moved(model);
    if let Some((tensor, from)) = moved.first() {
        let tensors: Vec<Tensor<'_>> = moved.iter().map(|(tensor, _)| *tensor).collect();
        found.push(Difference::new(
            "weights.swap",
            Grade::Hostile,
            tensor.name(),
            format!(
                "{} what another tensor of the old version held, to the last bit: {} ({} has what was {from})",
                that(tensors.len(), "tensor", "holds", "hold"),
                names(&tensors),
                tensor.name()
            ),
        ));
    }
    let permuted = model.of_kind(|kind| kind == Kind::Permuted);
    if let Some(first) = permuted.first() {
        let words = format!(
            "rows or columns of {} came back in another order, each as it was: {}",
            count(permuted.len(), "tensor"),
            names(&permuted)
        );
        found.push(Difference::new("weights.swap", Grade::Hostile, first.name(), words));
    }
    found
}

/// Tensors that have the bytes of another one of the old version, with its name.
pub fn moved<'m>(model: &Model<'m>) -> Vec<(Tensor<'m>, &'m str)> {
    let mut olds: HashMap<[u8; 32], &'m str> = HashMap::new();
    for tensor in &model.tensors {
        if let Some(old) = tensor.pair.old.filter(|old| telling(old)) {
            olds.entry(old.digest).or_insert(tensor.pair.name);
        }
    }
    let of = |tensor: &Tensor<'m>| {
        let (old, new) = (tensor.pair.old?, tensor.pair.new?);
        let from = olds.get(&new.digest).filter(|_| old.digest != new.digest && old.shape == new.shape)?;
        // Tied weights go together.
        (*from != tensor.pair.name).then_some((*tensor, *from))
    };
    model.tensors.iter().filter_map(of).collect()
}

/// Not of one number only, as norms and biases are before they are trained.
fn telling(tensor: &TensorMeasure) -> bool {
    tensor.len() >= BYTES_MIN && tensor.stats.is_none_or(|stats| stats.min < stats.max)
}

/// Names of tensors that were added under one name and removed under another with the same bytes.
pub fn renamed<'m>(model: &Model<'m>) -> Vec<(&'m str, &'m str)> {
    let removed = model.of_kind(|kind| kind == Kind::Removed);
    let mut olds: HashMap<[u8; 32], &str> = HashMap::new();
    for tensor in &removed {
        if let Some(old) = tensor.pair.old {
            olds.insert(old.digest, tensor.pair.name);
        }
    }
    let added = model.of_kind(|kind| kind == Kind::Added);
    let of = |tensor: Tensor<'m>| Some((olds.remove(&tensor.pair.new?.digest)?, tensor.pair.name));
    added.into_iter().filter_map(of).collect()
}
