"""The same two crystals in every form that is read: what ``test_every_input`` crosses with the commands."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ase.io
import pyarrow as pa
import pyarrow.parquet as pq
from ase.db import connect
from pymatgen.entries.computed_entries import ComputedStructureEntry
from pymatgen.io.cif import CifWriter

from crystalsmith.crystal import Crystal, Site
from crystalsmith.crystal.crystals import Crystals
from crystalsmith.crystal.io import parquet
from crystalsmith.crystal.io.rows import Row
from crystalsmith.data import pack
from crystalsmith.discovery.candidate import Candidate, State
from crystalsmith.discovery.shortlist import write_shortlist
from crystalsmith.discovery.summary import RunSummary
from crystalsmith.runs.journal import format_line

CUBE = (3.61, 3.61, 3.61, 90.0, 90.0, 90.0)
CRYSTALS = {
    "copper": Crystal(225, CUBE, (Site("Cu", "a"),)),
    "Cu3Au": Crystal(221, (3.74, 3.74, 3.74, 90, 90, 90), (Site("Au", "a"), Site("Cu", "c"))),
}
"""Elements that ASE's EMT knows; lattice constants of Wyckoff, Crystal Structures (1963)."""

ENERGY = -3.5
"""eV per atom, where a form can say it."""


def structure(name: str) -> Any:
    return CRYSTALS[name].to_structure()


def atoms(name: str) -> Any:
    found = CRYSTALS[name].to_atoms()
    found.info = {"id": name, "energy_per_atom": ENERGY}
    return found


def blocks() -> str:
    return "data_global\n_publ_section_title 'two'\n" + "".join(
        crystal.to_cif().replace("data_", f"data_{name}_", 1) for name, crystal in CRYSTALS.items()
    )


def foreign_cif(name: str) -> str:
    """As pymatgen writes it, without group and letters."""
    return str(CifWriter(structure(name)))


def poscar(name: str) -> str:
    return structure(name).to(fmt="poscar")


def vasp_4(name: str) -> str:
    lines = poscar(name).splitlines()
    return "\n".join([lines[5], *lines[1:5], *lines[6:]]) + "\n"


def extxyz() -> str:
    text = io.StringIO()
    ase.io.write(text, [atoms(name) for name in CRYSTALS], format="extxyz")
    return text.getvalue()


def ours_extxyz() -> str:
    frames = []
    for name, crystal in CRYSTALS.items():
        found = crystal.to_atoms()
        found.info = {"order": name, "index": 0, "wyckoff": crystal.wyckoff}
        found.info["space_group"] = crystal.space_group
        frames.append(found)
    text = io.StringIO()
    ase.io.write(text, frames, format="extxyz")
    return text.getvalue()


def table(delimiter: str, column: str, text: Callable[[str], str] = foreign_cif) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(["", "material_id", "energy_per_atom", column])
    for i, name in enumerate(CRYSTALS):
        writer.writerow([i, name, ENERGY, text(name)])
    return out.getvalue()


def api_answer(name: str) -> dict[str, Any]:
    return {"material_id": name, "energy_per_atom": ENERGY, "structure": structure(name).as_dict()}


def entry(name: str) -> dict[str, Any]:
    found = structure(name)
    whole = ComputedStructureEntry(found, ENERGY * len(found) - 1, correction=1, entry_id=name)
    return whole.as_dict()


def optimade(name: str) -> dict[str, Any]:
    found = structure(name)
    attributes = {
        "lattice_vectors": found.lattice.matrix.tolist(),
        "cartesian_site_positions": found.cart_coords.tolist(),
        "species_at_sites": [str(s.specie) for s in found],
        "species": [
            {"name": e.symbol, "chemical_symbols": [e.symbol], "concentration": [1.0]}
            for e in found.composition
        ],
        "dimension_types": [1, 1, 1],
    }
    return {"id": name, "type": "structures", "attributes": attributes}


def jarvis(name: str) -> dict[str, Any]:
    found = structure(name)
    cell = {
        "lattice_mat": found.lattice.matrix.tolist(),
        "coords": found.frac_coords.tolist(),
        "elements": [str(s.specie) for s in found],
        "cartesian": False,
    }
    return {"jid": name, "ehull": 0.0, "atoms": cell}


def columns() -> dict[str, Any]:
    """As pandas writes a table, column by column."""
    return {
        "structure": {str(i): structure(name).as_dict() for i, name in enumerate(CRYSTALS)},
        "material_id": {str(i): name for i, name in enumerate(CRYSTALS)},
    }


