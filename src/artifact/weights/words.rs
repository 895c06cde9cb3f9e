//! Sentences about tensors.

use super::compare::Tensor;

/// Names that a sentence lists.
const NAMES_MAX: usize = 4;

/// `a, b and 3 more`.
pub fn names(tensors: &[Tensor<'_>]) -> String {
    let shown: Vec<&str> = tensors.iter().take(NAMES_MAX).map(Tensor::name).collect();
    let more = tensors.len().saturating_sub(shown.len());
    let list = shown.join(", ");
    if more == 0 { list } else { format!("{list} and {more} more") }
}

/// `1 tensor`, `2 tensors`.
pub fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {}", many(one)) }
}

/// `1 tensor differs`, `2 tensors differ`.
pub fn that(number: usize, one: &str, does: &str, they: &str) -> String {
    format!("{} {}", count(number, one), if number == 1 { does } else { they })
}

fn many(one: &str) -> String {
    match one {
        "matrix" => "matrices".to_owned(),
        "row or column" => "rows or columns".to_owned(),
        one => format!("{one}s"),
    }
}

/// A share with three significant digits.
pub fn share(number: f64) -> String {
    if number == 0.0 {
        "0".to_owned()
    } else if !(1e-3..1e4).contains(&number.abs()) {
        format!("{number:.2e}")
    } else {
        format!("{number:.4}")
    }
}

/// The one in the middle; 0 of none.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}
