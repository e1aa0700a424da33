"""The cache: what is stored comes back; damage, truncation and other writers cost nothing but time."""

from __future__ import annotations

import multiprocessing
import sqlite3

import numpy as np
import pytest

from crystals import KNOWN
from crystalsmith.errors import EvaluationError
from crystalsmith.evaluation.cache import Cache, default_cache
from crystalsmith.evaluation.features import GEOMETRY, Feature, Workshop, matrix
from crystalsmith.evaluation.measures.arrays import Arrays, crystal_arrays
from crystalsmith.runs.engines import Local
from crystalsmith.runs.pool import Failed

CALLS: list[bytes] = []


def counted(arrays: Arrays) -> np.ndarray:
    CALLS.append(arrays.digest)
    if len(arrays.numbers) == 2:
        raise ValueError("two atoms")
    return np.array([len(arrays.numbers), arrays.volume])


COUNTED = Feature("counted", 1, counted)


def test_vectors_come_back(tmp_path):
    vectors = {bytes([k]) * 20: np.arange(k, dtype=float) for k in range(1, 60)}
    with Cache(tmp_path / "sub" / "c.sqlite") as cache:
        cache.put(vectors.items())
    with Cache(tmp_path / "sub" / "c.sqlite") as cache:
        found = cache.get([*vectors, b"x" * 20])
        assert found.keys() == vectors.keys()
        assert all(np.array_equal(found[k], v) for k, v in vectors.items())
        assert cache.get([]) == {} and cache.note == ""


@pytest.mark.parametrize("keep", [0, 10, 100, 4096, 5000])
def test_a_truncated_file_is_set_aside(tmp_path, keep):
    path = tmp_path / "c.sqlite"
    with Cache(path) as cache:
        cache.put([(bytes([k]) * 20, np.ones(200)) for k in range(50)])
    path.write_bytes(path.read_bytes()[:keep])
    with Cache(path) as cache:
        found = cache.get([bytes([k]) * 20 for k in range(50)])
        assert all(np.array_equal(v, np.ones(200)) for v in found.values())
        cache.put([(b"k" * 20, np.arange(3.0))])
        assert cache.get([b"k" * 20])[b"k" * 20].tolist() == [0, 1, 2]
        assert not cache.note or "damaged" in cache.note


def test_no_sqlite_at_all(tmp_path):
    path = tmp_path / "c.sqlite"
    path.write_bytes(b"this is no database, it is a letter to the reader " * 100)
    with Cache(path) as cache:
        assert "damaged" in cache.note
        cache.put([(b"k" * 20, np.ones(2))])
        assert len(cache.get([b"k" * 20])) == 1
    assert (tmp_path / "c.sqlite.damaged").read_bytes().startswith(b"this is no database")


def test_a_value_whose_checksum_is_wrong_does_not_count(tmp_path):
    path = tmp_path / "c.sqlite"
    with Cache(path) as cache:
        cache.put([(b"a" * 20, np.ones(2)), (b"b" * 20, np.ones(2))])
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE vector SET data = ? WHERE key = ?", (np.zeros(2).tobytes(), b"a" * 20))
    raw.close()
    with Cache(path) as cache:
        assert set(cache.get([b"a" * 20, b"b" * 20])) == {b"b" * 20}


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EvaluationError, match="--no-cache"):
        Cache(tmp_path / "file" / "c.sqlite")
    with pytest.raises(EvaluationError, match="--no-cache"):
        Cache(tmp_path)


def hammer(path, worker):
    with Cache(path) as cache:
        for k in range(40):
            cache.put([(f"{(worker, k)}".ljust(20).encode(), np.full(50, 100 * worker + k, float))])
            cache.put([(b"shared".ljust(20), np.full(50, worker, float))])
        assert cache.note == ""


def test_many_writers_at_once(tmp_path):
    path = tmp_path / "c.sqlite"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=hammer, args=(path, w)) for w in range(3)]
    for process in writers:
        process.start()
    for process in writers:
        process.join(120)
    assert [p.exitcode for p in writers] == [0, 0, 0]
    with Cache(path) as cache:
        keys = [f"{(w, k)}".ljust(20).encode() for w in range(3) for k in range(40)]
        found = cache.get(keys)
        assert len(found) == 120 and all(len(set(v)) == 1 for v in found.values())
        assert cache.get([b"shared".ljust(20)])[b"shared".ljust(20)][0] in (0, 1, 2)


def test_features_are_computed_once(tmp_path):
    arrays = [crystal_arrays(KNOWN[name]) for name in ("quartz", "rutile", "quartz", "rock salt")]
    for round_ in range(2):
        CALLS.clear()
        with Cache(tmp_path / "c.sqlite") as cache:
            workshop = Workshop(cache, engine=Local(1))
            found = workshop.vectors(COUNTED, arrays)
        assert [v[0] if isinstance(v, np.ndarray) else v.reason for v in found] == [
            9,
            6,
            9,
            "ValueError: two atoms",
        ]
        # The second time only the failure is tried again; a twin is never computed for itself.
        assert len(CALLS) == (3 if round_ == 0 else 1)
    assert workshop.timings["counted"]["cached"] == 2
    rows = matrix(found, 2)
    assert rows[0, 0] == 9 and np.isnan(rows[3]).all()


def test_what_was_done_before_an_interruption_is_kept(tmp_path, monkeypatch):
    arrays = [crystal_arrays(c) for c in KNOWN.values() if c.n_atoms > 2]

    def stop(arrays: Arrays) -> np.ndarray:
        if len(CALLS) == 5:
            raise KeyboardInterrupt
        return counted(arrays)

    CALLS.clear()
    feature = Feature("stopped", 1, stop)
    with Cache(tmp_path / "c.sqlite") as cache, pytest.raises(KeyboardInterrupt):
        Workshop(cache, engine=Local(1)).vectors(feature, arrays)
    with Cache(tmp_path / "c.sqlite") as cache:
        CALLS.clear()
        CALLS.extend([b""] * 6)
        workshop = Workshop(cache, engine=Local(1))
        workshop.vectors(feature, arrays)
    assert workshop.timings["stopped"]["cached"] == 5


def test_keys_tell_features_versions_and_contents_apart(tmp_path):
    quartz = crystal_arrays(KNOWN["quartz"])
    moved = Arrays(quartz.lattice, quartz.fractional + 1e-6, quartz.numbers)
    swapped = Arrays(quartz.lattice, quartz.fractional, quartz.numbers[::-1].copy())
    assert len({a.digest for a in (quartz, moved, swapped)}) == 3
    with Cache(None) as cache:
        workshop = Workshop(cache, engine=Local(1))
        for feature in (COUNTED, Feature("counted", 2, counted), GEOMETRY):
            assert not isinstance(workshop.vectors(feature, [quartz])[0], Failed)
        assert workshop.timings["counted"]["computed"] == 2


def test_the_default_place_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "crystalsmith" / "features.sqlite"
