//! Places of a machine that no model has a reason to name.

/// Folders of the system and of its administrator.
const SYSTEM: &[&str] =
    &["/etc/", "/proc/", "/root/", "/sys/", "/boot/", "/var/spool/", "/var/run/", "/run/", "/usr/lib/", "/usr/bin/"];
/// Parts of paths under which secrets lie, or what is run at a start.
const PRIVATE: &[&str] = &[
    "/.ssh",
    "/.aws/",
    "/.kube/",
    "/.config/gcloud",
    "/.docker/",
    "/.gnupg",
    "/.netrc",
    "/.bashrc",
    "/.profile",
    "/.bash_history",
    "authorized_keys",
    "id_rsa",
    "id_ed25519",
    "/cron.d/",
    "/crontab",
];
/// Folders that everybody on the machine may write to.
const SHARED: &[&str] = &["/tmp/", "/var/tmp/", "/dev/shm/"];

/// A file of the system, a secret, or something that climbs out of its folder.
pub fn is_sensitive(path: &str) -> bool {
    let slashes = path.replace('\\', "/");
    let place = slashes.strip_prefix("file://").unwrap_or(&slashes);
    let rooted = format!("/{}", place.trim_start_matches(['/', '~']));
    SYSTEM.iter().any(|folder| place.starts_with(folder))
        || PRIVATE.iter().any(|part| rooted.contains(part))
        || place.split('/').any(|part| part == "..")
}

/// A place where anybody can put a library in advance.
pub fn is_shared(path: &str) -> bool {
    let slashes = path.replace('\\', "/");
    SHARED.iter().any(|folder| slashes.starts_with(folder))
}
