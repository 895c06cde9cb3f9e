//! Where a value comes from, as far as one source tells: from the network, out of an encoding, put
//! together character by character, or from the environment.

use std::collections::HashMap;

use ruff_python_ast::visitor::{Visitor, walk_expr};
use ruff_python_ast::{Expr, ExprCall, Operator, Stmt};

use super::constants::is_minus_one;
use super::names::Names;
use super::persistence::is_run_later;

/// Names of one source whose values are followed.
const NAMES_MAX: usize = 5000;
/// Functions in functions whose names are looked through.
const SCOPES_MAX: usize = 8;
/// Calls that give back what came over the network.
const FETCH: &[&str] = &[
    "urllib.request.urlopen",
    "urllib.request.urlretrieve",
    "urllib.urlopen",
    "urllib2.",
    "urllib3.",
    "requests.",
    "httpx.",
    "aiohttp.",
    "http.client.",
    "ftplib.",
    "socket.create_connection",
];
/// Calls that turn an encoded text into another.
const DECODE: &[&str] = &[
    "base64.",
    "binascii.",
    "codecs.decode",
    "codecs.getdecoder",
    "zlib.decompress",
    "gzip.decompress",
    "bz2.decompress",
    "lzma.decompress",
    "bytes.fromhex",
    "bytearray.fromhex",
    "marshal.load",
    "cryptography.",
    "Crypto.",
];
/// Methods that do, whatever they belong to.
const DECODING: &[&str] = &["fromhex", "decrypt", "b64decode", "a85decode", "unhexlify"];
/// Parts of paths under which somebody's secrets lie.
const SECRETS: &[&str] = &[
    ".ssh/id_",
    "id_rsa",
    "id_ed25519",
    ".aws/credentials",
    "/etc/shadow",
    "/etc/passwd",
    ".git-credentials",
    ".bash_history",
    ".kube/config",
    ".docker/config.json",
    "gcloud/application_default_credentials",
    "/proc/self/environ",
    "wallet.dat",
    "Login Data",
    "cookies.sqlite",
    "/var/run/secrets/",
    HUGGINGFACE,
];
/// The token of the hub, which scripts that talk to the hub read as well.
pub const HUGGINGFACE: &str = ".cache/huggingface/token";
/// Longest text that is a path.
const PATH_MAX: usize = 200;
/// Methods of connections.
const RECEIVING: &[&str] = &["recv", "recvfrom", "recv_into", "urlopen"];

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Origin(u8);

impl Origin {
    pub const FETCHED: Self = Self(1);
    pub const DECODED: Self = Self(2);
    pub const COMPUTED: Self = Self(4);
    pub const ENVIRONMENT: Self = Self(8);
    /// The path of somebody's secret.
    pub const SECRET: Self = Self(16);
    pub const SOCKET: Self = Self(32);
    /// One variable of the environment.
    pub const VARIABLE: Self = Self(64);
    /// The path of a file that is run without being asked for.
    pub const RUN_LATER: Self = Self(128);

    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// How code or a command came to be that was in no source.
    pub const fn word(self) -> Option<&'static str> {
        if self.has(Self::FETCHED) {
            Some("fetched")
        } else if self.has(Self::DECODED) {
            Some("decoded")
        } else if self.has(Self::COMPUTED) {
            Some("computed")
        } else {
            None
        }
    }

    const fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// What is known of the names of one source.
#[derive(Default)]
pub struct Origins {
    known: HashMap<String, Origin>,
    /// Functions whose body is being read.
    functions: Vec<String>,
}

impl Origins {
    /// Where an expression's value comes from.
    pub fn of(&self, expression: &Expr, names: &Names) -> Origin {
        let mut search = Search { origins: self, names, found: Origin::default() };
        search.visit_expr(expression);
        search.found
    }

    /// Remembers what a statement gives a name to.
    pub fn learn(&mut self, statement: &Stmt, names: &Names) {
        match statement {
            Stmt::Assign(assign) => {
                let origin = self.of(&assign.value, names);
                assign.targets.iter().for_each(|target| self.bind(target, origin));
            }
            Stmt::AnnAssign(assign) => {
                if let Some(value) = &assign.value {
                    self.bind(&assign.target, self.of(value, names));
                }
            }
            Stmt::AugAssign(assign) => self.bind(&assign.target, self.of(&assign.value, names)),
            Stmt::For(each) => self.bind(&each.target, self.of(&each.iter, names)),
            Stmt::With(with) => {
                for item in &with.items {
                    if let Some(target) = &item.optional_vars {
                        self.bind(target, self.of(&item.context_expr, names));
                    }
                }
            }
            Stmt::Return(given) => {
                if let (Some(value), Some(function)) = (&given.value, self.functions.last().cloned()) {
                    let origin = self.of(value, names);
                    self.remember("", &function, origin);
                }
            }
            _ => {}
        }
    }

    pub fn enter(&mut self, function: &str) {
        self.functions.push(function.to_owned());
    }

    /// The function whose body is being read.
    pub fn function(&self) -> Option<&str> {
        self.functions.last().map(String::as_str)
    }

    pub fn leave(&mut self) {
        self.functions.pop();
    }