def plain_row(name: str) -> dict[str, Any]:
    symbols, fractional = CRYSTALS[name].positions()
    primitive = CRYSTALS[name].to_structure(primitive=True)
    return {
        "id": name,
        "cell": list(primitive.lattice.parameters),
        "species": symbols,
        "frac": fractional.tolist(),
    }


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def write_database(path: Path) -> None:
    with connect(path, type="db") as db:
        for name in CRYSTALS:
            db.write(CRYSTALS[name].to_atoms(), name=name, energy_per_atom=ENERGY)


def write_ase_json(path: Path) -> None:
    with connect(path, type="json") as db:
        for name in CRYSTALS:
            db.write(CRYSTALS[name].to_atoms(), name=name)


def write_found(path: Path) -> None:
    """Candidates of ``discover`` in its database: each generated, then relaxed; and a try that failed."""
    from ase import Atoms

    with connect(path, type="db") as db:
        db.write(Atoms(), run="r", stage="failed", order="o", number=0, attempt=0, reason="too close")
        for name, crystal in CRYSTALS.items():
            for stage, state in (("generated", swollen(crystal)), ("free", crystal)):
                data = {"state": {"stage": stage, "crystal": state.to_dict()}}
                keys = {"run": "r", "stage": stage, "candidate": name, "energy_per_atom": ENERGY}
                db.write(state.to_atoms(), key_value_pairs=keys, data=data)


def swollen(crystal: Crystal) -> Crystal:
    """Not yet relaxed."""
    cell = [1.1 * x for x in crystal.cell[:3]]
    return Crystal(crystal.space_group, (*cell, *crystal.cell[3:]), crystal.sites)


def write_folder(path: Path) -> None:
    (path / "deep").mkdir(parents=True)
    (path / "copper.cif").write_text(foreign_cif("copper"))
    (path / "deep" / "Cu3Au.CIF.gz").write_bytes(gzip.compress(foreign_cif("Cu3Au").encode()))
    (path / "notes.txt").write_text("not a structure")
    (path / "id_prop.csv").write_text("copper,1\nCu3Au,2\n")


def write_mixed(path: Path) -> None:
    (path / "copper").mkdir(parents=True)
    (path / "copper" / "POSCAR").write_text(poscar("copper"))
    (path / "Cu3Au.mcif").write_text(foreign_cif("Cu3Au"))


def write_tables(path: Path) -> None:
    path.mkdir()
    (path / "a.json").write_text(json.dumps([plain_row("copper")]))
    (path / "b.jsonl.gz").write_bytes(gzip.compress(lines([plain_row("Cu3Au")]).encode()))
    (path / "settings.json").write_text('{"nothing": "of interest"}')


def write_parquet(path: Path) -> None:
    parquet.write_parquet(path, (Row(n, c, energy=ENERGY) for n, c in CRYSTALS.items()))


def write_shards(path: Path) -> None:
    with parquet.ParquetShards(path, rows=1) as shards:
        for name, crystal in CRYSTALS.items():
            shards.add(Row(name, crystal, energy=ENERGY))


def write_foreign_parquet(path: Path) -> None:
    rows = [{"id": n, "energy_per_atom": ENERGY, **optimade(n)["attributes"]} for n in CRYSTALS]
    pq.write_table(pa.Table.from_pylist(rows), path)


def write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("set/copper.cif", foreign_cif("copper"))
        archive.writestr("set/Cu3Au.vasp", poscar("Cu3Au"))
        archive.writestr("__MACOSX/._x.cif", b"\0\1")
        archive.writestr("readme", "x")


