//! What a global that a pickle names may do: vetted, dangerous, or neither.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// How a global is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Vetted: loading it or calling it with vetted arguments runs nobody's code.
    Allowed,
    /// A known means of execution, file or network access, or deserialisation.
    Dangerous,
    /// Neither.
    Unlisted,
}

/// Modules that a dotted name must not walk into.
const HIDEOUTS: &[&str] = &[
    "os",
    "sys",
    "subprocess",
    "builtins",
    "posix",
    "nt",
    "importlib",
    "shutil",
    "socket",
    "pickle",
    "ctypes",
    "runpy",
    "pty",
    "code",
    "commands",
    "marshal",
    "imp",
    "pathlib",
    "tempfile",
    "threading",
    "inspect",
    "io",
    "codecs",
    "operator",
    "functools",
    "types",
    "ast",
    "atexit",
    "asyncio",
    "multiprocessing",
    "urllib",
    "requests",
    "http",
    "pkgutil",
    "popen",
    "system",
    "eval",
    "exec",
    "Popen",
    "check_output",
    "glob",
    "zipfile",
    "tarfile",
    "timeit",
    "pdb",
    "bdb",
    "platform",
    "webbrowser",
    "signal",
    "gc",
    "weakref",
    "logging",
    "warnings",
    "linecache",
    "itertools",
    "tokenize",
    "traceback",
    "cloudpickle",
    "joblib",
    "dill",
    "pickletools",
    "_pickle",
    "copyreg",
    "spawn",
];

static TABLE: LazyLock<Table> =
    LazyLock::new(|| Table::parse(include_str!("globals.txt")).with(include_str!("vetted.txt")));
static COMPAT: LazyLock<Compat> = LazyLock::new(|| Compat::parse(include_str!("compat.txt")));

#[derive(Default)]
struct Table {
    exact: HashMap<&'static str, Tier>,
    packages: HashMap<&'static str, Tier>,
    classes: HashSet<&'static str>,
}

impl Table {
    fn parse(text: &'static str) -> Self {
        let mut table = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            let tier = match words.next() {
                Some("allow") => Tier::Allowed,
                Some("deny") => Tier::Dangerous,
                Some(_) | None => continue,
            };
            for pattern in words {
                table.add(tier, pattern);
            }
        }
        table
    }

    /// Adds the names that were derived from what the libraries write: only those of which the
    /// patterns say nothing, so that nothing denied comes in this way.
    fn with(mut self, derived: &'static str) -> Self {
        let names = derived.lines().filter(|line| !line.starts_with('#') && !line.contains(' '));
        let unlisted: Vec<&str> = names
            .filter(|full| {
                full.rsplit_once('.').is_some_and(|(module, name)| self.judge(module, name) == Tier::Unlisted)
            })
            .collect();
        self.exact.extend(unlisted.into_iter().map(|full| (full, Tier::Allowed)));
        self
    }

    fn add(&mut self, tier: Tier, pattern: &'static str) {
        if let Some(package) = pattern.strip_suffix(".^") {
            self.classes.insert(package);
            return;
        }
        let (map, key) = match pattern.strip_suffix(".*") {
            Some(package) => (&mut self.packages, package),
            None => (&mut self.exact, pattern),
        };
        let known = map.entry(key).or_insert(tier);
        if tier == Tier::Dangerous {
            *known = tier;
        }
    }

    fn judge(&self, module: &str, name: &str) -> Tier {
        let full = format!("{module}.{name}");
        if let Some(tier) = self.exact.get(full.as_str()) {
            return *tier;
        }
        if walks_astray(name) {
            return Tier::Dangerous;
        }
        let class = name.split('.').all(is_class_name);
        let mut package = full.as_str();
        while let Some((parent, _)) = package.rsplit_once('.') {
            package = parent;
            if let Some(tier) = self.packages.get(package) {
                return *tier;
            }
            if class && self.classes.contains(package) {
                return Tier::Allowed;
            }
            // An allowed function or class says nothing about what hangs below it, a dangerous one does.
            if self.exact.get(package) == Some(&Tier::Dangerous) {
                return Tier::Dangerous;
            }
        }
        // Cython's generated unpicklers rebuild the extension class that they are named after.
        let cython = name.strip_prefix("__pyx_unpickle_").is_some_and(is_class_name);
        if cython && module.split('.').next().is_some_and(|root| self.classes.contains(root)) {
            return Tier::Allowed;
        }
        Tier::Unlisted
    }
}

/// Judges one global by its module and its name, which may be dotted.
pub fn judge(module: &str, name: &str) -> Tier {
    TABLE.judge(module, name)
}

/// The name that Python 3 imports when protocol 0 to 2 names `module` and `name`.
pub fn python3_name(module: &str, name: &str) -> Option<(String, String)> {
    let compat = &*COMPAT;
    if let Some((module, name)) = compat.names.get(&(module, name)) {
        return Some(((*module).to_owned(), (*name).to_owned()));
    }
    compat.modules.get(module).map(|module| ((*module).to_owned(), name.to_owned()))
}

/// True for a name of several parts whose first is no class: it walks from module to module.
pub fn is_module_walk(name: &str) -> bool {
    name.split_once('.').is_some_and(|(first, _)| !is_class_name(first))
}

/// True for what hangs below a vetted class, also one in lower case such as `interp1d._call_linear_np`:
/// ordinary names that reach no module and nothing under the surface.
pub fn is_method(module: &str, name: &str, tier: Tier) -> bool {
    let ordinary = |part: &str| {
        !part.starts_with("__")
            && !part.starts_with(|first: char| first.is_ascii_digit())
            && !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    tier == Tier::Unlisted
        && name.split_once('.').is_some_and(|(class, rest)| {
            let vetted = TABLE.exact.get(format!("{module}.{class}").as_str()) == Some(&Tier::Allowed);
            vetted && rest.split('.').all(ordinary)
        })
}

/// True for names that reach what lies under the surface: dunders, private or dangerous modules.
fn walks_astray(name: &str) -> bool {
    let dotted = name.contains('.');
    name.split('.').any(|part| {
        let dunder = part.len() > 4 && part.starts_with("__") && part.ends_with("__");
        let bare = part.trim_start_matches('_');
        let hidden = (dotted || bare.len() < part.len()) && HIDEOUTS.contains(&bare);
        dunder || hidden
    })
}

fn is_class_name(name: &str) -> bool {
    name.trim_start_matches('_').starts_with(|first: char| first.is_ascii_uppercase())
}

#[derive(Default)]
struct Compat {
    modules: HashMap<&'static str, &'static str>,
    names: HashMap<(&'static str, &'static str), (&'static str, &'static str)>,
}

impl Compat {
    fn parse(text: &'static str) -> Self {
        let mut compat = Self::default();
        for line in text.lines() {
            match line.split_whitespace().collect::<Vec<_>>().as_slice() {
                ["module", old, new] => {
                    compat.modules.insert(old, new);
                }
                ["name", old_module, old, new_module, new] => {
                    compat.names.insert((old_module, old), (new_module, new));
                }
                _ => {}
            }
        }
        compat
    }
}
