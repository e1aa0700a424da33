"""What journals and tables say of how a crystal came about."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crystals import KNOWN
from crystalsmith.assignments import Request, Start
from crystalsmith.errors import OutputError
from crystalsmith.generation.journal import Tries
from crystalsmith.generation.origin import NETWORK, Origin
from crystalsmith.generation.tries import Generated

SPINEL = next(c for c in KNOWN.values() if c.formula == "MgAl2O4")
REQUEST = Request(227, tuple((s.element, s.letter) for s in SPINEL.sites), -0.5)
START = Start(SPINEL, 0.0, "prototype", "MgAl2O4 (Fd-3m), 412 crystals", 0.75, 412, 0.06)


def record(index: int, request: Request) -> Generated:
    return Generated("a", index, 1, 7, request, SPINEL, None, True, request.log_prior)


def test_words() -> None:
    assert Origin.of(REQUEST).words == "network"
    own = replace(REQUEST, start=START)
    assert Origin.of(own).words == "prototype: MgAl2O4 (Fd-3m), 412 crystals"
    refined = replace(own, start=replace(START, time=0.4))
    assert Origin.of(refined).words == "refined from prototype: MgAl2O4 (Fd-3m), 412 crystals"
    file = replace(own, start=replace(START, source="file", name="mp-1", members=1))
    assert Origin.of(file).words == "known crystal: mp-1"


def test_journals_keep_it_and_older_ones_are_read(tmp_path: Path) -> None:
    path = tmp_path / "crystals.jsonl"
    requests = [REQUEST, replace(REQUEST, start=START), replace(REQUEST, start=replace(START, time=0.25))]
    Tries(path).append([record(k, r) for k, r in enumerate(requests)])
    # Lines without a start are those of earlier versions.
    assert "origin" not in path.read_text(encoding="utf-8").splitlines()[0]
    entries = list(Tries(path).entries([("a", k) for k in range(3)]))
    assert [e.origin for e in entries] == [Origin.of(r) for r in requests]
    assert [e.kind for e in entries] == ["network", "prototype", "refined"]
    assert [(e.weight, e.members) for e in entries] == [(None, None), (0.75, 412), (0.75, 412)]


def test_a_damaged_origin(tmp_path: Path) -> None:
    path = tmp_path / "crystals.jsonl"
    tries = Tries(path)
    tries.append([record(0, replace(REQUEST, start=START))])
    with pytest.raises((KeyError, TypeError, ValueError)):
        Origin.from_dict({"kind": "prototype"})
    assert Origin.from_dict(None) is NETWORK
    text = path.read_text(encoding="utf-8").replace('"members"', '"number_"')
    path.write_text(text, encoding="utf-8")
    with pytest.raises(OutputError, match="damaged"):
        list(Tries(path).entries([("a", 0)]))
