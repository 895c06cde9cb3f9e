//! What every source of a registry or store must do, whatever server is behind it.
//!
//! A server with its source is a [`World`]; [`everything`] is the contract. Each expectation is met within
//! [`PATIENCE`](super::harness::PATIENCE), by listings alone but for the part that says
//! otherwise.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use lanner::sources::Source;
use tokio::runtime::Runtime;

use super::harness::{Running, start_with};
use crate::peers::proxy::{Fault, Proxy};
use crate::support::runtime;

/// A real server, as the suite uses it.
pub trait World {
    /// The source, listing every second, by way of this address instead of the server's own: `127.0.0.1:port`.
    fn source(&self, by: &str) -> Arc<dyn Source>;
    /// `127.0.0.1:port` of the server.
    fn address(&self) -> String;
    /// The same source with credentials that the server refuses; `None` where it asks for none.
    fn stranger(&self) -> Option<Arc<dyn Source>>;
    /// Puts an entry, or replaces it.
    fn put(&mut self, name: &str, bytes: &[u8]);
    fn delete(&mut self, name: &str);
    /// What the key of the record of an entry's bytes ends with.
    fn key(&self, name: &str, bytes: &[u8]) -> String;
    fn stop(&mut self);
    fn start(&mut self);
    /// Puts many small entries; the fastest way there is.
    fn fill(&mut self, names: &[String]);
    /// Names that this kind of server takes, the odder the better.
    fn odd_names(&self) -> Vec<&'static str>;
    /// Makes what is there unreadable, in the middle, as a connection that breaks off would; false where there is a
    /// connection to do it to.
    fn damage(&mut self) -> bool {
        false
    }
    /// Undoes the damage.
    fn mend(&mut self) {}
    /// Whether there are notifications that may be missed: what a listing finds counts as found without them.
    fn has_hints(&self) -> bool {
        true
    }
    /// What the server's notification of an entry that was put says; `None` where there is none.
    fn hint(&self, _name: &str) -> Option<serde_json::Value> {
        None
    }
    /// How many entries the large listing has, where the tests must be over soon: fewer of servers that take long to fill.
    fn many(&self) -> usize {
        self.most()
    }
    /// How many it has at full length.
    fn most(&self) -> usize {
        10_000
    }
}

/// Whether large listings have their full length: `LANNER_SUITE_FULL=1`, as `make test-all` sets it.
fn is_full() -> bool {
    std::env::var_os("LANNER_SUITE_FULL").is_some()
}

/// For a large listing of a slow server.
const LONG: Duration = Duration::from_mins(15);

/// One source at work.
struct Watched {
    running: Running,
    runtime: Runtime,
}

impl Watched {
    fn start(source: Arc<dyn Source>) -> Self {
        let runtime = runtime();
        let running = runtime.block_on(async { start_with(source, std::collections::BTreeMap::new(), 1024) });
        Self { running, runtime }
    }

    fn listed(source: Arc<dyn Source>) -> Self {
        let mut watched = Self::start(source);
        watched.runtime.block_on(watched.running.listed());
        watched
    }

    #[track_caller]
    fn until(&mut self, what: &str, condition: impl Fn(&Running) -> bool) {
        self.runtime.block_on(self.running.until(what, condition));
    }

    fn until_within(&mut self, time: Duration, what: &str, condition: impl Fn(&Running) -> bool) {
        self.runtime.block_on(self.running.until_within(time, what, condition));
    }

    fn during(&mut self, time: Duration) {
        self.runtime.block_on(self.running.during(time));
    }

    fn key(&self, ending: &str) -> Option<&String> {
        self.running.records.keys().find(|key| key.ends_with(ending))
    }

    #[track_caller]
    fn until_there(&mut self, ending: &str) {
        let ending = ending.to_owned();
        self.until(&ending, |running| running.records.keys().any(|key| key.ends_with(&ending)));
    }

    #[track_caller]
    fn until_gone(&mut self, ending: &str) {
        let ending = ending.to_owned();
        self.until(&format!("{ending} to be gone"), |running| {
            !running.records.keys().any(|key| key.ends_with(&ending))
        });
    }

