"""The smallest heads of programs that a system would take for one."""

import struct

# An executable for Windows: stub, PE header, one section.
PE = (b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 240, 0x22)
      + struct.pack("<HBBIIIIIQII", 0x20B, 14, 0, 512, 0, 0, 4096, 4096, 0x140000000, 4096, 512) + bytes(200)
      + b".text\0\0\0" + struct.pack("<IIII", 16, 4096, 512, 512) + bytes(12) + struct.pack("<I", 0x60000020))
# An executable for macOS with one load command.
MACHO = struct.pack("<IIIIIIII", 0xFEEDFACF, 0x01000007, 3, 2, 1, 72, 0x85, 0) + struct.pack("<II16sQQQQIIII", 0x19, 72, b"__TEXT", 1 << 32, 4096, 0, 4096, 5, 5, 0, 0)
# exit(0) for x86-64, after a slide.
SHELLCODE = b"\x90" * 64 + b"\x31\xff\xb8\x3c\x00\x00\x00\x0f\x05"
