//! What every new version may bring: training, exports, other shapes, other names.

use std::collections::HashSet;

use super::compare::{Model, Tensor};
use super::kinds::Kind;
use super::swaps;
use super::words::{count, median, names, share, that};
use crate::event::{Difference, Grade};

/// Tensors of one class that are told one by one.
const TOLD_MAX: usize = 16;
/// Of ten matrices, how many must be new for a model to be trained anew.
const RETRAINED: usize = 6;

pub fn find(model: &Model<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    found.extend(names_of(model));
    found.extend(one_by_one(model));
    found.extend(numeric(model));
    for (kind, class, words) in [
        (Kind::Pruned, "weights.pruned", "weights became zero and nearly no others changed"),
        (
            Kind::Scaled,
            "weights.scaled",
            "weights are the same times a factor, as weight decay or averaging leaves them",
        ),
    ] {
        let tensors = model.of_kind(|found| found == kind);
        if let Some(first) = tensors.first() {
            let words = format!("in {} {words}: {}", count(tensors.len(), "tensor"), names(&tensors));
            found.push(Difference::new(class, Grade::Routine, first.name(), words));
        }
    }
    found.extend(trained(model));
    if found.is_empty() && !model.tensors.is_empty() && model.of_kind(|kind| kind != Kind::Equal).is_empty() {
        found.push(Difference::new(
            "weights.metadata_only",
            Grade::Routine,
            "",
            format!("no tensor differs, of {}: what differs lies beside them, or in their order", model.tensors.len()),
        ));
    }
    found
}

fn names_of(model: &Model<'_>) -> Vec<Difference> {
    let renamed = swaps::renamed(model);
    let mut found = Vec::new();
    if let Some((old, new)) = renamed.first() {
        let words = format!(
            "{}: {old} is {new} now",
            that(
                renamed.len(),
                "tensor",
                "has another name and is what it was",
                "have other names and are what they were"
            )
        );
        found.push(Difference::new("weights.renamed", Grade::Routine, *new, words));
    }
    let known: HashSet<&str> = renamed.iter().flat_map(|(old, new)| [*old, *new]).collect();
    for (kind, class, what) in [(Kind::Added, "weights.added", "new"), (Kind::Removed, "weights.removed", "gone")] {
        let tensors = model.of_kind(|found| found == kind);
        let tensors: Vec<Tensor<'_>> = tensors.into_iter().filter(|tensor| !known.contains(tensor.name())).collect();
        if let Some(first) = tensors.first() {
            let words = format!("{} {what}: {}", that(tensors.len(), "tensor", "is", "are"), names(&tensors));
            found.push(Difference::new(class, Grade::Notable, first.name(), words));
        }
    }
    found
}

/// What is worth a sentence for each tensor.
fn one_by_one(model: &Model<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    let matrices = model.matrices().count();
    let replaced = model.of_kind(|kind| kind == Kind::Replaced);
    let anew = replaced.iter().filter(|tensor| tensor.is_matrix).count();
    let retrained = anew >= 2 && anew.saturating_mul(10) >= matrices.saturating_mul(RETRAINED);
    if retrained {
        let words = format!(
            "nothing is left of what was there in {anew} of {}: trained anew, or another model",
            count(matrices, "matrix")
        );
        found.push(Difference::new("weights.retrain", Grade::Notable, "", words));
    }
    for tensor in &model.tensors {
        let told = match tensor.kind {
            Kind::Reshaped => Some(("weights.reshaped", reshaped(tensor))),
            Kind::Exploded => Some(("weights.exploded", exploded(tensor))),
            Kind::Replaced if !retrained => Some((
                "weights.replaced",
                format!(
                    "nothing of what was there is left (cosine {}), as when a head is trained anew",
                    share(tensor.pair.change.as_ref().map_or(0.0, |change| change.cosine))
                ),
            )),
            Kind::Unseen => Some((
                "weights.tiny_change",
                "the bytes differ, by less than what was kept of the old version can tell; compare with its bytes"
                    .to_owned(),
            )),
            _ => None,
        };
        if let Some((class, words)) = told {
            found.push(Difference::new(class, Grade::Notable, tensor.name(), words));
        }
        if found.len() >= TOLD_MAX {
            let all =
                model.of_kind(|kind| matches!(kind, Kind::Reshaped | Kind::Exploded | Kind::Replaced | Kind::Unseen));
            if let Some(last) = found.last_mut() {
                last.words =
                    format!("{}; {} like this altogether, the table has them", last.words, count(all.len(), "tensor"));
            }
            break;
        }
    }
    found
}

fn reshaped(tensor: &Tensor<'_>) -> String {
    let (Some(old), Some(new)) = (tensor.pair.old, tensor.pair.new) else { return String::new() };
    let shape = |shape: &[u64]| shape.iter().map(u64::to_string).collect::<Vec<_>>().join("×");
    let kept = old
        .sketch
        .as_ref()
        .zip(new.sketch.as_ref())
        .filter(|(old, new)| old.width == new.width && old.columns == new.columns);
    let same = kept.is_some_and(|(old, new)| {
        let common = old.right.len().min(new.right.len());
        common > 0 && old.right.get(..common) == new.right.get(..common)
    });
    let rows = if same { "; the rows of both are the same as far as both go" } else { "" };
    format!("{} {} is {} {} now{rows}", old.dtype, shape(&old.shape), new.dtype, shape(&new.shape))
}

