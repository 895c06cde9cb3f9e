//! Constants of a graph that are handed to what reads or writes files: where a graph that nobody
//! asked goes.

use std::collections::BTreeMap;

use crate::artifact::format::places;
use crate::artifact::inspection::Inspection;

/// Nodes of one graph that are remembered.
const NODES_MAX: usize = 200_000;
/// Steps from a constant to what uses it.
const STEPS_MAX: u32 = 8;

/// Write a file whose name they are given. In an exported model that name is what the caller says.
pub const WRITERS: &[&str] = &[
    "Save",
    "SaveV2",
    "SaveSlices",
    "MergeV2Checkpoints",
    "WriteFile",
    "DatasetToTFRecord",
    "ExperimentalDatasetToTFRecord",
    "SaveDataset",
    "SaveDatasetV2",
    "DistributedSave",
    "SnapshotDataset",
    "SnapshotDatasetV2",
    "TFRecordWriter",
    "CreateSummaryFileWriter",
    "CreateSummaryDbWriter",
];
/// Write where training keeps its logs: only some places are told.
const LOGS: &[&str] = &["SnapshotDataset", "SnapshotDatasetV2", "CreateSummaryFileWriter", "CreateSummaryDbWriter"];
/// Read a file whose name they are given.
const READERS: &[&str] = &[
    "ReadFile",
    "Restore",
    "RestoreSlice",
    "RestoreV2",
    "TextLineDataset",
    "TFRecordDataset",
    "TFRecordDatasetV2",
    "FixedLengthRecordDataset",
    "FixedLengthRecordDatasetV2",
    "CSVDataset",
    "CSVDatasetV2",
    "SqlDataset",
    "ExperimentalSqlDataset",
    "LMDBDataset",
    "ExperimentalLMDBDataset",
    "LMDBReader",
    "MatchingFiles",
    "MatchingFilesDataset",
    "ReaderReadV2",
    "QueueEnqueueManyV2",
    "InitializeTableFromTextFile",
    "InitializeTableFromTextFileV2",
    "ImportEvent",
];
/// Give on what they get.
const PIPES: &[&str] =
    &["Identity", "IdentityN", "StringJoin", "Pack", "ConcatV2", "ExpandDims", "Reshape", "PlaceholderWithDefault"];

/// Nodes of one graph or function.
#[derive(Default)]
pub struct Paths {
    constants: BTreeMap<String, Vec<String>>,
    pipes: BTreeMap<String, Vec<String>>,
    uses: Vec<(String, Vec<String>)>,
}

impl Paths {
    /// Remembers a node, if it matters.
    pub fn node(&mut self, name: String, operator: String, inputs: Vec<String>, constants: Vec<String>) {
        let count = self.constants.len().saturating_add(self.pipes.len()).saturating_add(self.uses.len());
        if count >= NODES_MAX {
            return;
        }
        if !constants.is_empty() {
            self.constants.insert(name, constants);
        } else if PIPES.contains(&operator.as_str()) {
            self.pipes.insert(name, inputs);
        } else if WRITERS.contains(&operator.as_str()) || READERS.contains(&operator.as_str()) {
            self.uses.push((operator, inputs));
        }
    }

    /// Tells of operators that go where no model has business.
    pub fn tell(&self, inspection: &mut Inspection<'_>) {
        for (operator, inputs) in &self.uses {
            let mut texts = Vec::new();
            // What follows the name of a checkpoint are names of variables.
            let named = if operator.starts_with("Save") || operator.starts_with("Restore") { 1 } else { inputs.len() };
            for input in inputs.iter().take(named) {
                self.follow(input, 0, &mut texts);
            }
            let writes = WRITERS.contains(&operator.as_str()) && !LOGS.contains(&operator.as_str());
            for text in texts.into_iter().take(64) {
                let address = text.starts_with("http://") || text.starts_with("https://");
                let absolute = text.starts_with('/') && text.len() > 1;
                if places::is_sensitive(text) || address || writes && absolute {
                    inspection.list("artifact.tensorflow.operators", format!("{operator}:{text}"));
                }
            }
        }
    }

    fn follow<'p>(&'p self, input: &str, steps: u32, texts: &mut Vec<&'p str>) {
        if steps > STEPS_MAX || texts.len() > 256 {
            return;
        }
        let name = input.trim_start_matches('^').split(':').next().unwrap_or(input);
        texts.extend(self.constants.get(name).into_iter().flatten().map(String::as_str));
        for further in self.pipes.get(name).into_iter().flatten() {
            self.follow(further, steps.saturating_add(1), texts);
        }
    }
}