    /// The bytes that the source's store gives for a record.
    #[track_caller]
    fn bytes(&self, ending: &str) -> Vec<u8> {
        let key = self.key(ending).unwrap_or_else(|| panic!("{ending} is not there"));
        let artifact = self.running.records[key].artifact.clone().expect("it has bytes");
        let store = self.running.source.store().expect("it has a store");
        let opened = self.runtime.block_on(store.open(&artifact)).unwrap_or_else(|error| panic!("{key}: {error}"));
        let mut bytes = vec![0; usize::try_from(opened.len()).unwrap()];
        let mut read = 0;
        while read < bytes.len() {
            let count = opened.read_at(read as u64, &mut bytes[read..]).unwrap();
            assert!(count > 0, "{key} ends early");
            read += count;
        }
        bytes
    }

    fn stop(self) {
        drop(self.runtime.block_on(self.running.stop()));
    }
}

/// The whole contract.
pub fn everything(world: &mut impl World) {
    says_nothing_at_first(world);
    finds_changes(world);
    lists_less_while_hints_arrive(world);
    reads_odd_names(world);
    survives_an_outage(world);
    survives_bad_connections(world);
    waits_for_credentials(world);
    lists_many(world);
}

fn says_nothing_at_first(world: &mut impl World) {
    world.put("first/model.safetensors", b"first bytes");
    let mut watched = Watched::listed(world.source(&world.address()));
    assert!(
        watched.key(&world.key("first/model.safetensors", b"first bytes")).is_some(),
        "{:?}",
        watched.running.records.keys()
    );
    assert_eq!(watched.bytes(&world.key("first/model.safetensors", b"first bytes")), b"first bytes");
    watched.during(Duration::from_secs(4));
    assert_eq!(watched.running.log, [""; 0], "nothing happened, and nothing is told");
    assert!(watched.running.state().blind.is_empty(), "{:?}", watched.running.state());
    watched.stop();
}

fn finds_changes(world: &mut impl World) {
    let mut watched = Watched::listed(world.source(&world.address()));
    world.put("changes/a.pkl", b"one");
    watched.until_there(&world.key("changes/a.pkl", b"one"));
    let before = watched.running.log.len();
    world.put("changes/a.pkl", b"two");
    let key = world.key("changes/a.pkl", b"two");
    watched.until("the new bytes", |running| {
        running.log.iter().skip(before).any(|told| told.starts_with('+') && told.ends_with(&key))
    });
    assert_eq!(watched.bytes(&key), b"two");
    // Renamed: gone here, there again under another name.
    world.put("changes/b.pkl", b"two");
    world.delete("changes/a.pkl");
    watched.until_there(&world.key("changes/b.pkl", b"two"));
    watched.until_gone(&key);
    world.delete("changes/b.pkl");
    watched.until_gone(&world.key("changes/b.pkl", b"two"));
    let found = watched.running.metric("lanner_reconcile_found_total");
    assert!(found >= 4.0 || !world.has_hints(), "no hint told of these changes, and they were found: {found}");
    watched.stop();
}

/// Where there are hints: listings are left out, and what no hint told of is found all the same.
fn lists_less_while_hints_arrive(world: &mut impl World) {
    let name = "hinted/a.bin";
    let Some(hint) = world.hint(name) else { return };
    let stretched = |running: &Running| running.state().notes.contains_key("listing_stretched");
    let mut watched = Watched::listed(world.source(&world.address()));
    world.put(name, b"told of");
    watched.running.hints.push(1, hint);
    watched.until_there(&world.key(name, b"told of"));
    watched.until("fewer listings", stretched);
    watched.until("one to be left out", |running| running.metric("lanner_listings_left_out_total") >= 1.0);
    world.put("hinted/b.bin", b"not told of");
    watched.until_there(&world.key("hinted/b.bin", b"not told of"));
    watched.until("all listings", |running| !stretched(running));
    watched.stop();
}

fn reads_odd_names(world: &mut impl World) {
    let names = world.odd_names();
    for name in &names {
        world.put(name, name.as_bytes());
    }
    let watched = Watched::listed(world.source(&world.address()));
    for name in &names {
        assert_eq!(watched.bytes(&world.key(name, name.as_bytes())), name.as_bytes(), "{name}");
    }
    watched.stop();
    for name in &names {
        world.delete(name);
    }
}

