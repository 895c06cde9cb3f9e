//! Rules of others made into rules over our own events, as text: comments, order and quotes stay.
//!
//! ```text
//! mapping  which logsource becomes which, and which field
//! edit     one file: what to change where, or why it cannot be
//! ```
//!
//! Only names of fields and the logsource change, and `lanner: {imported: true}` is added. The
//! changed text is read again and must say exactly that, or the file is refused.

mod edit;
pub mod mapping;

pub use edit::{Obstacle, import};
pub use mapping::Mapping;
