"""Safetensors files with a checksum of everything in them, their header included.

Written here because the library orders the metadata at random, and one content should give one file. Files
of earlier versions have no checksum and pass.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from crystalsmith.runs.atomic import replacing

_CRC = re.compile(rb'"crc":"([0-9a-f]{8})"')
_BLANK = b'"crc":"00000000"'
_BLOCK = 1 << 20


def write_sealed(
    path: Path, tensors: Mapping[str, Any], metadata: Mapping[str, str], blocks: Iterable[bytes | memoryview]
) -> None:
    """Write a file whole or not at all, and see it onto the disk.

    Args:
        path: the file.
        tensors: name -> dtype, shape and data_offsets, as in the header.
        metadata: strings.
        blocks: the tensors' bytes in the order of their offsets.

    Raises:
        OSError: it cannot be written; the old file, if any, is untouched.
    """
    header = {"__metadata__": dict(sorted({**metadata, "crc": "00000000"}.items())), **tensors}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    size = len(text).to_bytes(8, "little")
    crc = zlib.crc32(size + text)
    with replacing(path, durable=True) as partial, partial.open("wb") as f:
        f.write(size + text)
        for block in blocks:
            f.write(block)
            crc = zlib.crc32(block, crc)
        f.seek(8)
        f.write(text.replace(_BLANK, b'"crc":"%08x"' % crc, 1))


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file, and where its tensors begin.

    Raises:
        ValueError: there is none.
        OSError: the file cannot be read.
    """
    with path.open("rb") as f:
        length = int.from_bytes(f.read(8), "little")
        if length > path.stat().st_size - 8:
            raise ValueError("truncated")
        header = json.loads(f.read(length))
    if not isinstance(header, dict) or not isinstance(header.setdefault("__metadata__", {}), dict):
        raise ValueError("no header")
    return header, 8 + length


def check_seal(path: Path) -> None:
    """Compare a file's checksum with its content; one without a checksum passes.

    Raises:
        ValueError: it is not as it was written.
        OSError: it cannot be read.
    """
    header, begin = read_header(path)
    if "crc" not in header["__metadata__"]:
        return
    with path.open("rb") as f:
        head = f.read(begin)
        found = _CRC.search(head)
        crc = zlib.crc32(_CRC.sub(_BLANK, head, count=1))
        while block := f.read(_BLOCK):
            crc = zlib.crc32(block, crc)
    if found is None or int(found[1], 16) != crc:
        raise ValueError("its checksum does not fit its content")