    fn bind(&mut self, target: &Expr, origin: Origin) {
        match target {
            Expr::Name(name) => {
                let scope = self.functions.last().cloned().unwrap_or_default();
                self.remember(&scope, name.id.as_str(), origin);
            }
            Expr::Attribute(attribute) => self.remember(".", attribute.attr.as_str(), origin),
            Expr::Tuple(tuple) => tuple.elts.iter().for_each(|each| self.bind(each, origin)),
            Expr::List(list) => list.elts.iter().for_each(|each| self.bind(each, origin)),
            _ => {}
        }
    }

    /// A name keeps what it once was: which value it has where is a matter of what runs.
    fn remember(&mut self, scope: &str, name: &str, origin: Origin) {
        if origin == Origin::default() {
            return;
        }
        let place = format!("{scope}:{name}");
        if let Some(known) = self.known.get_mut(&place) {
            known.add(origin);
        } else if self.known.len() < NAMES_MAX {
            self.known.insert(place, origin);
        }
    }

    /// What a name is in the functions that are being read, or in all of the source.
    fn known(&self, name: &str) -> Origin {
        let mut found = Origin::default();
        for scope in self.functions.iter().rev().take(SCOPES_MAX).map(String::as_str).chain([""]) {
            if let Some(origin) = self.known.get(&format!("{scope}:{name}")) {
                found.add(*origin);
            }
        }
        found
    }
}

struct Search<'s> {
    origins: &'s Origins,
    names: &'s Names,
    found: Origin,
}

impl Search<'_> {
    fn call(&mut self, call: &ExprCall) {
        if let Some(name) = self.names.of(&call.func) {
            let begins = |families: &[&str]| families.iter().any(|family| name.starts_with(family));
            if begins(FETCH) {
                self.found.add(Origin::FETCHED);
            }
            if matches!(name.as_str(), "socket.socket" | "socket.create_connection") {
                self.found.add(Origin::SOCKET);
            }
            if begins(DECODE) {
                self.found.add(Origin::DECODED);
            }
            let listed = matches!(call.arguments.args.first(), Some(Expr::List(_)));
            if matches!(name.as_str(), "bytes" | "bytearray") && listed {
                self.found.add(Origin::COMPUTED);
            }
        }
        if let Expr::Attribute(method) = &*call.func {
            let method = method.attr.as_str();
            if RECEIVING.contains(&method) {
                self.found.add(Origin::FETCHED);
            }
            if method == "accept" {
                self.found.add(Origin::SOCKET);
            }
            let encoding = call.arguments.args.first().and_then(|first| self.names.text(first));
            let odd = |name: &str| {
                let name = name.to_ascii_lowercase();
                ["base64", "rot", "hex", "zip", "zlib", "bz2", "uu", "punycode", "utf-7", "utf7", "utf_7"]
                    .iter()
                    .any(|odd| name.starts_with(odd))
            };
            if DECODING.contains(&method) || method == "decode" && encoding.as_deref().is_some_and(odd) {
                self.found.add(Origin::DECODED);
            }
            if method == "translate" {
                self.found.add(Origin::COMPUTED);
            }
        }
    }
}

impl<'a> Visitor<'a> for Search<'_> {
    fn visit_expr(&mut self, expression: &'a Expr) {
        match expression {
            Expr::Name(name) => {
                let name = name.id.as_str();
                self.found.add(self.origins.known(name));
                if name == "chr" {
                    self.found.add(Origin::COMPUTED);
                }
                if self.names.of(expression).as_deref() == Some("os.environ") {
                    self.found.add(Origin::ENVIRONMENT);
                }
            }
            Expr::Attribute(attribute) => {
                if let Some(known) = self.origins.known.get(&format!(".:{}", attribute.attr.as_str())) {
                    self.found.add(*known);
                }
                if self.names.of(expression).as_deref() == Some("os.environ") {
                    self.found.add(Origin::ENVIRONMENT);
                }
            }
            // One variable of it is not the environment.
            Expr::Subscript(item) if self.names.of(&item.value).as_deref() == Some("os.environ") => {
                self.found.add(Origin::VARIABLE);
                return;
            }
            Expr::Subscript(item) => {
                let reversed = |slice: &Expr| matches!(slice, Expr::Slice(slice) if slice.step.as_deref().is_some_and(is_minus_one));
                if reversed(&item.slice) {
                    self.found.add(Origin::COMPUTED);
                }
            }
            Expr::StringLiteral(text) if is_secret(text.value.to_str()) => self.found.add(Origin::SECRET),
            Expr::StringLiteral(text) if is_run_later(text.value.to_str()) => self.found.add(Origin::RUN_LATER),
            Expr::BinOp(operation) if operation.op == Operator::BitXor => self.found.add(Origin::COMPUTED),
            Expr::Call(call) => {
                let method = self.names.of(&call.func);
                if matches!(
                    method.as_deref(),
                    Some("os.environ.get" | "os.environ.pop" | "os.environ.setdefault" | "os.getenv")
                ) {
                    self.found.add(Origin::VARIABLE);
                    return;
                }
                self.call(call);
            }
            _ => {}
        }
        walk_expr(self, expression);
    }
}

/// A path under which somebody's secrets lie; their public halves are none.
pub fn is_secret(text: &str) -> bool {
    text.len() <= PATH_MAX && text.rsplit('.').next() != Some("pub") && SECRETS.iter().any(|part| text.contains(part))
}
