//! Names that are computed while loading, followed where that is possible.

use base64::Engine as _;

use super::findings::Nested;
use super::globals::{Tier, judge};
use super::machine::Machine;
use super::nested;
use super::value::{Node, Slot};

/// Longest text that is computed.
const COMPUTED_MAX: usize = 64 << 10;

/// Methods of vetted classes that run code, touch files or deserialise, reached by `getattr`.
const METHODS: &[&str] = &[
    "write_text",
    "write_bytes",
    "read_text",
    "read_bytes",
    "open",
    "touch",
    "unlink",
    "rmdir",
    "mkdir",
    "rename",
    "replace_file",
    "chmod",
    "symlink_to",
    "hardlink_to",
    "link_to",
    "tofile",
    "fromfile",
    "dump",
    "dumps",
    "eval",
    "query",
    "to_pickle",
    "to_csv",
    "to_json",
    "to_parquet",
    "to_sql",
    "to_hdf",
    "to_excel",
    "save",
    "save_model",
    "load",
    "loads",
    "load_model",
    "system",
    "popen",
    "exec",
    "from_file",
    "read_pickle",
    "load_state_dict_from_url",
    "cmdloop",
    "run",
    "runcode",
    "connect",
];

/// True for an attribute that leads under the surface, or a method that runs code, touches files or
/// deserialises.
pub fn acts(attribute: &str) -> bool {
    let dunder = attribute.len() > 4 && attribute.starts_with("__") && attribute.ends_with("__");
    dunder || METHODS.contains(&attribute)
}

/// The result of calling a global, where it is a text, bytes or another global.
pub fn evaluate(machine: &mut Machine<'_, '_>, full: &str, arguments: Slot) -> Option<Slot> {
    let items = machine.tuple(arguments);
    let name = full.rsplit('.').next().unwrap_or(full);
    match (full, items.as_slice()) {
        ("builtins.getattr", [object, attribute, ..]) => Some(attribute_of(machine, *object, *attribute)),
        ("builtins.__import__" | "importlib.import_module" | "importlib.__import__", [module, ..]) => {
            let module = machine.arena.as_text(*module)?.to_owned();
            let (parent, last) = module.rsplit_once('.').unwrap_or(("", &module));
            let (parent, last) = (parent.to_owned(), last.to_owned());
            Some(if parent.is_empty() { machine.import(&last, "*") } else { machine.import(&parent, &last) })
        }
        // NumPy's own way to import a function by two texts, in files of its first versions.
        (full, [module, function, ..]) if full.ends_with("._ufunc_reconstruct") => {
            let texts = machine.arena.as_text(*module).zip(machine.arena.as_text(*function));
            let Some((module, function)) = texts.map(|(module, name)| (module.to_owned(), name.to_owned())) else {
                machine.findings.anomalies.insert("computed_name");
                return None;
            };
            let numeric = module.split('.').next().is_some_and(|first| matches!(first, "numpy" | "scipy"));
            let plain = numeric && !function.contains('.') && judge(&module, &function) != Tier::Dangerous;
            (!plain).then(|| machine.import(&module, &function))
        }
        ("pkgutil.resolve_name" | "pydoc.locate", [path, ..]) => {
            let path = machine.arena.as_text(*path)?.to_owned();
            let (module, name) = path.split_once(':').or_else(|| path.rsplit_once('.'))?;
            Some(machine.import(module, name))
        }
        ("_codecs.encode" | "codecs.encode", [text, encoding, ..]) => encode(machine, *text, *encoding),
        ("_codecs.encode" | "codecs.encode", [text]) => recode(machine, *text),
        ("_codecs.decode" | "codecs.decode", [data, encoding, ..]) => {
            let text = plain(machine, *data)?;
            let encoding = machine.arena.as_text(*encoding)?.to_owned();
            Some(computed(machine, &transform(&text, &encoding)?))
        }
        ("builtins.str" | "builtins.repr" | "builtins.bytes.decode" | "builtins.str.lower", [text, ..]) => {
            let text = plain(machine, *text)?;
            Some(computed(machine, if name == "lower" { text.to_lowercase() } else { text }.as_str()))
        }
        ("builtins.bytes" | "builtins.bytearray", [items]) => {
            let codes = machine.tuple(*items);
            let bytes: Option<String> = codes.iter().map(|code| character(*code)).collect();
            Some(computed(machine, &bytes.filter(|text| !text.is_empty())?))
        }
        ("builtins.chr", [code]) => Some(computed(machine, &character(*code)?.to_string())),
        ("builtins.str.join", [separator, parts]) => {
            let separator = plain(machine, *separator)?;
            let parts: Option<Vec<String>> = machine.tuple(*parts).iter().map(|part| plain(machine, *part)).collect();
            Some(computed(machine, &parts?.join(&separator)))
        }
        ("builtins.str.replace", [text, from, to]) => {
            let (text, from, to) = (plain(machine, *text)?, plain(machine, *from)?, plain(machine, *to)?);
            Some(computed(machine, &text.replace(&from, &to)))
        }
        ("builtins.str.format", [pattern, values @ ..]) => {
            let mut text = plain(machine, *pattern)?;
            for (index, value) in values.iter().enumerate() {
                let value = plain(machine, *value)?;
                text = text.replacen("{}", &value, 1).replace(&format!("{{{index}}}"), &value);
            }
            Some(computed(machine, &text))
        }
        ("operator.add" | "_operator.add" | "operator.concat" | "_operator.concat", [left, right]) => {
            let text = plain(machine, *left)? + &plain(machine, *right)?;
            Some(computed(machine, &text))
        }
        _ => None,
    }
}

