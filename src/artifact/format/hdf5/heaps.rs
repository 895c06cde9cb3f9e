//! Heaps and trees: where names, links, attributes and texts of no fixed length lie.

use super::object::{Object, Place};

/// Nodes of one tree, and blocks of one heap.
const NODES_MAX: usize = 20_000;
/// Bytes of one collection, and of all blocks of one heap.
const HEAP_MAX: u64 = 32 << 20;
const DEPTH_MAX: u8 = 32;
/// Bytes of one message within a block, with what stands in front of it.
const MESSAGE_MAX: usize = 65_600;

/// An object of a global heap.
pub fn global(place: Place<'_>, address: u64, index: u64) -> Option<Vec<u8>> {
    let mut head = place.cursor(address, 16);
    if head.take(4)? != b"GCOL" {
        return None;
    }
    head.take(4)?;
    let end = address.checked_add(head.length()?)?;
    let mut position = address.saturating_add(8).saturating_add(place.lengths as u64);
    for _ in 0..NODES_MAX {
        if position >= end {
            return None;
        }
        let mut head = place.cursor(position, 24);
        let found = head.number(2)?;
        head.take(6)?;
        let size = head.length()?;
        let start = position.saturating_add(8).saturating_add(place.lengths as u64);
        if found == index && found != 0 {
            let size = size.min(HEAP_MAX);
            return Some(place.input.read(start, usize::try_from(size).ok()?));
        }
        // Object 0 is what is left free, at the end.
        if found == 0 {
            return None;
        }
        position = start.checked_add(size.checked_next_multiple_of(8)?)?;
    }
    None
}

/// A name in a local heap.
pub fn name(place: Place<'_>, heap: u64, offset: u64) -> Option<Vec<u8>> {
    let mut head = place.cursor(heap, 64);
    if head.take(4)? != b"HEAP" {
        return None;
    }
    head.take(4)?;
    let size = head.length()?;
    head.length()?;
    let data = head.address()?;
    let left = size.checked_sub(offset)?.min(4096);
    Some(place.input.read(data.checked_add(offset)?, usize::try_from(left).ok()?))
}

/// The members of a group of the old kind: a tree of nodes with entries.
pub fn symbols(place: Place<'_>, tree: u64, object: &mut Object) {
    let mut queue = vec![(tree, 0_u8)];
    let mut seen = std::collections::HashSet::new();
    while let Some((address, depth)) = queue.pop() {
        if !seen.insert(address) || seen.len() > NODES_MAX || depth > DEPTH_MAX {
            object.broken.push("a group's tree goes in circles or is far too large");
            continue;
        }
        if node(place, address, depth, &mut queue, object).is_none() {
            object.broken.push("a node of a group's tree is broken");
        }
    }
}

fn node(place: Place<'_>, address: u64, depth: u8, queue: &mut Vec<(u64, u8)>, object: &mut Object) -> Option<()> {
    let mut head = place.cursor(address, 24);
    match head.take(4)? {
        b"TREE" => {
            head.take(2)?;
            let used = head.number(2)?;
            let start = address.saturating_add(8).saturating_add(place.offsets.saturating_mul(2) as u64);
            let each = place.offsets.saturating_add(place.lengths) as u64;
            let mut entries = place.cursor(start, used.saturating_mul(each));
            for _ in 0..used {
                entries.length()?;
                queue.push((entries.address()?, depth.saturating_add(1)));
            }
        }
        b"SNOD" => {
            head.take(2)?;
            let used = head.number(2)?;
            let each = place.offsets.saturating_mul(2).saturating_add(24) as u64;
            let mut entries = place.cursor(address.saturating_add(8), used.saturating_mul(each));
            for _ in 0..used {
                entries.address()?;
                let child = entries.address()?;
                let kind = entries.number(4)?;
                entries.take(20)?;
                // The second kind is a name for another object of this file.
                if kind != 2 && child != u64::MAX {
                    object.children.push(child);
                }
            }
        }
        _ => return None,
    }
    Some(())
}

/// Goes over a heap of links or attributes. `read` is given the bytes of a block from some place
/// on, and says how many it took; where it can make nothing of them, the next byte is tried, so
/// that nothing hides in what the heap's index calls free.
pub fn fractal(place: Place<'_>, address: u64, mut read: impl FnMut(&[u8]) -> Option<usize>) {
    if address == u64::MAX {
        return;
    }
    for (start, size) in blocks(place, address).unwrap_or_default() {
        let bytes = place.input.read(start, usize::try_from(size).unwrap_or(usize::MAX));
        let mut at = 0_usize;
        while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() > 4) {
            // Every link and attribute begins with a version; most places are none.
            let plausible = matches!(rest.first(), Some(1..=3));
            // Only what lies alone is longer than a message can be.
            let longest = if at == 0 { usize::MAX } else { MESSAGE_MAX };
            let taken = if plausible { read(rest.get(..longest).unwrap_or(rest)) } else { None };
            if plausible && taken.is_none() {
                let Some(left) = place.tries.get().checked_sub(1) else { return };
                place.tries.set(left);
            }
            at = at.saturating_add(taken.unwrap_or(1).max(1));
        }
    }
}

/// Messages that several objects share: the heaps of a table.
pub fn shared(place: Place<'_>, table: u64, indices: u8, mut read: impl FnMut(&[u8]) -> Option<usize>) {
    let mut cursor = place.cursor(table, 4096);
    if cursor.take(4) != Some(b"SMTB") {
        return;
    }
    for _ in 0..indices.min(8) {
        if cursor.take(14).is_none() || cursor.address().is_none() {
            return;
        }
        let Some(heap) = cursor.address() else { return };
        fractal(place, heap, &mut read);
    }
}

