//! The XML of `JUnit`, as CI systems read it: a case for each file.

use std::io::Write;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::look::{Finding, Inspected, Status, told};
use crate::base::text::shorten;
use crate::event::Severity;

/// Characters of one message.
const CHARS_MAX: usize = 4096;

/// A suite in the making: its sums stand before its cases.
#[derive(Default)]
pub struct Suite {
    cases: Vec<u8>,
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

/// What became of a case, in the words of the format.
struct Outcome {
    element: &'static str,
    message: String,
    kind: String,
    text: String,
}

impl Suite {
    /// Adds one file. What fails the scan is a failure; what is less severe stands in the output.
    pub fn add(&mut self, inspected: &Inspected, fail_on: Severity) {
        self.tests += 1;
        let (failing, other): (Vec<_>, Vec<_>) =
            inspected.findings.iter().partition(|finding| finding.severity >= fail_on);
        let mut outcomes: Vec<Outcome> = Vec::new();
        for finding in &failing {
            outcomes.push(Outcome {
                element: "failure",
                message: format!("{} {}", finding.rule, finding.title),
                kind: finding.severity.as_str().to_owned(),
                text: line(finding),
            });
        }
        let reason = inspected.reason().unwrap_or_default();
        let outcome = |element, kind: Status| Outcome {
            element,
            message: reason.clone(),
            kind: kind.as_str().to_owned(),
            text: String::new(),
        };
        match inspected.status() {
            Status::Unreadable => {
                self.errors += 1;
                outcomes.push(outcome("error", Status::Unreadable));
            }
            status @ (Status::Skipped | Status::NotUnderstood) => {
                self.skipped += 1;
                outcomes.push(outcome("skipped", status));
            }
            Status::Findings | Status::Suppressed | Status::Clean | Status::Incomplete => {}
        }
        self.failures += usize::from(!failing.is_empty());
        let mut notes: Vec<String> = other.into_iter().map(line).collect();
        notes.extend(
            inspected
                .suppressed
                .iter()
                .map(|(finding, why)| format!("suppressed by {} ({}): {}", why.by, why.reason, line(finding))),
        );
        if !matches!(inspected.status(), Status::Unreadable | Status::NotUnderstood) {
            notes.extend(inspected.issues.iter().map(|issue| format!("{}: {}", inspected.word(issue), told(issue))));
        }
        // Writing to memory does not fail.
        drop(case(&mut Writer::new(&mut self.cases), inspected, &outcomes, &notes.join("\n")));
    }

    /// The whole document.
    pub fn finish(self) -> anyhow::Result<String> {
        let mut writer = Writer::new(Vec::new());
        writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        let [tests, failures, errors, skipped] =
            [self.tests, self.failures, self.errors, self.skipped].map(|count| count.to_string());
        let sums = [("tests", tests.as_str()), ("failures", &failures), ("errors", &errors), ("skipped", &skipped)];
        writer.get_mut().write_all(b"\n")?;
        writer
            .create_element("testsuites")
            .with_attribute(("name", "lanner"))
            .with_attributes(sums[..3].iter().copied())
            .write_inner_content(|writer| {
                writer.get_mut().write_all(b"\n")?;
                let suite = writer.create_element("testsuite").with_attribute(("name", "lanner scan"));
                suite.with_attributes(sums).write_inner_content(|writer| {
                    writer.get_mut().write_all(b"\n")?;
                    writer.get_mut().write_all(&self.cases)
                })?;
                writer.get_mut().write_all(b"\n")
            })?;
        Ok(String::from_utf8(writer.into_inner())?)
    }
}

fn case<W: Write>(
    writer: &mut Writer<W>,
    inspected: &Inspected,
    outcomes: &[Outcome],
    notes: &str,
) -> std::io::Result<()> {
    let path = xml(&inspected.path);
    let case = writer.create_element("testcase").with_attribute(("classname", "lanner"));
    let case = case.with_attribute(("name", path.as_str())).with_attribute(("file", path.as_str()));
    case.write_inner_content(|writer| {
        for outcome in outcomes {
            let (message, kind) = (xml(&outcome.message), xml(&outcome.kind));
            let element = writer.create_element(outcome.element);
            let element = element.with_attribute(("message", message.as_str())).with_attribute(("type", kind.as_str()));
            element.write_text_content(BytesText::new(&xml(&outcome.text)))?;
        }
        if !notes.is_empty() {
            writer.create_element("system-out").write_text_content(BytesText::new(&xml(notes)))?;
        }
        Ok(())
    })?;
    writer.get_mut().write_all(b"\n")
}

fn line(finding: &Finding) -> String {
    let evidence = serde_json::Value::Object(finding.evidence.clone()).to_string();
    format!("{} {} {}: {evidence}", finding.severity.as_str(), finding.rule, finding.title)
}

/// Only characters that XML 1.0 allows (section 2.2), line ends and all: others cannot even be
/// written as references. Escaping is the writer's.
fn xml(text: &str) -> String {
    let allowed = |c: char| matches!(c, '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    let kept: String = shorten(text, CHARS_MAX).chars().map(|c| if allowed(c) { c } else { '\u{fffd}' }).collect();
    kept
}
