//! The program as a whole: real servers, real files, real signals.

mod accepting;
mod addresses;
mod baseline;
mod bom;
pub mod bounds;
mod buckets;
mod cache;
mod cache_refs;
mod choosing;
mod decided;
mod doctor;
mod doctor_places;
mod faults;
mod hints;
mod hostile_addresses;
mod hostile_trees;
mod hub;
mod images;
mod kill;
mod large;
mod lease;
mod logs;
mod outage;
mod parts;
mod registry;
mod registry_buckets;
mod registry_losses;
mod reload;
mod reports;
mod repositories;
mod scanning;
mod sequence;
mod served;
mod servers;
mod signed;
mod storm;
mod telemetry;
mod told;
mod told_again;
mod traces;
mod tuning;
mod verbs;

use crate::support::receiver::{Delivery, Receiver};

/// A pickle that would print a word if somebody loaded it, which nobody does.
pub fn calls_os_system(word: &str) -> Vec<u8> {
    format!("cos\nsystem\n(S'echo {word}'\ntR.").into_bytes()
}

/// Rule ids of what a webhook took.
pub fn rules(receiver: &Receiver) -> Vec<String> {
    receiver.taken().iter().map(rule).collect()
}

/// The rule that a delivery tells of.
pub fn rule(delivery: &Delivery) -> String {
    text(&delivery.json(), "/data/unmapped/rule_id")
}

/// What a delivery is about.
pub fn subject(delivery: &Delivery) -> String {
    text(&delivery.json(), "/subject")
}

fn text(json: &serde_json::Value, pointer: &str) -> String {
    json.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}
