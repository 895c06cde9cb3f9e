//! Weights: what one pass measures, and what two versions differ in.

mod classes;
mod measures;
mod model;
mod places;
mod suite;
