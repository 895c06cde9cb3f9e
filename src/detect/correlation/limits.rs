//! Bounds of what correlations may remember.

/// Everything that grows with what sources tell has a bound here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Groups of all correlations together.
    pub groups_max: usize,
    /// Entries of one group.
    pub group_entries_max: usize,
    /// Bytes of all groups together, counted with room for what collections keep in reserve.
    pub bytes_max: usize,
    /// Milliseconds by which an event may be older than the newest one of its source or group.
    pub lateness_millis: i64,
}

impl Limits {
    /// What the configuration changes.
    pub const DEFAULT: Self =
        Self { groups_max: 500_000, group_entries_max: 10_000, bytes_max: 256 << 20, lateness_millis: 300_000 };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Groups, or counted values, that one event may belong to through fields that are lists.
pub const COMBINATIONS_MAX: usize = 16;
/// Sources whose event time is followed; further ones share one.
pub const SOURCES_MAX: usize = 1024;
/// Characters of a group's value shown to people.
pub const VALUE_CHARS_MAX: usize = 200;
/// Bytes of the evidence of one entry.
pub const EVIDENCE_BYTES_MAX: usize = 512;
/// Fields of it.
pub const EVIDENCE_FIELDS_MAX: usize = 6;
/// Characters of one of them.
pub const EVIDENCE_CHARS_MAX: usize = 80;
/// The first entries of a group that keep their evidence.
pub const EVIDENCE_FIRST: usize = 8;
/// The last entries of a group that keep their evidence.
pub const EVIDENCE_LAST: usize = 16;

/// Why something that was remembered had to go before its time: a closed set, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Eviction {
    /// More groups than allowed: the one that was least recently touched went.
    Groups,
    /// More bytes than allowed: likewise.
    Bytes,
    /// More entries in one group than allowed: its oldest went.
    Entries,
}

impl Eviction {
    pub const ALL: [Self; 3] = [Self::Groups, Self::Bytes, Self::Entries];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Groups => "groups",
            Self::Bytes => "bytes",
            Self::Entries => "entries",
        }
    }
}

/// Why an event that matched was not counted: a closed set, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Uncounted {
    /// It lacks a field that groups are told apart by.
    NoGroup,
    /// It lacks the field whose values are counted, or that is no number where one is needed.
    NoValue,
    /// Its lists give more groups or values than allowed; those beyond were left out.
    TooMany,
    /// Its id was counted before.
    Repeat,
}

impl Uncounted {
    pub const ALL: [Self; 4] = [Self::NoGroup, Self::NoValue, Self::TooMany, Self::Repeat];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoGroup => "no_group",
            Self::NoValue => "no_value",
            Self::TooMany => "too_many",
            Self::Repeat => "repeat",
        }
    }
}

/// What a correlator holds and has counted since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub groups: usize,
    pub entries: usize,
    pub bytes: usize,
    pub late: u64,
    /// By [`Eviction::ALL`].
    pub evictions: [u64; 3],
    /// By [`Uncounted::ALL`].
    pub uncounted: [u64; 4],
}

impl Counts {
    pub(super) fn evicted(&mut self, reason: Eviction) {
        self.evictions[reason as usize] += 1;
    }

    pub(super) fn skipped(&mut self, reason: Uncounted) {
        self.uncounted[reason as usize] += 1;
    }
}
