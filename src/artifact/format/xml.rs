//! XML models: PMML and OpenVINO's IR. Entities and includes are told and never expanded, paths
//! must stay inside, and an extension holds no code.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::shipped::{find_secrets, holds_code};
use super::{Head, wide, zip};
use crate::artifact::input::Input;
use crate::artifact::inspection::Inspection;

/// Document types that are published for files that are no model.
const PUBLIC_TYPES: &[&str] =
    &["http://www.w3.org/", "https://www.w3.org/", "http://www.apple.com/DTDs/", "https://www.apple.com/DTDs/"];
/// Attributes of OpenVINO's data that may name a file.
const FILE_KEYS: &[&str] = &["path", "file", "filename", "location", "source", "src", "weights", "bin", "uri", "href"];
/// Encodings in which the text was read as it is meant.
const ENCODINGS: &[&str] = &[
    "utf-8",
    "utf8",
    "utf-16",
    "utf-16le",
    "utf-16be",
    "utf-32",
    "us-ascii",
    "ascii",
    "iso-8859-1",
    "windows-1252",
    "latin1",
];
/// What a script in a model may be called by.
const CODE_MARKS: &[&str] = &[
    "java.lang.runtime",
    "processbuilder",
    "getruntime(",
    "scriptengine",
    "javascript:",
    "os.system",
    "subprocess",
    "__import__",
    "powershell",
    "/bin/sh",
    "/bin/bash",
    "system(",
];

pub fn identify(head: &Head<'_>) -> bool {
    let text = wide::decode(head.bytes);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let named = matches!(super::extension(head.name).as_str(), "xml" | "pmml") && text.starts_with('<');
    ["<?xml", "<PMML", "<!DOCTYPE PMML", "<!DOCTYPE net"].iter().any(|start| text.starts_with(start)) || named
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, _name: &str) -> &'static str {
    let bytes = input.read(0, input.budget.item_max());
    if (bytes.len() as u64) < input.len() {
        inspection.issue("budget_exceeded", "the XML is larger than one item may be; the rest was not looked at");
    }
    let text = wide::decode(&bytes);
    find_secrets(inspection, &text);
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}').trim_start());
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    let mut state = State::default();
    loop {
        match reader.read_event() {
            Ok(Event::Eof) => break,
            Ok(event) => state.take(inspection, &event),
            Err(_) => {
                inspection.issue("malformed", "the XML is broken or cut off");
                // Another reader may have got further.
                if !state.typed && memchr::memmem::find(text.as_bytes(), b"<!ENTITY").is_some() {
                    anomaly(inspection, "entity");
                }
                break;
            }
        }
    }
    state.finish(inspection)
}

fn anomaly(inspection: &mut Inspection<'_>, text: &str) {
    inspection.list("artifact.xml.anomalies", text);
}

#[derive(Default)]
struct State {
    root: Option<String>,
    /// Public document type without anything in it, which only a model must not have.
    published: bool,
    typed: bool,
    /// Elements that are open and whose texts matter.
    scripts: u32,
    extensions: u32,
}

impl State {
    fn take(&mut self, inspection: &mut Inspection<'_>, event: &Event<'_>) {
        match event {
            Event::Decl(declaration) => {
                if let Some(Ok(encoding)) = declaration.encoding()
                    && !ENCODINGS.contains(&encoding.to_ascii_lowercase().as_str())
                {
                    anomaly(inspection, &format!("encoding:{encoding}"));
                }
            }
            Event::DocType(text) => self.document_type(inspection, text),
            Event::PI(instruction) => {
                if instruction.target() == "xml-stylesheet" && instruction.content().contains("://") {
                    anomaly(inspection, "stylesheet");
                }
            }
            Event::Start(element) => self.element(inspection, element, true),
            Event::Empty(element) => self.element(inspection, element, false),
            Event::End(element) => match element.local_name().as_ref() {
                name if name.eq_ignore_ascii_case("script") => self.scripts = self.scripts.saturating_sub(1),
                "Extension" => self.extensions = self.extensions.saturating_sub(1),
                _ => {}
            },
            Event::Text(text) => self.text(inspection, text),
            Event::CData(text) => self.text(inspection, text),
            Event::Comment(_) | Event::GeneralRef(_) | Event::Eof => {}
        }
    }

