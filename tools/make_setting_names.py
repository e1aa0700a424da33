"""Write src/crystalsmith/symmetry/settings.json: every setting of every space group, by all its names.

Rows are ``[number, Hall symbol, choice, is ours, [Hermann-Mauguin symbols, the usual first]]``; the first 530
stand in the order in which spglib and moyopy count them, then come settings that are in neither (Hall symbol
empty where only the group can be told from the name). Needs gemmi, spglib and moyopy.
"""

from __future__ import annotations

import json
from pathlib import Path

import gemmi
import moyopy
import numpy as np
import spglib

from crystalsmith.symmetry import space_group

OUT = Path(__file__).parents[1] / "src/crystalsmith/symmetry/settings.json"


def keys(rotations: object, translations: object) -> frozenset:
    """Operations as a set, translations in 24ths."""
    whole = np.rint(np.asarray(rotations)).astype(int).reshape(-1, 9)
    shifts = np.rint(24 * np.asarray(translations)).astype(int).reshape(-1, 3) % 24
    return frozenset(map(tuple, np.hstack([whole, shifts]).tolist()))


def keys_of_hall(hall: str) -> frozenset:
    """The operations that gemmi makes of a Hall symbol."""
    operations = list(gemmi.symops_from_hall(hall))
    return keys([np.array(o.rot) / o.DEN for o in operations], [np.array(o.tran) / o.DEN for o in operations])


def keys_of_tables(number: int) -> frozenset:
    """The operations of the package's own tables."""
    g = space_group(number)
    shifts = (g.centring[:, None] + g.translations).reshape(-1, 3)
    return keys(np.tile(g.rotations, (len(g.centring), 1, 1)), shifts)


def without_ones(symbol: str) -> str:
    """``P 21/n`` of ``P 1 21/n 1``."""
    first, *rest = symbol.split()
    return " ".join([first, *(x for x in rest if x != "1")])


def spellings(number: int, symbols: set[str]) -> list[str]:
    """Symbols as they are, without ones, and with 3 for -3 where that was the use; spaced, one of each."""
    if 3 <= number <= 15:
        symbols |= {without_ones(s) for s in symbols}
    if 200 <= number <= 206 or number >= 221:
        symbols |= {s.replace("-3", "3") for s in symbols}
    best: dict[str, str] = {}
    for symbol in sorted(symbols):  # spaces sort first
        best.setdefault(symbol.replace(" ", ""), symbol)
    return list(best.values())


def large_cells() -> dict[str, int]:
    """Names in the twofold cells of tetragonal groups: C for P and F for I, of the tables of 1935."""
    found = {}
    for number in range(75, 143):
        symbol = spglib.get_spacegroup_type(standard_hall(number)).international
        lattice, first, *rest = symbol.replace("_", "").split()
        if lattice == "I":
            first = first.replace("/a", "/d")
        first = first.replace("/n", "/a")
        found["".join(["C" if lattice == "P" else "F", first, *rest[::-1]])] = number
    return found


def standard_hall(number: int) -> int:
    """Hall number of the first setting of a group."""
    return next(h for h in range(1, 531) if spglib.get_spacegroup_type(h).number == number)


def main() -> None:
    """Write the file."""
    others: dict[frozenset, list[gemmi.SpaceGroup]] = {}
    for g in gemmi.spacegroup_table():
        others.setdefault(keys_of_hall(g.hall), []).append(g)
    ours = {number: keys_of_tables(number) for number in range(1, 231)}
    rows, seen = [], set()
    for number_of_hall in range(1, 531):
        entry = moyopy.HallSymbolEntry(number_of_hall)
        kind = spglib.get_spacegroup_type(number_of_hall)
        number, hall = entry.number, entry.hall_symbol.replace("=", '"')
        made = moyopy.operations_from_number(number, setting=moyopy.Setting.hall_number(number_of_hall))
        key = keys(made.rotations, made.translations)
        assert key == keys_of_hall(hall), hall
        seen.add(key)
        symbols = {kind.international_full}
        if not 3 <= number <= 15:
            symbols |= {s.strip() for s in kind.international.split("=")} | {entry.hm_short}
        symbols = {s.replace("_", "") for s in symbols} | {g.hm for g in others[key]}
        full = kind.international_full.replace("_", "")
        for g in others[key]:  # full symbols with the glides that e stands for
            if "e" in full.lower():
                letters = g.hm.split()[1:]
                given = full.split()[1:]
                if len(letters) == len(given):
                    old = [
                        x.replace("e", y[-1]) if "e" in x else x for x, y in zip(given, letters, strict=True)
                    ]
                    symbols.add(" ".join([full.split()[0], *old]))
        if entry.setting == "H":
            symbols |= {"H" + s[1:] for s in symbols}  # the Protein Data Bank's letter
        first = (entry.hm_full if 3 <= number <= 15 else entry.hm_short).replace("_", "")
        others_of_it = [x for x in spellings(number, symbols) if x != first]
        rows.append([number, hall, entry.setting, key == ours[number], [first, *others_of_it]])
    for key, found in others.items():
        if key not in seen:
            for g in found:
                name = g.hm.replace("a)", "(a)") if g.hm.endswith("a)") else g.hm
                rows.append([g.number, g.hall, "", False, [name]])
    known = {"".join(s.split()).lower() for row in rows for s in row[4]}
    extra = large_cells()
    for number in range(168, 195):  # C for the hexagonal lattice
        extra["C" + spglib.get_spacegroup_type(standard_hall(number)).international_short[1:]] = number
    for name, number in extra.items():
        name = name.replace("_", "")
        if name.lower() not in known:
            rows.append([number, "", "", False, [name]])
    assert [sum(r[3] for r in rows if r[0] == n) for n in range(1, 231)] == [1] * 230
    schoenflies = [spglib.get_spacegroup_type(standard_hall(n)).schoenflies for n in range(1, 231)]
    text = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    names = json.dumps(schoenflies, separators=(",", ":"))
    OUT.write_text(f'{{"schoenflies":{names},\n"settings":[\n{text}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
