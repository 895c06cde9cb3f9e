//! Reading what is installed, as far as packages, versions, digests and sources go.

use super::{HASHES_MAX, PACKAGES_MAX, Pins};
use crate::artifact::format::json::Json;
use crate::artifact::outline::packed::{digits, print};
use crate::base::text::shorten;
use crate::base::yaml;

/// What was read so far.
#[derive(Default)]
pub struct Reading {
    pins: Pins,
    cut: bool,
}

/// Names differ in case and in what stands between words, and mean the same.
fn normal(name: &str) -> String {
    let lower = name.trim().to_ascii_lowercase();
    let bare = lower.split('[').next().unwrap_or(&lower).trim();
    shorten(&bare.replace(['_', '.'], "-"), 120)
}

fn short(hash: &str) -> String {
    let bare = hash.rsplit([':', '=']).next().unwrap_or(hash).trim();
    if bare.len() > 24 { bare.chars().take(16).collect() } else { bare.to_owned() }
}

impl Reading {
    pub fn finish(self) -> (Pins, bool) {
        (self.pins, self.cut)
    }

    fn add(&mut self, name: &str, version: &str, mut hashes: Vec<String>, source: &str) {
        let name = normal(name);
        if name.is_empty() {
            return;
        }
        if self.pins.packages.len() >= PACKAGES_MAX {
            self.cut = true;
            return;
        }
        hashes.sort();
        hashes.dedup();
        // Of many digests a few are kept, always the same ones.
        hashes.sort_by_key(|hash| print(hash.as_bytes()));
        hashes.truncate(HASHES_MAX);
        // The same package may be there for several platforms.
        let pin = self.pins.packages.entry(name).or_default();
        if pin.version.is_empty() {
            pin.version = shorten(version.trim(), 80);
        }
        if pin.source.is_empty() {
            pin.source = shorten(source, 200);
        }
        if pin.hashes.len() < HASHES_MAX.saturating_mul(2) {
            pin.hashes.extend(hashes);
        }
    }

    fn option(&mut self, option: &str) {
        if self.pins.options.len() < 200 {
            self.pins.options.insert(shorten(&option.split_whitespace().collect::<Vec<_>>().join(" "), 200));
        }
    }

    /// Requirements of pip: a package with its versions, `--hash` behind it; options in lines of their own.
    pub fn requirements(&mut self, text: &str) {
        for line in text.replace("\\\r\n", " ").replace("\\\n", " ").lines() {
            let line = line.split(" #").next().unwrap_or(line).trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.starts_with('-') && !line.starts_with("-e") && !line.starts_with("--editable") {
                self.option(line);
                continue;
            }
            let mut words = line.split_whitespace().filter(|word| *word != "-e" && *word != "--editable");
            let hashes: Vec<String> =
                line.split_whitespace().filter_map(|word| word.strip_prefix("--hash=")).map(short).collect();
            let rest: String = words.by_ref().take_while(|word| !word.starts_with("--")).collect::<Vec<_>>().join(" ");
            // A marker says where a package is installed, not which.
            let rest = rest.split(';').next().unwrap_or(&rest).trim().to_owned();
            if let Some((name, source)) =
                rest.split_once(" @ ").or_else(|| rest.split_once('@').filter(|(name, _)| !name.contains("://")))
            {
                self.add(name, "", hashes, source.trim());
            } else if rest.contains("://") || rest.starts_with(['.', '/']) {
                let egg = rest.split("#egg=").nth(1).map(|egg| egg.split('&').next().unwrap_or(egg));
                let path = rest.split(['#', '?']).next().unwrap_or(&rest);
                let name = egg.or_else(|| path.trim_end_matches('/').rsplit('/').next()).unwrap_or(path);
                let name = name.split('@').next().unwrap_or(name).trim_end_matches(".git");
                self.add(name, "", hashes, &rest);
            } else {
                let end = rest.find(['=', '<', '>', '~', '!', ' ']).unwrap_or(rest.len());
                let (name, version) = rest.split_at_checked(end).unwrap_or((&rest, ""));
                self.add(name, &version.replace(' ', ""), hashes, "");
            }
        }
    }

