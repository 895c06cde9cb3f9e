//! The file as written, and the configuration as checked.

pub mod check;
pub mod load;
pub mod raw;
mod starting;

pub use check::{Checked, check};
pub use load::{Problem, load};
pub use raw::Config;
pub use starting::{builtin, example};