/// The result of calling the result of a call: `attrgetter("x")(object)`, `methodcaller(…)(object)`, a bound method.
pub fn apply(machine: &mut Machine<'_, '_>, callable: Slot, arguments: Slot) -> Option<Slot> {
    let (maker, made_with) = machine.arena.as_call(callable)?;
    let maker = machine.findings.get(machine.arena.as_global(maker)?)?.full.clone();
    let made_with = machine.tuple(made_with);
    let given = machine.tuple(arguments);
    match (maker.as_str(), made_with.as_slice(), given.as_slice()) {
        ("operator.attrgetter" | "_operator.attrgetter", [attribute, ..], [object, ..]) => {
            Some(attribute_of(machine, *object, *attribute))
        }
        // `getattr("…", "join")(…)` and its like.
        ("builtins.getattr", [object, method], given) => {
            let method = format!("builtins.str.{}", machine.arena.as_text(*method)?);
            let method = method.replace("str.decode", "bytes.decode");
            let mut items = vec![*object];
            items.extend(given);
            let arguments = machine.arena.add(Node::Items(super::value::Collection::Tuple, items));
            evaluate(machine, &method, arguments)
        }
        _ => None,
    }
}

/// `getattr(object, attribute)`: vetted between vetted operands, and followed when the object is a
/// global, because then the result is one as well.
fn attribute_of(machine: &mut Machine<'_, '_>, object: Slot, attribute: Slot) -> Slot {
    let Some(attribute) = machine.arena.as_text(attribute).map(str::to_owned) else {
        machine.findings.anomalies.insert("computed_name");
        return Slot::Unknown;
    };
    if let Some(import) = machine.arena.as_global(object).and_then(|index| machine.findings.get(index).cloned()) {
        let name = if import.name == "*" { attribute } else { format!("{}.{attribute}", import.name) };
        // A method or a member of a vetted class is vetted unless it walks somewhere else.
        let tier = judge(&import.module, &name);
        let method = name.rsplit('.').next().is_some_and(|method| METHODS.contains(&method));
        let vetted = import.tier == Tier::Allowed && tier != Tier::Dangerous && !method;
        return if vetted { object_of(machine, object) } else { machine.import(&import.module, &name) };
    }
    let dunder = attribute.split('.').any(|part| part.starts_with("__") && part.ends_with("__") && part.len() > 4);
    if dunder || METHODS.contains(&attribute.as_str()) {
        return machine.import("object", &attribute);
    }
    let arguments = machine.arena.text(&attribute);
    let arguments = machine.arena.add(Node::Items(super::value::Collection::Tuple, vec![object, arguments]));
    let getter = machine.import("builtins", "getattr");
    machine.arena.add(Node::Object { callable: getter, arguments })
}

fn object_of(machine: &mut Machine<'_, '_>, class: Slot) -> Slot {
    machine.arena.add(Node::Object { callable: class, arguments: Slot::None })
}

