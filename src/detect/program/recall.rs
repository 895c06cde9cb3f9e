//! Which texts a value had when it was last seen: most values of most fields come again and again.

/// Values that are remembered; a newer one takes the place of an older one.
const PLACES: usize = 256;
/// Bytes of a value that is remembered.
const VALUE_BYTES: usize = 88;
/// Atoms of such a value.
const ATOMS: usize = 6;

#[derive(Debug, Clone, Copy)]
struct Seen {
    /// One more than the number of the field; 0 in an empty place.
    field: u32,
    length: usize,
    count: usize,
    value: [u8; VALUE_BYTES],
    atoms: [u32; ATOMS],
}

/// Nothing here is allocated once the first event was matched, whatever the values.
#[derive(Debug, Default)]
pub struct Recall {
    places: Vec<Seen>,
}

impl Recall {
    /// The atoms that hold for a value of a field; `hash` is the value's.
    #[inline]
    pub fn get(&self, field: u32, hash: u64, value: &[u8]) -> Option<&[u32]> {
        let seen = self.places.get(place(field, hash))?;
        let same = seen.field == field + 1 && seen.value.get(..seen.length) == Some(value);
        if same { seen.atoms.get(..seen.count) } else { None }
    }

    /// Whether the value is short enough to be remembered.
    #[inline]
    pub const fn takes(value: &[u8]) -> bool {
        value.len() <= VALUE_BYTES
    }

    /// Remembers what a value had, if both are short.
    #[inline]
    pub fn put(&mut self, field: u32, hash: u64, value: &[u8], atoms: &[u32]) {
        if !Self::takes(value) || atoms.len() > ATOMS {
            return;
        }
        if self.places.is_empty() {
            let empty = Seen { field: 0, length: 0, count: 0, value: [0; VALUE_BYTES], atoms: [0; ATOMS] };
            self.places = vec![empty; PLACES];
        }
        let Some(seen) = self.places.get_mut(place(field, hash)) else { return };
        (seen.field, seen.length, seen.count) = (field + 1, value.len(), atoms.len());
        if let (Some(into), Some(list)) = (seen.value.get_mut(..value.len()), seen.atoms.get_mut(..atoms.len())) {
            into.copy_from_slice(value);
            list.copy_from_slice(atoms);
        }
    }
}

#[inline]
const fn place(field: u32, hash: u64) -> usize {
    ((hash >> 40) as usize).wrapping_add(field as usize * 31) % PLACES
}
