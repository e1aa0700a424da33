"""The database of a run on a real PostgreSQL server."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import postgresql
from crystals import KNOWN
from crystalsmith.assignments import Request
from crystalsmith.crystal import Crystal
from crystalsmith.discovery.candidate import Candidate, Novelty, State
from crystalsmith.discovery.database import CrystalDatabase
from crystalsmith.errors import DiscoveryError
from crystalsmith.generation.tries import Generated

pytest.importorskip("ase_db_backends", reason="the extra postgresql is not installed")
if reason := postgresql.lacking():
    pytest.skip(reason, allow_module_level=True)


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    with postgresql.running() as found:
        yield found


def tries(name: str, count: int) -> list[tuple[Generated, Candidate | None]]:
    """Tries of an order, every third of which fails."""
    crystals = list(KNOWN.values())
    found: list[tuple[Generated, Candidate | None]] = []
    for k in range(count):
        crystal: Crystal | None = None if k % 3 == 2 else crystals[k % len(crystals)]
        failure = "atoms too close" if crystal is None else None
        made = Generated(name, k, 1, k, Request(225, (("Na", "a"),)), crystal, failure, True)
        states = (State("generated", crystal),) if crystal is not None else ()
        found.append((made, Candidate(f"{name}-{k:04d}", {"id": name}, k, states) if crystal else None))
    return found


def fill(url: str, run: str, count: int) -> None:
    """The way of some candidates: generated, relaxed, judged."""
    base = CrystalDatabase(url, run)
    base.load()
    for record in tries(run, count):
        base.add_generated([record])
        before = record[1]
        if before is None:
            continue
        crystal = before.states[0].crystal
        after = State("symmetric", crystal, -3.25, True, "converged", 12)
        relaxed = replace(before, states=(*before.states, after))
        base.update([(before, relaxed)])
        judged = replace(relaxed, above_hull=0.01, novelty=Novelty("new composition", "", "", "x"))
        base.update([(relaxed, judged)])


def loaded(url: str, run: str) -> tuple[dict[str, Any], list[Any]]:
    candidates, failures = CrystalDatabase(url, run).load()
    return {name: c.to_dict() for name, c in candidates.items()}, failures


def test_what_is_kept_is_what_a_file_keeps(server: postgresql.Server, tmp_path: Path) -> None:
    file = str(tmp_path / "crystals.db")
    for url in (file, server.url):
        fill(url, "one", 9)
    assert loaded(server.url, "one") == loaded(file, "one")
    candidates, failures = loaded(server.url, "one")
    assert (len(candidates), len(failures)) == (6, 3)
    assert loaded(server.url, "of nobody") == ({}, [])


def test_runs_that_share_a_database_at_the_same_time(server: postgresql.Server, tmp_path: Path) -> None:
    """None finds tables; each asks for the number of its own row, not of the last one of all."""
    url = server.another("shared")
    context = multiprocessing.get_context("spawn")
    names = ["first", "second", "third"]
    workers = [context.Process(target=fill, args=(url, name, 30)) for name in names]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    for name in names:
        fill(str(tmp_path / name), name, 30)
        assert loaded(url, name) == loaded(str(tmp_path / name), name)


def test_a_server_that_goes_away_is_told_in_one_line(server: postgresql.Server) -> None:
    base = CrystalDatabase(server.url, "cut")
    base.load()
    base.add_generated(tries("cut", 4))
    server.stop()
    try:
        with pytest.raises(DiscoveryError, match="cannot use database postgresql://me@127") as caught:
            base.add_generated(tries("more", 4))
        assert "\n" not in str(caught.value) and postgresql.PASSWORD not in str(caught.value)
    finally:
        server.start()
    candidates, failures = loaded(server.url, "cut")
    assert (len(candidates), len(failures)) == (3, 1)


def test_other_servers_are_refused() -> None:
    with pytest.raises(DiscoveryError, match="mysql://me@host/db is no database; give postgresql://"):
        CrystalDatabase("mysql://me:secret@host/db", "x")


def test_a_wrong_password_is_not_shown(server: postgresql.Server) -> None:
    url = server.url.replace(postgresql.PASSWORD, "wrong-but-secret")
    with pytest.raises(DiscoveryError, match="password authentication failed") as caught:
        CrystalDatabase(url, "x").load()
    assert "wrong-but-secret" not in str(caught.value)