def write_nested(path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("both.cif", blocks())
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inner.zip", inner.getvalue())


def write_tar(path: Path, mode: str = "w:gz") -> None:
    with tarfile.open(path, mode) as archive:
        for name in CRYSTALS:
            data = foreign_cif(name).encode()
            info = tarfile.TarInfo(f"./set/{name}.cif")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def write_zipped_systems(path: Path) -> None:
    """A run over a list of systems, in which the folders of systems are runs too."""
    folder = path.with_name("of-the-systems")
    write_systems(folder)
    (folder / "systems" / "Au-Cu" / "manifest.json").write_text('{"kind": "discovery", "run": {}}')
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*"):
            if file.is_file():
                archive.write(file, f"out/{file.relative_to(folder)}")


def write_zipped_run(path: Path) -> None:
    folder = path.with_name("of-the-zip")
    write_generation(folder)
    (folder / "cif").mkdir()
    for name in CRYSTALS:
        (folder / "cif" / f"{name}_0.cif").write_text(CRYSTALS[name].to_cif())
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*"):
            if file.is_file():
                archive.write(file, f"out/{file.relative_to(folder)}")


ORDERS: dict[str, Callable[[Crystal], dict[str, Any]]] = {
    "letters": lambda c: {"space_group": c.space_group, "wyckoff": [[s.element, s.letter] for s in c.sites]},
    "sites": lambda c: {"space_group": c.space_group, "sites": {s.element: 1 for s in c.sites}},
    "open group": lambda c: {"space_groups": [221, 225], "sites": {s.element: 1 for s in c.sites}},
    "formula": lambda c: {"formula": c.formula, "max_atoms": 20},
    "system": lambda c: {"system": sorted(c.counts), "max_atoms": 20},
}
"""Every kind of order, as it stands in a manifest."""


def write_generation(
    path: Path, order: str = "letters", *, old: bool = False, best_of: int = 1, interrupted: bool = False
) -> None:
    """A run of ``generate``.

    Args:
        path: the folder.
        order: one of ``ORDERS``.
        old: as versions wrote it that knew neither kinds nor checksums.
        best_of: drafts of each crystal, the second of which is chosen if there are several.
        interrupted: one more crystal was ordered, and the last line is torn.
    """
    path.mkdir(parents=True)
    asked = [{"id": name, "count": 1, **ORDERS[order](c)} for name, c in CRYSTALS.items()]
    if interrupted:
        asked[-1]["count"] = 2
    run: dict[str, Any] = {"seed": 0, "orders": asked}
    if best_of > 1:
        run |= {"best_of": best_of, "judges": ["denoising"], "potential": None}
    status = "running" if interrupted else "finished"
    manifest = {"format": 1, "status": status, "run": run, "timings": {"seconds": 1.0}}
    (path / "manifest.json").write_text(json.dumps(manifest if old else {"kind": "generation", **manifest}))
    line = (lambda row: json.dumps(row).encode() + b"\n") if old else format_line
    rows, scores = b"", b""
    for name, crystal in CRYSTALS.items():
        for draft in range(best_of):
            made = crystal if draft == best_of - 1 else swollen(crystal)
            row = {"order": name, "index": draft, "try": 0, "seed": 1, "failure": None, "final": True}
            rows += line({**row, "crystal": made.to_dict()})
        rows += line({**row, "index": 5, "crystal": None, "failure": "too close", "final": False})
        score = [{"formula": crystal.formula, "likely": 0.0}] * best_of
        scores += line({"order": name, "index": 0, "draft": best_of - 1, "scores": score})
    (path / "crystals.jsonl").write_bytes(rows + (b'{"torn' if interrupted else b""))
    if best_of > 1:
        (path / "scores.jsonl").write_bytes(scores)


def write_relaxation(path: Path, *, old: bool = False) -> None:
    path.mkdir()
    manifest = {"kind": "relaxation", "format": 1, "status": "finished", "run": {"potential": "x"}}
    (path / "manifest.json").write_text(json.dumps({**manifest, "timings": {"seconds": 1.0}}))
    line = (lambda row: json.dumps(row).encode() + b"\n") if old else format_line
    rows = line({"name": "lost", "seconds": 0.1, "failure": "it flew apart"})
    for name, crystal in CRYSTALS.items():
        stage = {"calls": 3, "converged": True, "reason": "converged", "energy_start": 0.0}
        stage |= {"fmax": 0.0, "stress": 0.0}
        stages = {
            "symmetric": {**stage, "crystal": crystal.to_dict(), "energy": ENERGY},
            "free": {**stage, "crystal": swollen(crystal).to_dict(), "energy": None, "reason": "collapsed"},
        }
        start = swollen(crystal).to_dict()
        outcome = {"start": start, "asked": ["symmetric", "free"], "energy_start": 0.0, "stages": stages}
        rows += line({"name": name, "seconds": 0.1, "outcome": outcome})
    (path / "journal.jsonl").write_bytes(rows)


def write_discovery(path: Path, *, interrupted: bool = False) -> None:
    path.mkdir()
    run = {"format": "crystalsmith.discovery", "id": "x", "identity": {"seed": 0}}
    (path / "run.json").write_text(json.dumps(run))
    if interrupted:
        write_found(path / "crystals.db")
        return
    write_short(path, CRYSTALS)


def write_short(path: Path, crystals: Mapping[str, Crystal]) -> None:
    """The short list of a run."""
    candidates = []
    for name, crystal in crystals.items():
        states = State("generated", swollen(crystal)), State("free", crystal, ENERGY, True)
        candidates.append(Candidate(name, {}, 0, states, above_hull=0.01))
    facts = {"stages": (), "diagram": None, "reference": "", "notes": (), "arguments": {}, "versions": {}}
    system = ("Au", "Cu")
    summary = RunSummary(system=system, potential="x", shortlist=tuple(candidates), seconds=1.0, **facts)
    write_shortlist(path / "shortlist.json", summary)


def write_systems(path: Path, *, interrupted: bool = False) -> None:
    """A list of systems: a crystal in each of two, nothing in one; another had begun if it ended early."""
    manifest = {"kind": "systems", "format": 1, "status": "running" if interrupted else "finished", "run": {}}
    rows = format_line({"system": "Li-Na", "status": "failed", "failure": "no orders", "seconds": 0.1})
    for system, name in zip(("Cu-Pd", "Au-Cu"), CRYSTALS, strict=True):
        (path / "systems" / system).mkdir(parents=True)
        write_short(path / "systems" / system, {name: CRYSTALS[name]})
        rows += format_line({"system": system, "status": "finished", "candidates": 3, "seconds": 1.0})
    (path / "manifest.json").write_text(json.dumps(manifest))
    write_found(path / "crystals.db")  # of all systems, the tried and the chosen
    if interrupted:
        (path / "systems" / "Au-Pd").mkdir()
        rows += b'{"system": "Au-'
    (path / "systems.jsonl").write_bytes(rows)


def write_rediscovery(path: Path, *, interrupted: bool = False) -> None:
    path.mkdir()
    tried, findings = b"", []
    for k, (name, crystal) in enumerate(CRYSTALS.items()):
        before = {"crystal": swollen(crystal).to_dict(), "rms": [None, None]}
        after = {"crystal": crystal.to_dict(), "rms": [0.01, 0.01]}
        outcome = {"before": before, "after": after, "energy": ENERGY, "calls": 1, "reason": "converged"}
        tried += format_line({"key": str(k), **outcome})
        matching = [{"rank": 1, "index": 0, **outcome}]
        findings.append({"id": name, "setting": "sites", "refused": "", "matching": matching})
    findings.append({"id": "sought", "setting": "sites", "refused": "", "matching": []})
    tried += format_line({"key": "x", "failure": "took longer than 900 s"})
    (path / "trials.jsonl").write_bytes(tried)
    if not interrupted:
        (path / "results.json").write_text(json.dumps({"targets": findings}))


def write_phonons(path: Path) -> None:
    path.mkdir()
    for name, crystal in CRYSTALS.items():
        data = {"version": 1, "name": name, "made_with": {}, "given": swollen(crystal).to_dict()}
        (path / f"{name}.json").write_text(json.dumps({**data, "phonons": {"crystal": crystal.to_dict()}}))


def text(make: Callable[[], str | bytes]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        made = make()
        path.write_bytes(made if isinstance(made, bytes) else made.encode())

    return write


def each(make: Callable[[str], str], ending: str) -> Callable[[Path], None]:
    """A folder with a file for each crystal."""

    def write(path: Path) -> None:
        path.mkdir()
        for name in CRYSTALS:
            (path / f"{name}{ending}").write_text(make(name))

    return write


def run_of(writer: Callable[..., None], *args: Any, **options: Any) -> Callable[[Path], None]:
    return lambda path: writer(path, *args, **options)


FILES: dict[str, Callable[[Path], None]] = {
    "CIF, several blocks": text(blocks),
    "CIF.gz": text(lambda: gzip.compress(blocks().encode())),
    "CIF.bz2": text(lambda: bz2.compress(blocks().encode())),
    "CIF.xz": text(lambda: lzma.compress(blocks().encode())),
    "CIF, UTF-16": text(lambda: blocks().encode("utf-16")),
    "CIFs of other programs": each(foreign_cif, ".cif"),
    "POSCARs": each(poscar, ".vasp"),
    "CONTCARs of VASP 4": each(vasp_4, ".contcar"),
    "extxyz": text(extxyz),
    "extxyz of ours": text(ours_extxyz),
    "extxyz with a BOM and a stress of six": text(
        lambda: b"\xef\xbb\xbf" + extxyz().replace("pbc=", 'stress="1 2 3 4 5 6" pbc=').encode()
    ),
    "ASE JSON": write_ase_json,
    "ASE db": write_database,
    "db of discover": write_found,
    "pymatgen dict": text(lambda: json.dumps({name: structure(name).as_dict() for name in CRYSTALS})),
    "pymatgen list": text(
        lambda: json.dumps([{**structure(n).as_dict(), "id": n} for n in CRYSTALS], indent=1)
    ),
    "pymatgen entries": text(lambda: json.dumps([entry(name) for name in CRYSTALS])),
    "answer of the Materials Project": text(lambda: json.dumps({"data": [api_answer(n) for n in CRYSTALS]})),
    "table of pandas": text(lambda: json.dumps(columns())),
    "OPTIMADE": text(lambda: json.dumps({"data": [optimade(name) for name in CRYSTALS], "meta": {}})),
    "JARVIS": text(lambda: json.dumps([jarvis(name) for name in CRYSTALS])),
    "dicts of ours": text(lambda: lines([{"id": n, "crystal": c.to_dict()} for n, c in CRYSTALS.items()])),
    "CSV": text(lambda: table(",", "cif")),
    "CSV, column CIF": text(lambda: table(",", "CIF")),
    "CSV with ;": text(lambda: "\ufeff" + table(";", "cif_string")),
    "CSV with tabs": text(lambda: table("\t", "structure", lambda n: json.dumps(structure(n).as_dict()))),
    "CSV of POSCARs": text(lambda: table("|", "POSCAR", poscar)),
    "CSV, unknown column": text(lambda: "sep=;\n" + table(";", "what")),
    "JSON lines": text(lambda: lines([plain_row(name) for name in CRYSTALS])),
    "JSON lines of answers, gz": text(
        lambda: gzip.compress(lines([api_answer(n) for n in CRYSTALS]).encode())
    ),
    "Parquet": write_parquet,
    "Parquet of OPTIMADE": write_foreign_parquet,
    "folder of shards": write_shards,
    "training file": lambda path: pack(list(CRYSTALS.values()), list(CRYSTALS)).save(path),
    "folder": write_folder,
    "folder, mixed": write_mixed,
    "folder of tables": write_tables,
    "zip": write_zip,
    "zip in a zip": write_nested,
    "tar": run_of(write_tar, "w"),
    "tar.gz": write_tar,
    "zip of a run": write_zipped_run,
    **{f"generate, {kind}": run_of(write_generation, kind) for kind in ORDERS},
    "generate, old": run_of(write_generation, "sites", old=True),
    "generate, best of 2": run_of(write_generation, "formula", best_of=2),
    "generate, interrupted": run_of(write_generation, "system", interrupted=True),
    "relax": write_relaxation,
    "relax, old": run_of(write_relaxation, old=True),
    "discover": write_discovery,
    "discover, interrupted": run_of(write_discovery, interrupted=True),
    "discover, a list of systems": write_systems,
    "discover, a list of systems, interrupted": run_of(write_systems, interrupted=True),
    "discover, a list of systems, zip": write_zipped_systems,
    "rediscover": write_rediscovery,
    "rediscover, interrupted": run_of(write_rediscovery, interrupted=True),
    "phonons": write_phonons,
}
"""Every form on disk."""

OBJECTS: dict[str, Callable[[], Any]] = {
    "Atoms": lambda: [CRYSTALS[name].to_atoms() for name in CRYSTALS],
    "Structures": lambda: [structure(name) for name in CRYSTALS],
    "Crystals": lambda: tuple(CRYSTALS.values()),
    "Crystals by name": lambda: dict(CRYSTALS),
    "Crystals, read": lambda: Crystals(CRYSTALS),
}
"""Every form in Python."""

LOSSLESS = (
    *("CIF, several blocks", "CIF.gz", "CIF.bz2", "CIF.xz", "CIF, UTF-16", "extxyz of ours"),
    *(
        "db of discover",
        "dicts of ours",
        "training file",
        "Parquet",
        "folder of shards",
        "zip of a run",
        "zip in a zip",
        "Crystals",
        "Crystals by name",
        "Crystals, read",
    ),
    *(name for name in FILES if name.startswith(("generate", "relax", "discover", "rediscover", "phonons"))),
)
"""Forms that state group and letters."""

WITH_ENERGY = tuple(
    name
    for name in FILES
    if name.startswith(
        (
            "CSV",
            "Parquet",
            "folder of shards",
            "relax",
            "discover",
            "rediscover",
            "pymatgen entries",
            "ASE db",
            "db of",
        )
    )
    or "answer" in name
)
