//! Tensors that a header declares beyond the end of the file.

use super::{HEAD_BYTES, Head, gguf, safetensors};
use crate::artifact::input::Input;

/// Their names: a file that was cut off has them.
pub fn beyond(input: Input<'_>) -> Vec<String> {
    let bytes = input.read(0, HEAD_BYTES);
    let head = Head { bytes: &bytes, input, name: "" };
    if gguf::identify(&head) {
        gguf::beyond(input)
    } else if safetensors::identify(&head) {
        safetensors::beyond(input)
    } else {
        Vec::new()
    }
}