fn survives_an_outage(world: &mut impl World) {
    world.put("outage/kept.bin", b"kept");
    let mut watched = Watched::listed(world.source(&world.address()));
    let told = watched.running.log.len();
    world.stop();
    watched.until("blindness", |running| !running.state().blind.is_empty());
    assert_eq!(watched.running.log.len(), told, "nothing is gone only because nobody answers");
    world.start();
    world.put("outage/new.bin", b"new");
    watched.until_there(&world.key("outage/new.bin", b"new"));
    watched.until("sight", |running| running.state().blind.is_empty());
    assert!(watched.key(&world.key("outage/kept.bin", b"kept")).is_some());
    watched.stop();
}

fn survives_bad_connections(world: &mut impl World) {
    let weights = vec![7; 100_000];
    world.put("slow/weights.bin", &weights);
    let key = world.key("slow/weights.bin", &weights);
    if world.damage() {
        world.mend();
        return survives_damage(world, &key, &weights);
    }
    let proxy = Proxy::start(&world.address());
    // Answers that break off are neither a listing nor bytes.
    let mut watched = Watched::listed(world.source(&proxy.address()));
    let told = watched.running.log.len();
    proxy.set(Fault::CutAfter(200));
    watched.until("blindness", |running| !running.state().blind.is_empty());
    watched.during(Duration::from_secs(2));
    assert_eq!(watched.running.log.len(), told, "half an answer says nothing");
    proxy.set(Fault::None);
    watched.until("sight", |running| running.state().blind.is_empty());
    proxy.set(Fault::Slow { bytes: 20_000, pause: Duration::from_millis(100) });
    assert_eq!(watched.bytes(&key), weights);
    proxy.set(Fault::None);
    watched.stop();
}

/// The same where nothing is between the source and what it watches.
fn survives_damage(world: &mut impl World, key: &str, weights: &[u8]) {
    let mut watched = Watched::listed(world.source(&world.address()));
    let told = watched.running.log.len();
    world.damage();
    watched.until("blindness", |running| !running.state().blind.is_empty());
    watched.during(Duration::from_secs(2));
    // That a name leads elsewhere may be told; of entries nothing is known.
    let entries = watched.running.log.iter().skip(told).filter(|told| told.starts_with('-') || told.contains("slow"));
    assert_eq!(entries.collect::<Vec<_>>(), [""; 0], "what cannot be read is neither there nor gone");
    world.mend();
    watched.until("sight", |running| running.state().blind.is_empty());
    assert_eq!(watched.bytes(key), weights);
    watched.stop();
}

fn waits_for_credentials(world: &mut impl World) {
    let Some(stranger) = world.stranger() else { return };
    let mut watched = Watched::start(stranger);
    watched.until("blindness", |running| !running.state().blind.is_empty());
    let blind = watched.running.state().blind;
    assert!(blind.contains_key("unauthorized") || blind.contains_key("forbidden"), "{blind:?}");
    assert!(!watched.running.listed, "it saw nothing");
    watched.stop();
    drop(Watched::listed(world.source(&world.address())));
}

fn lists_many(world: &mut impl World) {
    let many = if is_full() { world.most() } else { world.many() };
    let names: Vec<String> = (0..many).map(|number| format!("many/{number:05}.bin")).collect();
    world.fill(&names);
    // One goes while pages are turned: nothing else may be lost by it.
    let mut watched = Watched::start(world.source(&world.address()));
    world.delete(&names[names.len() / 2]);
    watched.until_within(LONG, "the first listing", |running| running.listed);
    let count = |running: &Running| running.records.keys().filter(|key| key.contains("many")).count();
    watched.until_within(LONG, "all but one", |running| count(running) == names.len() - 1);
    watched.during(Duration::from_secs(3));
    // An entry may be told by more than its bytes: those are what counts.
    let gone = watched.running.log.iter().filter(|told| told.starts_with('-') && told.contains("many"));
    let deleted: BTreeSet<&String> = gone.collect();
    assert!(deleted.len() <= 1, "only one is gone: {deleted:?}");
    watched.stop();
}
