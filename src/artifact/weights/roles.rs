//! What a tensor is for, by its name: layers of one model have the same parts under different numbers.

/// A name with its numbers taken out, and the numbers: `blk.3.attn_q.weight` is `blk.*.attn_q.weight` of layer 3.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Role {
    pub name: String,
    /// The numbers in order; empty for what stands alone.
    pub layer: Vec<u32>,
}

impl Role {
    pub fn of(name: &str) -> Self {
        let mut layer = Vec::new();
        let parts = name.split(['.', '/']).map(|part| match part.parse::<u32>() {
            Ok(number) => {
                layer.push(number);
                "*"
            }
            Err(_) => part,
        });
        let name = parts.collect::<Vec<_>>().join(".");
        Self { name, layer }
    }

    /// True for a table of vectors of tokens, by the words that libraries use.
    pub fn is_embedding(&self) -> bool {
        ["embed", "wte", "token_embd", "lm_head"].iter().any(|word| self.name.contains(word))
    }
}
