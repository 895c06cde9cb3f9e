//! Marks of an edit: what no ordinary training or export leaves behind.

use std::collections::BTreeMap;

use super::classify::FEW;
use super::compare::{Model, Tensor};
use super::kinds::Kind;
use super::pairs::Change;
use super::spectrum::Spectrum;
use super::words::{count, median, names, share, that};
use crate::event::{Difference, Grade};

/// Cosine of two changes that write into one direction.
const SHARED: f64 = 0.9;
/// Tensors that must share it.
const SHARED_MIN: usize = 3;
/// Highest rank of a change that removes a direction.
const SHARED_RANK_MAX: usize = 4;
/// Matrices of an edit of one fact, and of several.
const ONE_MAX: usize = 3;
const SEVERAL_MAX: usize = 8;
/// Matrices that are looked at beside all of their peers.
const CANDIDATES_MAX: usize = 64;
/// Rows and columns of a surgery altogether.
const LINES_MAX: usize = 256;
/// An edit within a fine-tune: the share along one direction, and times the median and the most of its peers.
const PEER_TOP: f64 = 0.9;
const PEER_TIMES: f64 = 10.0;
const PEER_MOST: f64 = 5.0;
/// Where the changes of most matrices have one direction (a few steps of plain descent), one more says nothing.
const USUAL_TOP_MAX: f64 = 0.5;
const PEERS_MIN: usize = 3;

pub fn find(model: &Model<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    found.extend(low_bits(model));
    found.extend(few(model));
    found.extend(surgery(model));
    let low = low_rank(model);
    if low.iter().all(|difference| difference.grade != Grade::Hostile) {
        found.extend(hidden(model));
    }
    found.extend(low);
    found.extend(transplant(model));
    found
}

fn low_bits(model: &Model<'_>) -> Option<Difference> {
    let tensors = model.of_kind(|kind| kind == Kind::LowBits);
    let first = tensors.first()?;
    let changes = || tensors.iter().filter_map(|tensor| tensor.pair.change.as_ref());
    let mask = changes().filter_map(|change| change.bits).fold(0, |mask, bits| mask | bits.mask);
    let numbers: u64 = changes().filter_map(|change| change.changed).sum();
    let words = format!(
        "only the lowest bits differ (mask {mask:#x}) in {numbers} numbers of {}, as a hidden payload leaves them; \
         training or rounding would have carried into the bits above: {}",
        count(tensors.len(), "tensor"),
        names(&tensors)
    );
    Some(Difference::new("weights.low_bit_payload", Grade::Hostile, first.name(), words))
}

fn few(model: &Model<'_>) -> Option<Difference> {
    let tensors = model.of_kind(|kind| matches!(kind, Kind::Few(_)));
    let first = tensors.first()?;
    let number = |tensor: &Tensor<'_>| if let Kind::Few(number) = tensor.kind { number } else { 0 };
    let total: u64 = tensors.iter().map(number).sum();
    let others = model.of_kind(|kind| {
        matches!(
            kind,
            Kind::Trained
                | Kind::Replaced
                | Kind::Pruned
                | Kind::Scaled
                | Kind::Rows(_)
                | Kind::Columns(_)
                | Kind::LowRank(_)
        )
    });
    if total > FEW || !others.is_empty() {
        return None;
    }
    let peak = |tensor: &Tensor<'_>| tensor.pair.new.and_then(|new| new.stats).map_or(0.0, |stats| stats.peak());
    let largest = tensors.iter().map(peak).fold(0.0, f32::max);
    let exact = first.pair.change.as_ref().is_some_and(|change| change.exact);
    let words = format!(
        "{}{} and nothing else does, as flipped bits do; the largest number there is now {largest:e}: {}",
        if exact { "" } else { "at least " },
        that(usize::try_from(total).unwrap_or(usize::MAX), "single weight", "differs", "differ"),
        names(&tensors)
    );
    Some(Difference::new("weights.few_weights", Grade::Hostile, first.name(), words))
}