    /// `<!DOCTYPE …>`, with everything that it declares.
    fn document_type(&mut self, inspection: &mut Inspection<'_>, text: &str) {
        self.typed = true;
        let external = text.split('[').next().unwrap_or(text);
        // Attributes and elements may be declared; entities are what reaches outside or unfolds.
        let subset = text.contains('[') && text.contains("<!ENTITY");
        let published = PUBLIC_TYPES.iter().any(|start| external.contains(&format!("\"{start}")));
        if !subset && (published || external.trim().eq_ignore_ascii_case("html")) {
            self.published = true;
            return;
        }
        anomaly(inspection, "doctype");
        if !subset && (external.contains("SYSTEM") || external.contains("PUBLIC")) {
            anomaly(inspection, "external_subset");
        }
        for entity in text.split("<!ENTITY").skip(1) {
            let declared = entity.split('>').next().unwrap_or(entity);
            let parameter = declared.trim_start().starts_with('%');
            anomaly(inspection, if parameter { "parameter_entity" } else { "entity" });
            let mut words = declared.split_ascii_whitespace().skip(if parameter { 2 } else { 1 });
            if matches!(words.next(), Some("SYSTEM" | "PUBLIC")) {
                anomaly(inspection, "external_entity");
            }
            if declared.matches('&').count() >= 2 {
                anomaly(inspection, "expansion");
            }
        }
    }

    fn element(&mut self, inspection: &mut Inspection<'_>, element: &BytesStart<'_>, open: bool) {
        let full = element.name().0.to_owned();
        let local = full.rsplit(':').next().unwrap_or(&full);
        let root = self.root.get_or_insert_with(|| local.to_owned()).clone();
        if local.eq_ignore_ascii_case("script") && matches!(root.as_str(), "PMML" | "net") {
            anomaly(inspection, "script");
        }
        if open && local.eq_ignore_ascii_case("script") {
            self.scripts = self.scripts.saturating_add(1);
        }
        if open && local == "Extension" {
            self.extensions = self.extensions.saturating_add(1);
        }
        if local == "include" && (full.contains(':') || element.contains("XInclude")) {
            anomaly(inspection, "xinclude");
        }
        for attribute in element.attributes().with_checks(false).flatten() {
            let (key, value) = (attribute.key.0, attribute.value.as_ref());
            if key == "xml:base" {
                anomaly(inspection, "xml_base");
            }
            if local == "Extension" && is_code(value) {
                anomaly(inspection, "extension_code");
            }
            // A dotted name is no function of PMML: some evaluators load the class of that name.
            let class = value.contains('.') && value.starts_with(|c: char| c.is_ascii_alphabetic());
            if root == "PMML" && local == "Apply" && key == "function" && class {
                anomaly(inspection, &format!("function:{value}"));
            }
            // Kernels of one's own: their sources are compiled.
            if root == "net" && local == "data" || root.starts_with("CustomLayer") && local == "Source" {
                data(inspection, key, value);
            }
        }
    }

    fn text(&mut self, inspection: &mut Inspection<'_>, text: &str) {
        if self.extensions > 0 && is_code(text) {
            anomaly(inspection, "extension_code");
        }
        if self.scripts > 0 && is_code(text) {
            anomaly(inspection, "script");
        }
    }

    fn finish(self, inspection: &mut Inspection<'_>) -> &'static str {
        let format = match self.root.as_deref() {
            Some("PMML") => "pmml",
            Some("net") => "openvino",
            Some(_) => return "xml",
            None => {
                inspection.issue("malformed", "the XML has no element");
                return "xml";
            }
        };
        if self.published {
            anomaly(inspection, "doctype");
        }
        format
    }
}

/// The data of one layer of OpenVINO: weights lie in the file beside it, at an offset.
fn data(inspection: &mut Inspection<'_>, key: &str, value: &str) {
    let number = value.bytes().all(|byte| byte.is_ascii_digit()) && value.len() <= 19;
    if matches!(key, "offset" | "size") && !number {
        anomaly(inspection, &format!("{key}:{value}"));
    }
    let climbs = value.split(['/', '\\']).any(|part| part == "..");
    if FILE_KEYS.contains(&key.to_ascii_lowercase().as_str()) {
        if value.contains("://") || value.contains('\\') {
            inspection.list("artifact.container.escapes", value);
        } else {
            zip::escapes(inspection, value);
        }
    } else if climbs || value.starts_with("file:") {
        inspection.list("artifact.container.escapes", value);
    }
}

fn is_code(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    holds_code(text) || CODE_MARKS.iter().any(|mark| lower.contains(mark))
}
