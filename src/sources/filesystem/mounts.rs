//! File systems on which others write without this kernel hearing of it.

use std::path::Path;

/// Magic numbers of `statfs(2)`.
const BLIND: &[(u64, &str)] = &[
    (0x6969, "NFS"),
    (0x6573_5546, "FUSE"),
    (0x00c3_6400, "CephFS"),
    (0xfe53_4d42, "SMB2"),
    (0xff53_4d42, "CIFS"),
    (0x517b, "SMB"),
    (0x0102_1997, "9p"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x7461_636f, "OCFS2"),
    (0x0116_1970, "GFS2"),
    (0x5346_414f, "AFS"),
];

/// Name of the file system at a path, if notifications do not tell of all its writers.
pub fn blind(path: &Path) -> Option<&'static str> {
    let statfs = rustix::fs::statfs(path).ok()?;
    // Some kernels sign-extend the 32-bit number.
    #[expect(clippy::cast_sign_loss, reason = "only the lower 32 bits count")]
    let magic = statfs.f_type as u64 & 0xffff_ffff;
    BLIND.iter().find(|(number, _)| *number == magic).map(|(_, name)| *name)
}
