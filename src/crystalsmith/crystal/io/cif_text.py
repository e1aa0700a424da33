"""From the bytes of a CIF to its data blocks: encodings, line ends, slips of syntax that can be mended."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, NamedTuple

import gemmi

from crystalsmith.errors import StructureError

_WANTED = ("_cell_", "_atom_site_", "_symmetry", "_space_group", "_chemical_formula_sum", "_atom_sites_")
_UNWANTED = ("_atom_site_aniso", "_atom_site_u_", "_atom_site_b_", "_atom_site_adp")

# ``_tag two words`` without quotes, and a row of operators without them.
_UNQUOTED = re.compile(
    r"^[ \t]*(_\S+)[ \t]+(?!['\"#;?.])((?!_)\S+(?:[ \t]+(?![_#])\S+)+)[ \t]*$", re.MULTILINE
)
_UNQUOTED_OPERATOR = re.compile(
    r"^[ \t]*(\d+[ \t]+)?((?=[^,\n]*[xyzXYZ])[-+xyzXYZ\d./ \t]+,[-+xyzXYZ\d./ \t]+,[-+xyzXYZ\d./ \t]+)$",
    re.MULTILINE,
)


class Block(NamedTuple):
    """One data block.

    Attributes:
        name: what follows ``data_``.
        tags: values by tag in lower case with ``_`` for every dot; what is unknown (``?``, ``.``) is empty,
            but for the dots of coordinates.
        twice: tags that stand twice with different values.
        fault: why the block cannot be parsed, else empty.
        warnings: what was mended.
    """

    name: str
    tags: dict[str, list[str]]
    twice: frozenset[str] = frozenset()
    fault: str = ""
    warnings: tuple[str, ...] = ()

    def all(self, *tags: str) -> list[list[str]]:
        """Known values of each of the tags that is there."""
        found = [self.tags[tag] for tag in tags if any(self.tags.get(tag, ()))]
        for tag in self.twice.intersection(tags):
            raise StructureError(f"contradiction: {tag} stands twice in the CIF with different values")
        return found

    def first(self, *tags: str) -> list[str]:
        """Values of the first of the tags that has any, else an empty list."""
        return next(iter(self.all(*tags)), [])

    def one(self, *tags: str) -> str:
        """The single value of the first of the tags that has one, else empty."""
        return next(filter(None, self.first(*tags)), "")


def read_blocks(text: str | bytes) -> list[Block]:
    """All data blocks of a CIF; one that cannot be parsed holds its fault and costs no other."""
    text = _clean(_decode(text) if isinstance(text, bytes) else text)
    if not re.search(r"^\s*data_", text, re.MULTILINE | re.IGNORECASE) and re.search(
        r"^_cell_", text, re.MULTILINE
    ):
        text = f"data_\n{text}"  # some programs forget the header
    try:
        return [_block(block) for block in gemmi.cif.read_string(text, 0)]
    except (ValueError, RuntimeError) as error:
        parts = _split(text)
        if not parts:
            return [Block("", {}, fault=f"unreadable: not a CIF ({_reason(error)})")]
        return [
            b for name, part in parts for b in _parse_alone(name, part) if not b.fault or "_atom_site" in part
        ]


def _parse_alone(name: str, text: str) -> list[Block]:
    fault = ""
    for warning, mend in (
        ("", str),
        ("values without quotes were mended", _mend),
        ("what cannot be parsed was left aside, none of it about cell, symmetry or atoms", _needed_alone),
    ):
        text, warnings = mend(text), (warning,) if warning else ()
        try:
            return [_block(b)._replace(warnings=warnings) for b in gemmi.cif.read_string(text, 0)]
        except (ValueError, RuntimeError) as error:
            fault = fault or f"unreadable: the CIF cannot be parsed ({_reason(error)})"
    return [Block(name, {}, fault=fault)]


def _block(block: gemmi.cif.Block) -> Block:
    tags: dict[str, list[str]] = {}
    twice = set()
    item: Any
    for item in block:
        if item.pair is not None:
            columns = {item.pair[0]: item.pair[1:]}
        elif item.loop is not None:
            width, values = item.loop.width(), item.loop.values
            columns = {tag: values[i::width] for i, tag in enumerate(item.loop.tags)}
        else:
            continue
        for raw, values in columns.items():
            tag = raw.lower().replace(".", "_")
            if not tag.startswith(_WANTED) or tag.startswith(_UNWANTED):
                continue
            known = [gemmi.cif.as_string(value).strip() for value in values]
            if tag.startswith("_atom_site_fract_") and "." in values:
                known = [value if value == "." else text for value, text in zip(values, known, strict=True)]
            if any(tags.get(tag, ())) and any(known) and tags[tag] != known:
                twice.add(tag)
            if any(known) or tag not in tags:
                tags[tag] = known
    return Block(block.name.strip(), tags, frozenset(twice))


def _decode(raw: bytes) -> str:
    """CIF is ASCII by its standard; editors save it as UTF-8 or UTF-16, older files hold Latin-1 in names."""
    head = raw[:400]
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", errors="replace")
    if len(head) > 3 and head.count(0) > len(head) // 4:
        return raw.decode("utf-16-le" if head[1] == 0 else "utf-16-be", errors="replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _clean(text: str) -> str:
    """ASCII with line feeds: typographic signs as what they mean, other letters without meaning here."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.isascii():
        text = re.sub(r"(\d)[\u0304\u0305]", r"-\1", text.replace("\ufeff", ""))
        text = re.sub("[\u2010-\u2015\u2212]", "-", text).replace("\u2044", "/").replace("\u00a0", " ")
        text = unicodedata.normalize("NFKD", text).replace("\u2044", "/")
        text = text.encode("ascii", errors="replace").decode()
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", " ", text)


