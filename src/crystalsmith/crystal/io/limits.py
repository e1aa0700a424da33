"""How much of a source is read before it is refused."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of reading; what goes beyond them is refused with its reason, a member alone where it can be.

    Attributes:
        bytes: of one file or member, unpacked.
        total: bytes of all members of an archive together, unpacked.
        members: files of a folder or archive, or structures of a file.
        depth: archives within archives and folders within folders.
        nesting: brackets within brackets of JSON.
        atoms: of one structure.
        seconds: for one member.
    """

    bytes: int = 1 << 29
    total: int = 1 << 33
    members: int = 2_000_000
    depth: int = 20
    nesting: int = 100
    atoms: int = 20_000
    seconds: float = 60.0
