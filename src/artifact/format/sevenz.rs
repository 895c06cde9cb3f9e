//! 7z archives: members are unpacked one after another, each within one item.

use std::io::{self, Read, Seek, SeekFrom};

use sevenz_rust2::{Archive, ArchiveEntry, BlockDecoder, Error, Password};

use super::{Head, zip};
use crate::artifact::Memory;
use crate::artifact::input::{Input, Stream};
use crate::artifact::inspection::Inspection;

/// Memory for dictionaries and headers, in KiB; the largest that 7-Zip's own levels ask for.
const MEMORY_MAX: usize = 96 << 10;
const CHUNK: usize = 64 << 10;
/// Output for each byte of the archive that no honest model reaches.
const RATIO_MAX: u64 = 200;
/// Output at which the ratio is looked at.
const RATIO_FROM: u64 = 32 << 20;
/// What the beginning of a member that is too long can still tell, without saying that it is cut.
const OF_A_PART: &[&str] = &[
    "artifact.pickle.globals",
    "artifact.pickle.calls",
    "artifact.pickle.dangerous",
    "artifact.pickle.dangerous_calls",
    "artifact.pickle.arguments",
    "artifact.pickle.nested_loaders",
    "artifact.embedded_executables",
];

pub fn identify(head: &Head<'_>) -> bool {
    head.bytes.starts_with(b"7z\xbc\xaf\x27\x1c")
}

pub fn inspect(inspection: &mut Inspection<'_>, input: Input<'_>, name: &str) -> &'static str {
    if super::claims_pickle(name) {
        inspection.list("artifact.container.anomalies", "unexpected_container");
    }
    let password = Password::empty();
    let mut source = Cursor { input, position: 0 };
    let archive = match Archive::read_with_memory_limit(&mut source, &password, MEMORY_MAX) {
        Ok(archive) => archive,
        Err(error) => {
            fault(inspection, &error);
            return "7z";
        }
    };
    for entry in &archive.files {
        zip::escapes(inspection, &entry.name);
        inspection.list("artifact.members", &entry.name);
    }
    let mut unpacked = 0_u64;
    for block in 0..archive.blocks.len() {
        let mut stopped = false;
        let decoder = BlockDecoder::new_with_memory_limit(1, MEMORY_MAX, block, &archive, &password, &mut source);
        let done = decoder.for_each_entries(&mut |entry, reader| {
            let going = input.budget.member() && member(inspection, input, entry, reader, &mut unpacked);
            stopped |= !going;
            Ok(going)
        });
        if let Err(error) = done {
            fault(inspection, &error);
        }
        if stopped {
            let bomb = unpacked / 100 > input.len();
            if bomb {
                inspection.list("artifact.container.bomb", "size");
            }
            inspection.issue("budget_exceeded", "the archive unfolds to more than is looked at");
            break;
        }
    }
    "7z"
}

/// Looks at one member; false when nothing more may be unpacked.
fn member(
    inspection: &mut Inspection<'_>,
    input: Input<'_>,
    entry: &ArchiveEntry,
    reader: &mut dyn Read,
    unpacked: &mut u64,
) -> bool {
    let budget = input.budget;
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; CHUNK]);
    let (mut whole, mut going) = (true, true);
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => {
                inspection.issue("malformed", "a member of the archive is broken or cut off");
                break;
            }
        };
        *unpacked = unpacked.saturating_add(count as u64);
        let spent = budget.spend(&budget.inflated, budget.limits.inflate_bytes_max, count as u64, "inflate_bytes_max");
        if *unpacked > RATIO_FROM && *unpacked / RATIO_MAX > input.len() {
            inspection.list("artifact.container.bomb", "ratio");
            going = false;
        }
        if !going || !spent {
            (whole, going) = (false, false);
            break;
        }
        if whole && bytes.len().saturating_add(count) <= budget.item_max() {
            bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
        } else {
            whole = false;
        }
    }
    // The upper half of the attributes is the mode of Unix, when bit 15 says so.
    if entry.windows_attributes & 0x8000 != 0 && (entry.windows_attributes >> 16) & 0o170_000 == 0o120_000 {
        let target = String::from_utf8_lossy(bytes.get(..bytes.len().min(4096)).unwrap_or_default()).into_owned();
        if zip::leaves(&entry.name, &target) {
            inspection.list("artifact.container.escapes", format!("{} -> {target}", entry.name));
        }
    }
    let bytes = Memory(bytes);
    let data = Input::new(&bytes, budget);
    if whole {
        inspection.member(&entry.name, |inspection| zip::member_of(inspection, data, &entry.name, "zip"));
    } else if !bytes.0.is_empty() {
        inspection
            .issue("budget_exceeded", "a member is larger than one item may be; only its beginning was looked at");
        let mut part = Inspection::new(budget);
        part.member(&entry.name, |part| zip::member_of(part, data, &entry.name, "zip"));
        inspection.adopt(part, OF_A_PART);
    }
    going
}

fn fault(inspection: &mut Inspection<'_>, error: &Error) {
    let aes = |text: &str| text.to_ascii_uppercase().contains("AES");
    match error {
        Error::PasswordRequired | Error::MaybeBadPassword(_) => encrypted(inspection),
        Error::UnsupportedCompressionMethod(method) if aes(method) => encrypted(inspection),
        Error::UnsupportedCompressionMethod(_) | Error::Unsupported(_) | Error::ExternalUnsupported => {
            inspection.issue("not_inspected", "a member uses a compression that is not supported");
        }
        Error::MaxMemLimited { .. } => {
            inspection.issue("budget_exceeded", "the archive asks for more memory than is given to it");
        }
        _ => inspection.issue("malformed", "the archive is broken or cut off"),
    }
}

fn encrypted(inspection: &mut Inspection<'_>) {
    inspection.list("artifact.container.anomalies", "encrypted");
    inspection.issue("not_inspected", "the archive is encrypted; its content was not looked at");
}

/// An input that is read from a place.
struct Cursor<'a> {
    input: Input<'a>,
    position: u64,
}

impl Read for Cursor<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = Stream::new(self.input.from(self.position)).read(buffer)?;
        self.position = self.position.saturating_add(count as u64);
        Ok(count)
    }
}

impl Seek for Cursor<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.input.len().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