fn surgery(model: &Model<'_>) -> Option<Difference> {
    let tensors = model.of_kind(|kind| matches!(kind, Kind::Rows(_) | Kind::Columns(_)));
    // Where everything was rounded, what stands out has been rounded as well: a table of which only the rows in use
    // were trained has not.
    let noisy = model.of_kind(|kind| kind == Kind::Noise).len() > tensors.len();
    let rounded = |tensor: &Tensor<'_>| {
        tensor.pair.change.as_ref().is_some_and(|change| match tensor.kind {
            Kind::Rows(rows) => change.changed_rows > rows.saturating_mul(2),
            Kind::Columns(columns) => change.changed_columns > columns.saturating_mul(2),
            _ => false,
        })
    };
    let tensors: Vec<Tensor<'_>> = tensors.into_iter().filter(|tensor| !noisy || rounded(tensor)).collect();
    let first = tensors.first().filter(|_| model.is_calm())?;
    let lines = |tensor: &Tensor<'_>| match tensor.kind {
        Kind::Rows(lines) | Kind::Columns(lines) => lines,
        _ => 0,
    };
    let total: usize = tensors.iter().map(lines).sum();
    let matrices = model.matrices().count();
    let wide = tensors.len() > SEVERAL_MAX && tensors.len().saturating_mul(3) > matrices;
    if total > LINES_MAX || wide {
        return None;
    }
    let what = match first.kind {
        Kind::Rows(_) => "row",
        _ => "column",
    };
    let at = first.pair.change.as_ref().map(rows_of).unwrap_or_default();
    let words = format!(
        "{} as a whole and nothing else does: {} of {}{at}",
        that(total, "row or column", "differs", "differ"),
        count(lines(first), what),
        names(&tensors)
    );
    Some(Difference::new("weights.row_surgery", Grade::Hostile, first.name(), words))
}

fn rows_of(change: &Change) -> String {
    let rows: Vec<String> = change.moved.iter().map(|(row, _)| row.to_string()).collect();
    if rows.is_empty() { String::new() } else { format!("; most changed are the rows {}", rows.join(", ")) }
}

fn rank(tensor: &Tensor<'_>) -> usize {
    if let Kind::LowRank(rank) = tensor.kind { rank } else { 0 }
}

fn low_rank(model: &Model<'_>) -> Vec<Difference> {
    let tensors = model.of_kind(|kind| matches!(kind, Kind::LowRank(_)));
    if let Some(found) = ablation(&tensors) {
        return vec![found];
    }
    let mut roles: BTreeMap<&str, Vec<Tensor<'_>>> = BTreeMap::new();
    for tensor in &tensors {
        roles.entry(tensor.pair.role.name.as_str()).or_default().push(*tensor);
    }
    let mut found = Vec::new();
    let one_role = roles.len() == 1;
    let everywhere = roles.values().any(|of_role| {
        let all = of_role.first().map_or(0, |tensor| model.role(tensor).len());
        of_role.len() > ONE_MAX && of_role.len().saturating_mul(3) > all.saturating_mul(2)
    });
    let trained = model.matrices().filter(|tensor| tensor.kind == Kind::Trained).count();
    if !everywhere && trained > tensors.len() {
        return Vec::new();
    }
    // A matrix that is trained for a few steps may move along one direction: then its head was trained as well.
    let alone = model.of_kind(|kind| matches!(kind, Kind::Trained | Kind::Replaced)).is_empty();
    let hostile = alone && !everywhere && tensors.len() <= if one_role { SEVERAL_MAX } else { ONE_MAX };
    let (Some(first), highest) = (tensors.first(), tensors.iter().map(rank).max().unwrap_or(0)) else { return found };
    let rels = median(tensors.iter().map(Tensor::rel).collect());
    let figures = format!(
        "the change of {} has rank {highest} (length {} of what was there): {}",
        count(tensors.len(), "matrix"),
        share(rels),
        names(&tensors)
    );
    let (class, grade, why) = match (hostile, highest) {
        (true, 1) => ("weights.rank_one_edit", Grade::Hostile, "an edit of a fact leaves that, training does not"),
        (true, _) => {
            ("weights.low_rank_edit", Grade::Hostile, "an edit of several facts leaves that, training does not")
        }
        (false, _) => ("weights.low_rank_update", Grade::Routine, "an adapter merged into all layers leaves that"),
    };
    found.push(Difference::new(class, grade, first.name(), format!("{figures}; {why}")));
    found
}

