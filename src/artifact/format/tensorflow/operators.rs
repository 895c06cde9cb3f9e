//! Operators of TensorFlow that leave the graph: for Python, files, libraries or the network.
//! Those that save and restore weights, or fill tables from assets, are part of any model.

/// Where those are told that no model needs.
const STRONG_FACT: &str = "artifact.tensorflow.operators";
/// Run Python or another program, load a library, or read and write files by themselves.
const STRONG: &[&str] = &[
    "PyFunc",
    "PyFuncStateless",
    "EagerPyFunc",
    "ReadFile",
    "WriteFile",
    "MatchingFiles",
    "ImmutableConst",
    "RemoteFusedGraphExecute",
    "Rpc",
    "TryRpc",
    "LoadLibrary",
    "FileSystemSetConfiguration",
];
/// Read data or write records; a model that serves has no use for them.
const WEAK: &[&str] = &[
    "WholeFileReader",
    "WholeFileReaderV2",
    "TextLineReader",
    "TextLineReaderV2",
    "FixedLengthRecordReader",
    "FixedLengthRecordReaderV2",
    "TFRecordReader",
    "TFRecordReaderV2",
    "TextLineDataset",
    "TFRecordDataset",
    "TFRecordDatasetV2",
    "FixedLengthRecordDataset",
    "FixedLengthRecordDatasetV2",
    "MatchingFilesDataset",
    "SqlDataset",
    "ExperimentalSqlDataset",
    "LMDBDataset",
    "ExperimentalLMDBDataset",
    "CSVDataset",
    "CSVDatasetV2",
    "DatasetToTFRecord",
    "ExperimentalDatasetToTFRecord",
    "SaveDataset",
    "SaveDatasetV2",
    "LoadDataset",
    "DistributedSave",
    "SnapshotDataset",
    "SnapshotDatasetV2",
    "DataServiceDataset",
    "DataServiceDatasetV2",
    "DataServiceDatasetV3",
    "DataServiceDatasetV4",
    "RegisterDataset",
    "RegisterDatasetV2",
    "CreateSummaryFileWriter",
    "CreateSummaryDbWriter",
    "ImportEvent",
    "BigQueryReader",
    "GenerateBigQueryReaderPartitions",
];
/// Parts of names of operators that exist only to run something else.
const PARTS: &[&str] =
    &["Shell", "Subprocess", "SystemCall", "Dlopen", "DlOpen", "PyCall", "PythonOp", "PyOp", "ExecOp"];

/// What to tell of an operator with the texts among its attributes, and under which fact; nothing
/// of ordinary ones.
pub fn judge(operator: &str, attributes: &[(String, String)]) -> Option<(&'static str, String)> {
    let text = |wanted: &str, fits: fn(&str) -> bool| {
        attributes.iter().find(|(key, text)| key == wanted && fits(text)).map(|(_, text)| text.as_str())
    };
    if STRONG.contains(&operator) || PARTS.iter().any(|part| operator.contains(part)) {
        return Some((STRONG_FACT, operator.to_owned()));
    }
    if WEAK.contains(&operator) {
        return Some(("artifact.tensorflow.data_operators", operator.to_owned()));
    }
    let told = match operator {
        "Print" | "PrintV2" => text("output_stream", |stream| stream.starts_with("file:")),
        _ if operator.starts_with("DebugIdentity")
            || operator.starts_with("DebugNumericSummary")
            || operator.starts_with("DebugNanCount") =>
        {
            text("debug_urls", |url| url.contains("://"))
        }
        // Descriptors of messages come from the operator itself, or from a file.
        "DecodeProtoV2" | "EncodeProto" => {
            text("descriptor_source", |source| !source.is_empty() && !source.contains("://"))
        }
        _ => None,
    };
    told.map(|text| (STRONG_FACT, format!("{operator}:{text}")))
}
