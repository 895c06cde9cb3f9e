//! Places in which something was once overlooked.