/// `codecs.encode`: Latin-1 is how Python 3 writes bytes for protocol 2; the result is bytes.
fn encode(machine: &mut Machine<'_, '_>, text: Slot, encoding: Slot) -> Option<Slot> {
    let encoding = machine.arena.as_text(encoding)?.to_ascii_lowercase();
    let text = machine.arena.as_text(text)?.to_owned();
    if matches!(encoding.as_str(), "latin1" | "latin-1" | "iso-8859-1" | "iso8859-1" | "utf-8" | "utf8" | "ascii") {
        let bytes: Vec<u8> = if encoding.starts_with("utf") {
            text.into_bytes()
        } else {
            text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
        };
        if nested::may_be_pickle(&bytes, bytes.len() as u64) {
            machine.findings.nest(Nested::Decoded(bytes.clone()), false);
        }
        return Some(machine.arena.add(Node::Bytes { at: None, head: bytes.into() }));
    }
    Some(computed(machine, &transform(&text, &encoding)?))
}

fn recode(machine: &mut Machine<'_, '_>, text: Slot) -> Option<Slot> {
    let text = plain(machine, text)?;
    Some(computed(machine, &text))
}

/// What Python's text transforms make of a text.
fn transform(text: &str, encoding: &str) -> Option<String> {
    match encoding.to_ascii_lowercase().as_str() {
        "rot13" | "rot_13" | "rot-13" => Some(text.chars().map(rotate).collect()),
        "base64" | "base_64" | "base64_codec" => {
            let decoded = base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()?;
            String::from_utf8(decoded).ok()
        }
        "hex" | "hex_codec" => {
            let digits: Vec<u8> =
                text.bytes().filter_map(|digit| char::from(digit).to_digit(16)?.try_into().ok()).collect();
            let bytes =
                digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
            String::from_utf8(bytes).ok()
        }
        "utf-8" | "utf8" | "ascii" | "latin1" | "latin-1" => Some(text.to_owned()),
        "unicode_escape" | "unicode-escape" => Some(super::literal::raw_unicode(text.as_bytes())),
        _ => None,
    }
}

fn rotate(c: char) -> char {
    let base = match c {
        'a'..='z' => 'a',
        'A'..='Z' => 'A',
        _ => return c,
    };
    char::from_u32(u32::from(base) + (u32::from(c) - u32::from(base) + 13) % 26).unwrap_or(c)
}

fn character(code: Slot) -> Option<char> {
    match code {
        Slot::Int(code) => u8::try_from(code).ok().map(char::from),
        Slot::Unknown | Slot::None | Slot::Bool(_) | Slot::Node(_) => None,
    }
}

/// The text of a text or of short bytes.
fn plain(machine: &Machine<'_, '_>, slot: Slot) -> Option<String> {
    match machine.arena.get(slot)? {
        Node::Text(text) => Some(text.to_string()),
        Node::Bytes { head, .. } => Some(head.iter().copied().map(char::from).collect()),
        Node::Items(..) | Node::Global(_) | Node::Object { .. } => None,
    }
}

fn computed(machine: &mut Machine<'_, '_>, text: &str) -> Slot {
    let text: String = text.chars().take(COMPUTED_MAX).collect();
    if let Some(decoded) = nested::decode_text(&text) {
        machine.findings.nest(Nested::Decoded(decoded), false);
    }
    if machine.computed.len() < 1024 {
        machine.computed.insert(text.clone());
    }
    machine.arena.text(&text)
}

/// True for texts that look like commands, addresses, paths or code.
pub fn is_suspicious(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let has = |needles: &[&str]| needles.iter().any(|needle| lower.contains(needle));
    let address = has(&["http://", "https://", "ftp://", "file://", "\\\\", "ssh://", "git+", "169.254.169.254"]);
    let command = has(&[
        "/bin/",
        "/etc/",
        "/dev/tcp",
        "cmd.exe",
        "powershell",
        "bash -",
        "sh -c",
        "curl ",
        "wget ",
        "nc -",
        "python -c",
        "python3 -c",
        "chmod ",
        "rm -rf",
        "$(",
        "&& ",
        "| sh",
        "|sh",
        "`",
        "; ",
        "/tmp/",
        "/proc/",
        "../",
        "~/.",
        "c:\\",
        "echo ",
        "touch ",
        "whoami",
    ]);
    let code = has(&[
        "import ",
        "__import__",
        "exec(",
        "eval(",
        "os.system",
        "subprocess",
        "lambda ",
        "def ",
        "open(",
        "print(",
        "compile(",
        "getattr(",
        "__class__",
        "__globals__",
        "base64",
        "socket",
        "system(",
    ]);
    let path = text.starts_with('/') && text.len() > 3 && text.len() < 256 && !text.contains(' ');
    address || command || code || path || is_host_and_port(text)
}

fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        host.contains('.') && host.len() < 254 && port.parse::<u16>().is_ok() && !host.contains(' ')
    })
}