/// The direct blocks of a heap: where their content begins, and its length.
fn blocks(place: Place<'_>, address: u64) -> Option<Vec<(u64, u64)>> {
    let mut head = place.cursor(address, 256);
    if head.take(4)? != b"FRHP" {
        return None;
    }
    head.take(3)?;
    let filters = head.number(2)?;
    let checked = head.byte()? & 2 != 0;
    head.take(4)?;
    head.length()?;
    let apart = head.address()?;
    head.length()?;
    head.address()?;
    for _ in 0..8 {
        head.length()?;
    }
    let width = head.number(2)?;
    let first = head.length()?;
    let largest = head.length()?;
    let bits = head.number(2)?;
    head.number(2)?;
    let root = head.address()?;
    let rows = head.number(2)?;
    // Filtered heaps are compressed; nobody writes links so.
    if filters > 0 {
        return None;
    }
    let mut found = huge(place, apart).unwrap_or_default();
    if root == u64::MAX || first == 0 || largest < first || width == 0 {
        return Some(found);
    }
    let prefix = 5_u64
        .saturating_add(place.offsets as u64)
        .saturating_add(bits.div_ceil(8))
        .saturating_add(if checked { 4 } else { 0 });
    let inner = |start: u64, size: u64| (start.saturating_add(prefix), size.saturating_sub(prefix));
    if rows == 0 {
        found.push(inner(root, first));
        return Some(found);
    }
    let table = Table { width, first, largest, bits };
    let mut left = HEAP_MAX;
    let mut queue = vec![(root, rows, 0_u8)];
    let mut visited = 0_usize;
    while let Some((address, rows, depth)) = queue.pop() {
        visited = visited.saturating_add(1);
        if depth > DEPTH_MAX || visited > NODES_MAX {
            break;
        }
        let start = address.saturating_add(prefix.saturating_sub(if checked { 4 } else { 0 }));
        let children = rows.min(64).saturating_mul(width.min(1024));
        let mut cursor = place.cursor(start, children.saturating_mul(place.offsets as u64));
        if !place.input.read(address, 4).starts_with(b"FHIB") {
            continue;
        }
        for child in 0..children {
            let Some(address) = cursor.address() else { break };
            let size = table.size(child / width);
            if address == u64::MAX {
                continue;
            }
            if size <= largest {
                left = left.saturating_sub(size);
                if left > 0 && found.len() < NODES_MAX {
                    found.push(inner(address, size));
                }
            } else {
                queue.push((address, table.rows(size), depth.saturating_add(1)));
            }
        }
    }
    Some(found)
}

/// What is too long for a block lies apart, and is found by a tree: its places and lengths.
fn huge(place: Place<'_>, tree: u64) -> Option<Vec<(u64, u64)>> {
    let mut head = place.cursor(tree, 64);
    if tree == u64::MAX || head.take(4)? != b"BTHD" {
        return None;
    }
    head.take(2)?;
    let node = head.number(4)?;
    let record = head.number(2)?;
    let depth = head.number(2)?;
    head.take(2)?;
    let root = head.address()?;
    let records = head.number(2)?;
    if record == 0 || depth > 2 {
        return None;
    }
    let fits = node.saturating_sub(10).checked_div(record)?;
    let mut found = Vec::new();
    let mut queue = vec![(root, records, depth)];
    let mut visited = 0_usize;
    while let Some((address, records, depth)) = queue.pop() {
        visited = visited.saturating_add(1);
        if visited > NODES_MAX || found.len() > NODES_MAX {
            break;
        }
        let mut body = place.cursor(address, node.min(1 << 20));
        let kind = body.take(4)?;
        if kind != b"BTLF" && kind != b"BTIN" {
            continue;
        }
        body.take(2)?;
        for _ in 0..records.min(fits) {
            let bytes = body.take(usize::try_from(record).ok()?)?.to_vec();
            let mut entry = body.over(bytes);
            found.push((entry.address()?, entry.length()?.min(HEAP_MAX)));
        }
        if depth > 0 {
            // Counts are as wide as the largest that can be; above the last floor stand totals, too.
            let width = usize::try_from(fits.checked_ilog2().unwrap_or(0) / 8).ok()?.saturating_add(1);
            for _ in 0..=records.min(fits) {
                let (child, count) = (body.address()?, body.number(width)?);
                queue.push((child, count, depth.saturating_sub(1)));
                if depth > 1 {
                    body.take(width.saturating_add(1))?;
                }
            }
        }
    }
    Some(found)
}

/// Sizes of blocks double from the second row on.
struct Table {
    width: u64,
    first: u64,
    largest: u64,
    bits: u64,
}

impl Table {
    fn size(&self, row: u64) -> u64 {
        let doublings = u32::try_from(row.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.checked_shl(doublings.min(63)).unwrap_or(u64::MAX).max(self.first)
    }

    /// Rows of an indirect block that covers so much.
    fn rows(&self, size: u64) -> u64 {
        let covered = size / self.first.saturating_mul(self.width).max(1);
        let rows = u64::from(covered.checked_ilog2().unwrap_or(0)).saturating_add(1);
        rows.min(self.bits).min(u64::from(self.largest.checked_ilog2().unwrap_or(0)).saturating_add(64))
    }
}
