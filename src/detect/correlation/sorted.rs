//! Numbers in order, of which any one can be asked by its rank while others come and go.

use crate::detect::number::Number;

/// Numbers of one block before it is split.
const BLOCK_MAX: usize = 512;

/// Blocks of numbers, each in order and after the one before: what comes or goes moves the numbers of
/// one block only.
#[derive(Debug, Clone, Default)]
pub struct Sorted {
    blocks: Vec<Vec<Number>>,
    length: usize,
}

impl Sorted {
    pub const fn len(&self) -> usize {
        self.length
    }

    pub fn insert(&mut self, number: Number) {
        let at = self.block_of(number).min(self.blocks.len().saturating_sub(1));
        if self.blocks.is_empty() {
            self.blocks.push(Vec::new());
        }
        let Some(block) = self.blocks.get_mut(at) else { return };
        let place = block.partition_point(|other| other.compare(number).is_lt());
        block.insert(place, number);
        self.length += 1;
        if block.len() > BLOCK_MAX {
            let upper = block.split_off(BLOCK_MAX / 2);
            self.blocks.insert(at + 1, upper);
        }
    }

    /// Takes one such number out, if there is one.
    pub fn remove(&mut self, number: Number) {
        let at = self.block_of(number);
        let Some(block) = self.blocks.get_mut(at) else { return };
        let place = block.partition_point(|other| other.compare(number).is_lt());
        if block.get(place).is_some_and(|found| found.compare(number).is_eq()) {
            block.remove(place);
            self.length -= 1;
            if block.is_empty() {
                self.blocks.remove(at);
            }
        }
    }

    /// The number that so many come before.
    pub fn get(&self, mut rank: usize) -> Option<Number> {
        for block in &self.blocks {
            match block.get(rank) {
                Some(number) => return Some(*number),
                None => rank -= block.len(),
            }
        }
        None
    }

    /// The first block whose last number does not come before this one.
    fn block_of(&self, number: Number) -> usize {
        self.blocks.partition_point(|block| block.last().is_some_and(|last| last.compare(number).is_lt()))
    }
}