    /// Lock files in TOML, as their tools write them: a line for each value, a table for each package.
    pub fn toml(&mut self, text: &str) {
        let (mut name, mut version, mut source) = (String::new(), String::new(), String::new());
        let (mut hashes, mut package, mut of_source): (Vec<String>, bool, bool) = (Vec::new(), false, false);
        for line in text.lines().map(str::trim).chain(["[[package]]"]) {
            if line.starts_with('[') && line.ends_with(']') && !line.contains('=') {
                let table = line.trim_matches(['[', ']']);
                of_source = table == "package.source" || table == "packages.source";
                if matches!(table, "package" | "packages") {
                    if package {
                        self.add(&name, &version, std::mem::take(&mut hashes), &source);
                    }
                    package = true;
                    name.clear();
                    version.clear();
                    source.clear();
                } else if !table.starts_with("package") {
                    // Metadata of the file: older tools keep all digests there.
                    if package {
                        self.add(&name, &version, std::mem::take(&mut hashes), &source);
                    }
                    package = false;
                }
                continue;
            }
            if !package {
                continue;
            }
            let quoted = |text: &str| text.split('"').nth(1).unwrap_or_default().to_owned();
            match line.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
                Some(("name", value)) if name.is_empty() => name = quoted(value),
                Some(("version", value)) if version.is_empty() => version = quoted(value),
                Some(("source" | "git" | "vcs" | "directory" | "archive", value)) => source = shorten(value, 200),
                Some(("url" | "reference" | "resolved_reference" | "path", value)) if of_source => {
                    source.push_str(&quoted(value));
                    source.push(' ');
                }
                _ => {}
            }
            for word in line
                .split('"')
                .filter(|word| word.starts_with("sha256:") || word.starts_with("sha512:") || word.starts_with("sha1:"))
            {
                hashes.push(short(word));
            }
            if let Some(("checksum", value)) = line.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
                hashes.push(short(&quoted(value)));
            }
        }
    }

    /// Lock files of pipenv and of npm.
    pub fn json(&mut self, text: &str) {
        let Some(json) = Json::parse_python(text.as_bytes()) else {
            self.cut = true;
            return;
        };
        let of = |json: &Json, key: &str| json.get(key).and_then(Json::as_text).unwrap_or_default().to_owned();
        for section in ["default", "develop"] {
            for (name, package) in json.get(section).map(Json::members).unwrap_or_default() {
                let hashes = package
                    .get("hashes")
                    .map(Json::items)
                    .unwrap_or_default()
                    .iter()
                    .filter_map(Json::as_text)
                    .map(short)
                    .collect();
                let source = ["git", "file", "path", "ref"].map(|key| of(package, key)).join(" ");
                self.add(name, &of(package, "version"), hashes, source.trim());
            }
        }
        for source in json.get("_meta").and_then(|meta| meta.get("sources")).map(Json::items).unwrap_or_default() {
            self.option(&format!("source {}", of(source, "url")));
        }
        for section in ["packages", "dependencies"] {
            for (path, package) in json.get(section).map(Json::members).unwrap_or_default() {
                let name = path.rsplit("node_modules/").next().unwrap_or(path);
                let integrity = of(package, "integrity");
                let hashes = if integrity.is_empty() { Vec::new() } else { vec![digits(print(integrity.as_bytes()))] };
                // The file's name has the version in it; what counts is the host.
                let resolved = of(package, "resolved");
                let mut parts = resolved.splitn(4, '/');
                let host = match (parts.next(), parts.next(), parts.next()) {
                    (Some(scheme), Some(""), Some(host)) => format!("{scheme}//{host}"),
                    _ => resolved.clone(),
                };
                self.add(name, &of(package, "version"), hashes, &host);
            }
        }
    }

    /// Environments of conda: packages, channels, and requirements of pip in a list of their own.
    pub fn conda(&mut self, text: &str) {
        let Ok(documents) = yaml::parse_any(text) else {
            self.cut = true;
            return;
        };
        for document in &documents {
            let list = |key: &str| document.get(key).and_then(yaml::Node::as_list).unwrap_or_default();
            for channel in list("channels").iter().filter_map(yaml::Node::as_text) {
                self.option(&format!("channel {channel}"));
            }
            for package in list("dependencies") {
                if let Some(text) = package.as_text() {
                    let text = text.replace(' ', "");
                    let bare = text.rsplit("::").next().unwrap_or(&text);
                    let end = bare.find(['=', '<', '>', '~', '!']).unwrap_or(bare.len());
                    let (name, version) = bare.split_at_checked(end).unwrap_or((bare, ""));
                    let version = version.trim_start_matches('=').to_owned();
                    self.add(name, &version, Vec::new(), "");
                } else {
                    let lines = package.get("pip").and_then(yaml::Node::as_list).unwrap_or_default();
                    let lines: Vec<&str> = lines.iter().filter_map(yaml::Node::as_text).collect();
                    self.requirements(&lines.join("\n"));
                }
            }
        }
    }
}
