//! Small models made of numbers, as safetensors.

use lanner::artifact::weights::{Measured, Options, Seed};
use lanner::artifact::{Limits, Memory, hash_with, segments};

/// A model of named matrices and vectors of `f32`.
#[derive(Clone)]
pub struct Model(pub Vec<(String, Vec<usize>, Vec<f32>)>);

/// xorshift64*: the same numbers on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).expect("31 bits") % end
    }

    /// Normally distributed, by twelve uniform ones.
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| f32::from(u16::try_from(self.next() >> 48).expect("16 bits")) / 65536.0).sum::<f32>() - 6.0
    }

    pub fn normals(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|_| self.normal() * scale).collect()
    }
}

impl Model {
    /// Six layers of four matrices and a vector each, behind a table of 512 tokens.
    pub fn new(seed: u64) -> Self {
        let mut random = Random(seed * 2 + 1);
        let mut tensors = vec![("embed.weight".to_owned(), vec![512, 64], random.normals(512 * 64, 0.05))];
        for layer in 0..6 {
            for (name, rows, columns) in
                [("attn.q", 64, 64), ("attn.o", 64, 64), ("mlp.up", 256, 64), ("mlp.down", 64, 256)]
            {
                let numbers = random.normals(rows * columns, 0.1);
                tensors.push((format!("layers.{layer}.{name}.weight"), vec![rows, columns], numbers));
            }
            tensors.push((format!("layers.{layer}.norm.weight"), vec![64], random.normals(64, 0.2)));
        }
        Self(tensors)
    }

    pub fn get(&mut self, name: &str) -> &mut Vec<f32> {
        &mut self.0.iter_mut().find(|(found, ..)| found == name).expect("the model has it").2
    }

    /// Adds `scale` times a product of `rank` random columns and rows to a matrix.
    pub fn add(&mut self, name: &str, rank: usize, scale: f32, random: &mut Random) {
        let (_, shape, numbers) = self.0.iter_mut().find(|(found, ..)| found == name).expect("the model has it");
        let [rows, columns] = shape.as_slice() else { panic!("{name} is no matrix") };
        for _ in 0..rank {
            let (left, right) = (random.normals(*rows, 1.0), random.normals(*columns, scale));
            for (row, left) in numbers.chunks_mut(*columns).zip(&left) {
                row.iter_mut().zip(&right).for_each(|(number, right)| *number += left * right);
            }
        }
    }

    /// Moves everything a little, unevenly: along some directions more than along others.
    pub fn train(&mut self, scale: f32, random: &mut Random) {
        let names: Vec<(String, usize)> = self.0.iter().map(|(name, shape, _)| (name.clone(), shape.len())).collect();
        for (name, axes) in names {
            if axes == 2 {
                self.add(&name, 3, scale, random);
            }
            self.get(&name).iter_mut().for_each(|number| *number += random.normal() * scale);
        }
    }

    pub fn bytes(&self, dtype: &str) -> Vec<u8> {
        let encode = |number: &f32| match dtype {
            "F32" => number.to_le_bytes().to_vec(),
            // Rounded to the nearest even, as libraries do.
            "BF16" => {
                let bits = number.to_bits();
                let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
                u16::try_from(rounded).expect("16 bits").to_le_bytes().to_vec()
            }
            other => panic!("{other} is not written here"),
        };
        let (mut header, mut data) = (Vec::new(), Vec::new());
        for (name, shape, numbers) in &self.0 {
            let start = data.len();
            data.extend(numbers.iter().flat_map(encode));
            header.push(format!(
                r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{start},{}]}}"#,
                data.len()
            ));
        }
        let header = format!("{{{}}}", header.join(","));
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
    }
}

pub fn options() -> Options {
    Options::new(Seed([7; 32]))
}

pub fn measured(bytes: &[u8], options: &Options) -> Measured {
    let memory = Memory(bytes.to_vec());
    let found = segments(&memory, &Limits::default());
    let hashed = hash_with(&memory, found, Some(options), &|| false).expect("memory reads").expect("nobody stops");
    hashed.measured.expect("it was asked for")
}
