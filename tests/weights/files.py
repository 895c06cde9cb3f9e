"""Models as dictionaries of arrays, and as files of safetensors."""

import json
import struct

import ml_dtypes
import numpy as np

NAMES = {
    np.dtype(np.float32): "F32",
    np.dtype(np.float16): "F16",
    np.dtype(ml_dtypes.bfloat16): "BF16",
    np.dtype(ml_dtypes.float8_e4m3fn): "F8_E4M3",
    np.dtype(np.int8): "I8",
}
TYPES = {"f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16, "f8": ml_dtypes.float8_e4m3fn}


def cast(model, dtype):
    """Every number in another type."""
    return {name: np.asarray(array).astype(TYPES[dtype]) for name, array in model.items()}


def write(path, model, metadata=None, order=None):
    header = {"__metadata__": metadata} if metadata else {}
    end, chunks = 0, []
    for name in order or list(model):
        array = np.ascontiguousarray(model[name])
        header[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
        chunks.append(array)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for chunk in chunks:
            file.write(chunk.tobytes())