fn exploded(tensor: &Tensor<'_>) -> String {
    let stats = |measure: Option<&super::TensorMeasure>| measure.and_then(|measure| measure.stats);
    let (Some(old), Some(new)) = (stats(tensor.pair.old), stats(tensor.pair.new)) else { return String::new() };
    format!(
        "{} NaN and {} infinite numbers, and the largest is {:e}, where the largest was {:e}",
        new.nan,
        new.infinite,
        new.peak(),
        old.peak()
    )
}

/// Other types, and rounding within one.
fn numeric(model: &Model<'_>) -> Vec<Difference> {
    let converted = model.of_kind(|kind| kind == Kind::Converted);
    let noisy = model.of_kind(|kind| kind == Kind::Noise);
    let trained = model.matrices().filter(|tensor| tensor.kind == Kind::Trained).count();
    if let Some(first) = converted.first() {
        let (old, new) = (first.pair.old.map(|old| old.dtype.as_str()), first.pair.new.map(|new| new.dtype.as_str()));
        let words = format!(
            "{} went from {} to {}, no further than rounding goes",
            count(converted.len(), "tensor"),
            old.unwrap_or_default(),
            new.unwrap_or_default()
        );
        return vec![Difference::new("weights.numeric_conversion", Grade::Routine, first.name(), words)];
    }
    let alone =
        noisy.iter().any(|tensor| tensor.is_matrix) || model.of_kind(|kind| kind != Kind::Equal).len() == noisy.len();
    if !alone || noisy.len() <= trained {
        return Vec::new();
    }
    let (rounded, moved): (Vec<Tensor<'_>>, Vec<Tensor<'_>>) = noisy.into_iter().partition(is_rounded);
    let unknown =
        rounded.iter().any(|tensor| tensor.pair.change.as_ref().is_some_and(|change| change.rounded.is_none()));
    let why = if unknown {
        "as rounding and quantisation leave them, or noise of that size"
    } else {
        "as rounding and quantisation leave them"
    };
    let mut found = Vec::new();
    for (tensors, class, grade, why) in [
        (rounded, "weights.numeric_conversion", Grade::Routine, why),
        (
            moved,
            "weights.noise",
            Grade::Notable,
            "and are not what rounding leaves: the new numbers are on no grid, or only some rows have other ones",
        ),
    ] {
        if let Some(first) = tensors.first() {
            let words = format!(
                "{} by small amounts that lie everywhere alike (length {} of what was there), {why}: {}",
                that(tensors.len(), "tensor", "differs", "differ"),
                share(median(tensors.iter().map(Tensor::rel).collect())),
                names(&tensors)
            );
            found.push(Difference::new(class, grade, first.name(), words));
        }
    }
    found
}

/// False where the new numbers are known to be no rounded ones, or where some rows of a matrix are what they were: who
/// rounds a matrix rounds all of it. What is as small as the type's own rounding says nothing.
fn is_rounded(tensor: &Tensor<'_>) -> bool {
    let Some(change) = &tensor.pair.change else { return true };
    let energy = tensor.pair.old.and_then(|old| old.stats).map_or(0.0, |stats| stats.l2 * stats.l2);
    let small = change.rel * change.rel * energy <= 9.0 * change.noise;
    let whole = !change.is_matrix() || change.changed_rows.saturating_mul(10) >= change.rows.saturating_mul(9);
    small || change.rounded != Some(false) && whole
}

fn trained(model: &Model<'_>) -> Vec<Difference> {
    let tensors = model.of_kind(|kind| kind == Kind::Trained);
    let Some(first) = tensors.first() else { return Vec::new() };
    let mut found = Vec::new();
    let words = format!(
        "{} of {} changed as training changes them (length {} of what was there); a fine-tune on poisoned data looks \
         no different",
        tensors.len(),
        count(model.tensors.len(), "tensor"),
        share(median(tensors.iter().map(Tensor::rel).collect()))
    );
    let place = if tensors.len() == 1 { first.name() } else { "" };
    found.push(Difference::new("weights.fine_tune", Grade::Routine, place, words));
    for tensor in tensors.iter().filter(|tensor| tensor.pair.role.is_embedding() && tensor.is_matrix) {
        let Some(change) = &tensor.pair.change else { continue };
        let rows: Vec<String> = change.moved.iter().map(|(row, _)| row.to_string()).collect();
        if change.rows > 1000 && !rows.is_empty() {
            let words =
                format!("the most changed of {} rows are {}: look whose tokens they are", change.rows, rows.join(", "));
            found.push(Difference::new("weights.moved_rows", Grade::Routine, tensor.name(), words));
        }
    }
    found
}
