//! Samples: small assemblers of pickles, archives, tensors and graphs. Every payload is inert: were it
//! run, it would print a word.

pub mod arrays;
pub mod flatbuffer;
pub mod hdf5;
pub mod keras;
pub mod oci;
pub mod pickle;
pub mod protobuf;
pub mod sevenz;
pub mod tables;
pub mod tensors;
pub mod values;
pub mod zip;

/// A pickle that would call `os.system("echo lanner")`.
pub fn pickle_os_system() -> Vec<u8> {
    pickle::call("os", "system", &["echo lanner"])
}

/// The header of a program, with which nothing can be run.
pub fn elf() -> Vec<u8> {
    let mut out = b"\x7fELF\x02\x01\x01\0".to_vec();
    out.resize(16, 0);
    out.extend([3, 0, 62, 0, 1, 0, 0, 0]);
    out.resize(64, 0);
    out
}

/// A pickle of nothing but data.
pub fn pickle_benign() -> Vec<u8> {
    b"\x80\x04\x95\x0d\0\0\0\0\0\0\0}\x94\x8c\x01a\x94]\x94K\x01as.".to_vec()
}
