//! A table from hashes to ranges, made once and asked very often.

/// Entries by a 64-bit key; several entries of one key lie side by side.
#[derive(Debug, Default)]
pub struct Table {
    /// Open addressing: key, first entry, number of entries; none means empty.
    cells: Vec<(u64, u32, u32)>,
    mask: usize,
    entries: Vec<u32>,
}

impl Table {
    pub fn new(mut pairs: Vec<(u64, u32)>) -> Self {
        if pairs.is_empty() {
            return Self::default();
        }
        pairs.sort_unstable();
        let distinct = pairs.chunk_by(|a, b| a.0 == b.0).count();
        let size = (distinct * 2).next_power_of_two().max(4);
        let mask = size - 1;
        let mut cells = vec![(0, 0, 0); size];
        let mut first = 0;
        for chunk in pairs.chunk_by(|a, b| a.0 == b.0) {
            let (key, count) = (chunk[0].0, chunk.len());
            let mut at = spread(key) & mask;
            while cells[at].2 != 0 {
                at = (at + 1) & mask;
            }
            cells[at] = (key, index(first), index(count));
            first += count;
        }
        Self { cells, mask, entries: pairs.into_iter().map(|(_, entry)| entry).collect() }
    }

    #[inline]
    pub fn get(&self, key: u64) -> &[u32] {
        if self.cells.is_empty() {
            return &[];
        }
        let mut at = spread(key) & self.mask;
        // At most half of the cells are taken, so there is an empty one.
        loop {
            let (found, first, count) = self.cells[at];
            if count == 0 {
                return &[];
            }
            if found == key {
                return &self.entries[first as usize..(first + count) as usize];
            }
            at = (at + 1) & self.mask;
        }
    }

    pub const fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }
}

/// The upper bits are the well mixed ones, and 32 of them suffice.
const fn spread(key: u64) -> usize {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize
}

/// Counts here are bounded by the number of literals, far below 2^32.
pub fn index(count: usize) -> u32 {
    u32::try_from(count).expect("a set of rules has fewer literals than 2^32")
}
