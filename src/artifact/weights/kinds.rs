//! What happened to one tensor, told by its numbers alone.

/// The way in which a tensor changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Equal,
    Added,
    Removed,
    /// Other lengths, or a type that cannot be compared.
    Reshaped,
    /// The same numbers in another type, as close as that type can hold them.
    Converted,
    /// Spread evenly and small: rounding, quantisation.
    Noise,
    /// Most of what changed became zero.
    Pruned,
    /// The same numbers times a factor.
    Scaled,
    /// Spread unevenly over everything, as gradients do.
    Trained,
    /// Nothing to do with what was there.
    Replaced,
    /// Of so low a rank.
    LowRank(usize),
    /// So many whole rows, and nothing else.
    Rows(usize),
    /// So many whole columns, and nothing else.
    Columns(usize),
    /// At most so many single numbers.
    Few(u64),
    /// Nothing but the lowest bits.
    LowBits,
    /// The same rows or columns in another order.
    Permuted,
    /// What another tensor was.
    Moved,
    /// NaN, infinities or numbers far beyond those that were there.
    Exploded,
    /// Other bytes, but less than what was kept can tell.
    Unseen,
}

impl Kind {
    /// As the table shows it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Reshaped => "reshaped",
            Self::Converted => "converted",
            Self::Noise => "noise",
            Self::Pruned => "pruned",
            Self::Scaled => "scaled",
            Self::Trained => "trained",
            Self::Replaced => "replaced",
            Self::LowRank(1) => "rank-one",
            Self::LowRank(_) => "low-rank",
            Self::Rows(_) => "rows",
            Self::Columns(_) => "columns",
            Self::Few(_) => "few weights",
            Self::LowBits => "low bits",
            Self::Permuted => "permuted",
            Self::Moved => "moved",
            Self::Exploded => "exploded",
            Self::Unseen => "unseen",
        }
    }

    /// True for what changes a tensor as a whole, as training and exports do.
    pub const fn is_broad(self) -> bool {
        matches!(self, Self::Converted | Self::Noise | Self::Pruned | Self::Scaled | Self::Trained | Self::Replaced)
    }
}