/// One direction taken out of (or put into) many matrices.
fn ablation(tensors: &[Tensor<'_>]) -> Option<Difference> {
    let low: Vec<Tensor<'_>> = tensors.iter().copied().filter(|tensor| rank(tensor) <= SHARED_RANK_MAX).collect();
    // Against each of the first few is enough: a direction that most share is among them.
    let shared = low.iter().take(16).map(|tensor| alike(&low, tensor)).max_by_key(Vec::len)?;
    let first = shared.first()?;
    if shared.len() < SHARED_MIN || shared.len().saturating_mul(5) < tensors.len().saturating_mul(3) {
        return None;
    }
    let words = format!(
        "{} changed along one and the same direction and nothing else of them did, as when a model is kept from \
         refusing: {}",
        count(shared.len(), "matrix"),
        names(&shared)
    );
    Some(Difference::new("weights.shared_direction_ablation", Grade::Hostile, first.name(), words))
}

/// Those whose change has the direction of that of one.
fn alike<'p>(tensors: &[Tensor<'p>], one: &Tensor<'_>) -> Vec<Tensor<'p>> {
    let Some(direction) = spectrum(one) else { return Vec::new() };
    let alike = |other: &&Tensor<'p>| spectrum(other).is_some_and(|other| direction.alike(other) >= SHARED);
    tensors.iter().filter(alike).copied().collect()
}

fn spectrum<'p>(tensor: &Tensor<'p>) -> Option<&'p Spectrum> {
    tensor.pair.change.as_ref().and_then(|change| change.spectrum.as_ref())
}

fn stands_alone(tensor: &Tensor<'_>) -> bool {
    (tensor.kind.is_broad() || matches!(tensor.kind, Kind::LowRank(_))) && tensor.top() > PEER_TOP
}

/// One matrix whose change has one direction and is far larger than that of its peers in other layers.
fn hidden(model: &Model<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    let changed = model.matrices().filter(|tensor| tensor.rel() > 0.0);
    if median(changed.map(Tensor::top).collect()) > USUAL_TOP_MAX {
        return found;
    }
    // More of them are no edit of a fact.
    for tensor in model.matrices().filter(|tensor| stands_alone(tensor)).take(CANDIDATES_MAX) {
        let others: Vec<Tensor<'_>> =
            model.role(tensor).into_iter().filter(|peer| peer.name() != tensor.name() && peer.rel() > 0.0).collect();
        let along = |tensor: &Tensor<'_>| tensor.rel() * tensor.top().sqrt();
        let (usual, most) = (median(others.iter().map(along).collect()), others.iter().map(along).fold(0.0, f64::max));
        let count = others.len();
        if count >= PEERS_MIN && along(tensor) > PEER_TIMES * usual && along(tensor) > PEER_MOST * most {
            let words = format!(
                "{} of the change lie along one direction, and along it is {:.0} times as much as in the same matrix of \
                 {count} other layers: an edit within a fine-tune",
                share(tensor.top()),
                along(tensor) / usual
            );
            found.push(Difference::new("weights.rank_one_edit", Grade::Hostile, tensor.name(), words));
        }
    }
    if found.len() > ONE_MAX {
        found.clear();
    }
    found
}

/// One matrix of one layer that has nothing to do with what was there, while its neighbours are what they were.
fn transplant(model: &Model<'_>) -> Vec<Difference> {
    let alone = |tensor: &&Tensor<'_>| {
        let role = &tensor.pair.role;
        let neighbours = || {
            model.matrices().filter(|other| other.pair.role.layer == role.layer && other.pair.role.name != role.name)
        };
        let peers = model.role(tensor);
        let replaced = peers.iter().filter(|peer| peer.kind == Kind::Replaced).count();
        !role.layer.is_empty()
            && peers.len() >= PEERS_MIN
            && replaced <= 1
            && neighbours().count() > 0
            && neighbours().all(|other| other.kind != Kind::Replaced && other.kind != Kind::Reshaped)
    };
    let replaced: Vec<&Tensor<'_>> = model.matrices().filter(|tensor| tensor.kind == Kind::Replaced).collect();
    if replaced.len() > CANDIDATES_MAX {
        return Vec::new();
    }
    let tensors: Vec<&Tensor<'_>> = replaced.into_iter().filter(alone).collect();
    if tensors.len() > 2 {
        return Vec::new();
    }
    let told = |tensor: &&Tensor<'_>| {
        let words = format!(
            "nothing of what was there is left (cosine {}), while the rest of its layer and the same matrix of other \
             layers are what they were: a matrix of another model",
            share(tensor.pair.change.as_ref().map_or(0.0, |change| change.cosine))
        );
        Difference::new("weights.transplant", Grade::Hostile, tensor.name(), words)
    };
    tensors.iter().map(told).collect()
}
