"""Every command reads a database on a PostgreSQL server as it reads the same database in a file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import postgresql
from crystals import KNOWN
from crystalsmith.assignments import Request
from crystalsmith.cli.main import main
from crystalsmith.crystal import Crystal
from crystalsmith.crystal.io import Limits, read_records
from crystalsmith.crystal.io.export import export
from crystalsmith.crystal.io.sources import open_source
from crystalsmith.discovery.candidate import Candidate, State
from crystalsmith.discovery.database import CrystalDatabase
from crystalsmith.generation.known import KnownPhases
from crystalsmith.generation.tries import Generated
from joints import assert_every_command_reads

pytest.importorskip("ase_db_backends", reason="the extra postgresql is not installed")
if reason := postgresql.lacking():
    pytest.skip(reason, allow_module_level=True)

NAMES = ("quartz", "rutile", "diamond", "spinel")


def fill(place: str) -> None:
    """Candidates on their way, a try that failed, and crystals that are nobody's candidates."""
    base = CrystalDatabase(place, "one")
    base.load()
    made = []
    for k, name in enumerate(NAMES):
        states = (State("generated", KNOWN[name]),)
        generated = Generated("o", k, 1, k, Request(225, (("Na", "a"),)), KNOWN[name], None, True)
        made.append((generated, Candidate(f"o-{k}", {"id": "o"}, k, states)))
    failed = Generated("o", 9, 1, 9, Request(225, (("Na", "a"),)), None, "atoms too close", True)
    base.add_generated([*made, (failed, None)])
    for _, before in made[:2]:
        relaxed = State("free", before.states[0].crystal, -3.25, True, "converged", 12)
        after = Candidate(before.name, before.order, before.seed, (*before.states, relaxed))
        base.update([(before, after)])
        judged = Candidate(before.name, before.order, before.seed, after.states, above_hull=0.01)
        base.update([(after, judged)])
    for name in ("rock salt", "zinc blende"):
        base._db.write(KNOWN[name].to_atoms(), key_value_pairs={"material_id": f"x-{name}"})


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    with postgresql.running() as found:
        yield found


@pytest.fixture(scope="module")
def twins(server: postgresql.Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The server's address, and a file with the same rows."""
    file, address = str(tmp_path_factory.mktemp("twin") / "crystals.db"), server.another("crystals")
    fill(address)
    fill(file)
    return address, file


def told(source: str, **limits: Any) -> list[tuple[Any, ...]]:
    def known(x: float) -> float | None:
        return None if math.isnan(x) else x

    return [
        (r.id, r.index, r.failure, r.crystal, r.numbers.tolist(), known(r.energy), known(r.e_above_hull))
        for r in read_records(source, Limits(**limits))
    ]


def test_a_server_tells_what_the_file_tells(twins: tuple[str, str]) -> None:
    address, file = twins
    assert told(address) == told(file) and len(told(address)) > len(NAMES)
    assert [row[5:] for row in told(address)][1:4] == [(None, None), (-3.25, 0.01), (-3.25, 0.01)]
    for selection in ("stage=free", "above_hull<0.05,run=one", "Si", "natoms>6"):
        chosen = told(f"{address}@{selection}")
        assert chosen == told(f"{file}@{selection}") and 0 < len(chosen) < len(told(address))
    for within in ({"Si", "O"}, {"C", "Ti", "O"}, {"Xe"}):
        assert told(address, within=frozenset(within)) == told(file, within=frozenset(within))
    assert len(told(address, within=frozenset({"Si", "O"}))) == 1
    assert open_source(address).sha256() == open_source(address).sha256()
    assert postgresql.PASSWORD not in open_source(address).label


def test_every_command_reads_it(twins: tuple[str, str], tmp_path: Path) -> None:
    address, file = twins
    crystals: list[Crystal] = [r.symmetrized() for r in read_records(file)]
    assert_every_command_reads(address, crystals, tmp_path)
    export([address], tmp_path / "out.jsonl")
    assert [r.symmetrized() for r in read_records(tmp_path / "out.jsonl")] == crystals
    known = KnownPhases(None, (), [address], within={"Si", "O"})
    assert known.judge(KNOWN["quartz"]).verdict == "known" and not known.holds(KNOWN["rutile"])
    reference = str(tmp_path / "out.jsonl")
    words = ["evaluate", address, f"chosen={address}@stage=free", "--reference", reference, "--quiet"]
    figures = ["--metrics", "validity", "--figures", str(tmp_path / "figures.json"), "--no-cache"]
    assert main([*words, *figures, "--workers", "1"]) == 0
    written = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert len(written) > 20
    assert [p for p in written if postgresql.PASSWORD.encode() in p.read_bytes()] == []
    assert postgresql.PASSWORD not in known.checked


def test_the_command_line_writes_no_password(twins: tuple[str, str], tmp_path: Path, capsys: Any) -> None:
    address, _ = twins
    given = f"{address}@stage=free"
    potential = ["--potential", "ase.calculators.lj:LennardJones", "--only", "symmetric", "--max-calls", "1"]
    words = ["relax", given, "-o", str(tmp_path / "out"), *potential, "--workers", "1"]
    assert main(words) == 0
    assert main(["show", given, "-o", str(tmp_path / "a.png")]) == 0
    assert main(["xrd", given, "-o", str(tmp_path / "a.csv")]) == 0
    hull = ["hull", "build", given, "-o", str(tmp_path / "r.npz"), "--no-elements", "--above-hull", "1"]
    assert main([*hull, *potential[:2], "--max-calls", "1", "--workers", "1"]) == 0
    assert main(["campaign", "status", given]) == 2
    assert main(["dft", "inputs", given, "-o", str(tmp_path / "dft"), "--code", "qe"]) == 0
    assert main(["campaign", "resume", str(tmp_path / "out")]) == 2
    output = "".join(capsys.readouterr())
    assert "held a password" in output and postgresql.PASSWORD not in output
    written = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert [p for p in written if postgresql.PASSWORD.encode() in p.read_bytes()] == []


def test_what_is_refused_in_one_line(server: postgresql.Server, twins: tuple[str, str], capsys: Any) -> None:
    address, _ = twins
    empty, password = server.another("empty"), postgresql.PASSWORD
    refused = {
        empty: "holds no tables of ASE",
        address.replace(password, "wrong-secret"): "password authentication failed",
        address + "-none": "does not exist",
        address.rpartition(":")[0] + ":1/db": "cannot be read: ",
        address.replace(password, "se@secret"): "no address of a database",
        address + "@>>": "cannot select '>>'",
        address + "@stage=nothing": "crystals@stage=nothing holds no crystal",
    }
    for text, message in refused.items():
        for words in (["relax", text, "-o", "none"], ["export", text, "-o", "none.csv"], ["show", text]):
            assert main(words) == 2
            line = capsys.readouterr().err
            assert message in line and line.count("\n") == 1, line
            assert password not in line and "secret" not in line
    assert not Path("none").exists() and not Path("none.csv").exists()


def test_rows_come_some_at_a_time(twins: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """All the same whatever the page; and what stops half way leaves no session behind."""
    address, file = twins
    whole = told(address)
    for module in ("database", "server"):
        monkeypatch.setattr(f"crystalsmith.crystal.io.{module}._PAGE", 2)
    assert told(address) == whole == told(file)
    records = read_records(address)
    next(records)
    records.close()
    import psycopg2

    with psycopg2.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        assert cursor.fetchone()[0] <= 2  # this one, and one that is just going
    connection.close()
