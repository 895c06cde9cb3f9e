//! Bytes read in parts: their budget, and what becomes of them when the artifact is another one in between.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::StreamExt as _;
use lanner::artifact::{Limits, Stop, inspect_parts};
use lanner::event::ArtifactRef;
use lanner::sources::remote::{Body, Entry, Fetched, Locate, Located, Remote, RemoteError};
use lanner::sources::{BoxFuture, Parts, Spent, Store as _, StoreError};

/// One object, of which any part is given; its version is counted on by a test.
#[derive(Clone)]
struct Shelf(Arc<(Vec<u8>, AtomicU64)>);

impl Remote for Shelf {
    fn list(&self) -> BoxFuture<'_, Result<Vec<Entry>, RemoteError>> {
        Box::pin(std::future::ready(Err(RemoteError::Missing)))
    }

    fn read<'a>(&'a self, _: &'a Entry, range: Range<u64>) -> BoxFuture<'a, Result<Body, StoreError>> {
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        let part = Bytes::copy_from_slice(&self.0.0[range]);
        Box::pin(async { Ok(futures_util::stream::iter([Ok(part)]).boxed()) })
    }
}

impl Locate for Shelf {
    fn locate<'a>(&'a self, artifact: &'a ArtifactRef) -> BoxFuture<'a, Result<Located, StoreError>> {
        let entry = Entry {
            address: artifact.path.clone(),
            key: artifact.path.clone(),
            size: self.0.0.len() as u64,
            claimed: None,
            version: Some(self.0.1.load(Ordering::Relaxed).to_string()),
            note: None,
            unreadable: None,
        };
        Box::pin(async { Ok((Arc::new(self.clone()) as Arc<dyn Remote>, entry)) })
    }
}

async fn open(shelf: &Shelf, whole_max: u64, bytes_max: u64) -> Option<Box<dyn Parts>> {
    let store = Fetched::new(Arc::new(shelf.clone()), whole_max);
    let artifact =
        ArtifactRef { store: "shelf".to_owned(), path: "m.pkl".to_owned(), version: None, lineage: "m".to_owned() };
    store.parts(&artifact, bytes_max, Stop::default()).await.unwrap()
}

/// A pickle of as many small texts, with a call of `os.system` at its end.
fn pickle(texts: usize) -> Vec<u8> {
    let mut bytes = b"\x80\x02(".to_vec();
    for _ in 0..texts {
        bytes.extend(b"X\x40\0\0\0");
        bytes.extend([b'a'; 64]);
    }
    bytes.extend(b"lcos\nsystem\n(S'echo end'\ntR.");
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_fetched_than_the_budget_allows_and_that_is_no_broken_file() {
    // 4 MB, all of which its format reads.
    let shelf = Shelf(Arc::new((pickle(60_000), AtomicU64::new(0))));
    assert!(open(&shelf, u64::MAX, 1 << 20).await.is_none(), "what is fetched whole is not read in parts");
    assert!(open(&shelf, 10, 0).await.is_none(), "nothing is fetched without a budget");
    let whole = open(&shelf, 10, 256 << 20).await.unwrap();
    let cut = open(&shelf, 10, 1 << 20).await.unwrap();
    let looked = tokio::task::spawn_blocking(move || {
        let limits = Limits::default();
        let looks = [&whole, &cut].map(|parts| (inspect_parts(&**parts, "m.pkl", &limits), parts.spent()));
        assert!(whole.unchanged() && cut.unchanged(), "nobody touched it");
        looks
    });
    let [(whole, all), (cut, some)] = looked.await.unwrap();
    let calls = |report: &lanner::artifact::Report| format!("{:?}", report.facts).contains("os.system");
    assert!(calls(&whole) && whole.issues.is_empty(), "{whole:?}");
    assert!(all.bytes >= 4_000_000, "{all:?}");
    assert!(!calls(&cut));
    assert!(some.bytes <= 1 << 20 && some.requests <= 4, "{some:?}");
    only_the_budget(&cut);
    assert!(!cut.facts.contains_key("artifact.pickle.broken"), "{:?}", cut.facts);
}

/// Nothing is said but that the budget was used up.
fn only_the_budget(report: &lanner::artifact::Report) {
    assert!(report.issues.iter().all(|issue| issue.code == "budget_exceeded"), "{report:?}");
    assert!(report.issues.iter().any(|issue| issue.detail.contains("parts_bytes_max")), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_decoder_could_not_fetch_is_no_broken_stream() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    std::io::Write::write_all(&mut encoder, &pickle(60_000)).unwrap();
    let shelf = Shelf(Arc::new((encoder.finish().unwrap(), AtomicU64::new(0))));
    let cut = open(&shelf, 10, 1 << 20).await.unwrap();
    let looked = tokio::task::spawn_blocking(move || inspect_parts(&*cut, "m.pkl.gz", &Limits::default()));
    only_the_budget(&looked.await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_replaced_while_it_is_read_is_noticed() {
    let shelf = Shelf(Arc::new((pickle(60_000), AtomicU64::new(0))));
    let parts = open(&shelf, 10, 256 << 20).await.unwrap();
    let replaced = shelf.clone();
    let looked = tokio::task::spawn_blocking(move || {
        assert_eq!(parts.spent(), Spent::default());
        let mut buffer = [0; 16];
        parts.read_at(0, &mut buffer).unwrap();
        assert!(parts.unchanged());
        replaced.0.1.fetch_add(1, Ordering::Relaxed);
        parts.unchanged()
    });
    assert!(!looked.await.unwrap());
}
