//! Sigma rules: parse, compile, match, explain.
//!
//! Rules know no artifact format and no source; they see declared fields only.
