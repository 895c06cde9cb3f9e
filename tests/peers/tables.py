"""Writes tables whose columns hold given bytes, in every way that pyarrow packs them. Nothing is loaded."""

import base64
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def main():
    folder, payload = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()
    rows = 50
    texts = [f"a text of row {number}, which says nothing" for number in range(rows)]
    blobs = [bytes([number]) * 40 for number in range(rows)]
    columns = {
        "plain": (texts, blobs, False),
        "binary": (texts, [*blobs[:20], payload, *blobs[21:]], False),
        "base64": ([*texts[:7], base64.b64encode(payload).decode(), *texts[8:]], blobs, False),
        "formula": ([*texts[:9], "=cmd|' /C calc'!A0", *texts[10:]], blobs, False),
        "dictionary": ([*texts[:9], base64.b64encode(payload).decode(), *texts[10:]], blobs, True),
    }
    for name, (text, blob, dictionary) in columns.items():
        table = pa.table(
            {"text": pa.array(text), "n": list(range(rows)), "blob": pa.array(blob, pa.binary()),
             "tags": [["a", None], []] * (rows // 2)}
        )
        for codec in ("NONE", "GZIP", "ZSTD", "LZ4", "SNAPPY", "BROTLI"):
            for version in ("1.0", "2.0"):
                pq.write_table(
                    table, folder / f"{name}-{codec}-{version}.parquet", compression=codec, data_page_version=version,
                    use_dictionary=["text"] if dictionary else False, row_group_size=25,
                )
        if dictionary:
            table = table.set_column(0, "text", table["text"].dictionary_encode())
        for codec in (None, "lz4", "zstd"):
            with pa.ipc.new_file(
                folder / f"{name}-{codec}.arrow", table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)
            ) as writer:
                writer.write_table(table)


main()