def _mend(text: str) -> str:
    return "\n".join(_mend_line(line) if len(line) < 400 else line for line in text.split("\n"))


def _mend_line(line: str) -> str:
    line = _UNQUOTED_OPERATOR.sub(lambda m: f"{m[1] or ''}'{m[2].strip()}'", line)
    return _UNQUOTED.sub(lambda m: m[0] if "'" in m[2] else f"{m[1]} '{m[2]}'", line)


def _needed_alone(text: str) -> str:
    """Tags and loops that are read, without the others: the slips of many files are in titles and names."""
    items: list[list[str]] = [[]]
    in_field = in_header = False
    for line in text.split("\n"):
        word = next(iter(line.lower().split()), "")
        begins = False
        if line.startswith(";"):
            in_field = not in_field
        elif not in_field and word.startswith(("data_", "loop_")):
            begins, in_header = True, word.startswith("loop_")
        elif not in_field and word.startswith("_"):
            begins = not in_header
        elif not in_field and word:
            in_header = False
        if begins:
            items.append([])
        items[-1].append(line)
    return "\n".join(line for item in items if _is_needed(item) for line in item) + "\n"


def _is_needed(item: list[str]) -> bool:
    words = [word for line in item for word in line.lower().replace(".", "_").split()[:2]]
    return bool(words) and (words[0].startswith("data_") or any(word.startswith(_WANTED) for word in words))


def _split(text: str) -> list[tuple[str, str]]:
    """Name and text of each block; ``data_`` inside a text field begins none."""
    blocks: list[tuple[str, list[str]]] = []
    in_field = False
    for line in text.split("\n"):
        if line.startswith(";"):
            in_field = not in_field
        elif not in_field and line[:5].lower() == "data_":
            blocks.append((line[5:].strip(), []))
        if blocks:
            blocks[-1][1].append(line)
    return [(name, "\n".join(lines) + "\n") for name, lines in blocks]


def _reason(error: Exception) -> str:
    return " ".join(str(error).removeprefix("string:").split())[:120]
