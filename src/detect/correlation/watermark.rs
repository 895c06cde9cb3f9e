//! How far event time has come, source by source.
//!
//! Sources differ in where they are: one reads what was written last week while another tells what
//! happens now. An event is late against its own source only.

use std::collections::HashMap;

use super::limits::SOURCES_MAX;

/// The newest event time of each source. Number 0 is what further sources share.
#[derive(Debug)]
pub struct Watermarks {
    numbers: HashMap<String, u16>,
    marks: Vec<Mark>,
}

#[derive(Debug)]
struct Mark {
    source: String,
    time: i64,
    /// It moved since it was last written down.
    moved: bool,
}

impl Default for Watermarks {
    fn default() -> Self {
        Self { numbers: HashMap::new(), marks: vec![Mark { source: String::new(), time: i64::MIN, moved: false }] }
    }
}

impl Watermarks {
    /// The number of a source, new or known.
    pub fn number(&mut self, source: &str) -> u16 {
        if let Some(number) = self.numbers.get(source) {
            return *number;
        }
        let Ok(number) = u16::try_from(self.marks.len()) else { return 0 };
        if source.is_empty() || self.marks.len() > SOURCES_MAX {
            return 0;
        }
        self.numbers.insert(source.to_owned(), number);
        self.marks.push(Mark { source: source.to_owned(), time: i64::MIN, moved: false });
        number
    }

    pub fn name(&self, number: u16) -> &str {
        self.marks.get(usize::from(number)).map_or("", |mark| &mark.source)
    }

    /// The newest time; the earliest there is when nothing came yet.
    pub fn time(&self, number: u16) -> i64 {
        self.marks.get(usize::from(number)).map_or(i64::MIN, |mark| mark.time)
    }

    /// Something happened at a time.
    pub fn advance(&mut self, number: u16, time: i64) {
        if let Some(mark) = self.marks.get_mut(usize::from(number))
            && mark.time < time
        {
            (mark.time, mark.moved) = (time, true);
        }
    }

    /// Sources whose time moved since this was last asked.
    pub fn take_moved(&mut self) -> Vec<(String, i64)> {
        let moved = self.marks.iter_mut().filter(|mark| mark.moved);
        moved
            .map(|mark| {
                mark.moved = false;
                (mark.source.clone(), mark.time)
            })
            .collect()
    }
}
