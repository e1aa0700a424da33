"""Tasks over an executor: whatever it does to them, every item comes to an end once, and to the right one."""

import logging
import os
import re
import threading
import time
from concurrent.futures import Future
from functools import partial

import pytest
from hostile import Hostile, Large, collect, engine, root, root_by

from crystalsmith.errors import EngineError
from crystalsmith.potentials import calculators, check_potential
from crystalsmith.runs.engines import likeness, remote, task
from crystalsmith.runs.worker import DIED, Failed

NUMBERS = [float(k) for k in range(40)]
ROOTS = {k: k**0.5 for k in range(40)}


@pytest.fixture(autouse=True)
def looks_often(monkeypatch):
    """Nothing here is waited for but what never comes."""
    monkeypatch.setattr(remote, "_LOOK_SECONDS", 0.01)


@pytest.mark.parametrize(
    "faults",
    [
        [],
        ["lost"],
        ["lost"] * 4,
        ["late", "fine", "late", "late", "fine"],
        ["twice", "twice"],
        ["fine", "swapped"],
        ["nonsense"],
        ["half", "half", "lost"],
        ["fine", "refused", "refused", "lost"],
        ["lost", "late", "twice", "half", "refused", "swapped", "nonsense"],
    ],
    ids=lambda faults: "-".join(faults)[:40] or "none",
)
def test_what_is_lost_is_done_again_and_nothing_comes_twice(tmp_path, faults):
    executor = Hostile(faults)
    assert collect(engine(tmp_path, executor), root, NUMBERS, seconds=60, chunk=3) == ROOTS
    assert not executor.faults


def test_items_end_as_on_this_machine(tmp_path):
    found = collect(
        engine(tmp_path, Hostile()), root, [4.0, -1.0, "a", lambda: 0, "die", "never"], seconds=2.0
    )
    assert found[0] == 2.0 and found[1] == Failed("ValueError: math domain error")
    assert found[2].reason.startswith("TypeError") and "pickle" in found[3].reason.lower()
    assert found[4] == Failed(DIED) and found[5] == Failed("took longer than 2 s")


def test_an_item_that_costs_every_worker_is_found_by_halving_and_the_others_are_done(tmp_path):
    executor = Hostile(lose=lambda jobs: 17 in dict(jobs))
    found = collect(engine(tmp_path, executor), root, NUMBERS, chunk=20)
    reason = found.pop(17).reason
    assert "lost 5 times" in reason and "node07 has gone" in reason
    assert found == {k: v for k, v in ROOTS.items() if k != 17}


@pytest.mark.parametrize("fault", ["hung", "silent"])
def test_a_task_that_never_comes_back_is_given_up(tmp_path, fault, monkeypatch):
    """At work, or begun for certain because a later one is back already."""
    monkeypatch.setattr(remote, "_START_SECONDS", -1e6)
    assert collect(engine(tmp_path, Hostile([fault])), root, NUMBERS, seconds=60) == ROOTS


def test_an_executor_that_answers_nothing_is_started_again(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "_START_SECONDS", -1e6)
    dead = Hostile(then="silent")
    assert collect(engine(tmp_path, dead, Hostile()), root, NUMBERS, seconds=60) == ROOTS
    assert dead.stopped == 1


def test_time_before_the_first_worker_comes_does_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "_START_SECONDS", -1e6)
    looks, slow = [], Hostile(then="silent")

    def staffed():
        looks.append(1)
        return len(looks) > 20

    assert collect(engine(tmp_path, slow, Hostile(), staffed=staffed), root, NUMBERS, seconds=60) == ROOTS
    assert len(looks) > 20


def test_it_is_told_that_no_worker_comes_and_why_more_and_more_seldom(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(remote, "_ALONE_SECONDS", 0.02)
    looks = []

    def staffed():
        looks.append(time.monotonic())
        return looks[-1] - looks[0] > 1.0

    class Late(Hostile):
        """Its workers come late."""

        def submit(self, fn, /, *task):
            future = Future()
            threading.Timer(1.2, lambda: future.set_result(fn(*task))).start()
            return future

    waits = {"staffed": staffed, "waits": lambda: "its jobs wait in the queue"}
    with caplog.at_level(logging.WARNING, logger="crystalsmith"):
        assert collect(engine(tmp_path, Late(), **waits), root, [4.0]) == {0: 2.0}
    said = [r.getMessage() for r in caplog.records if "no workers" in r.getMessage()]
    assert 1 <= len(said) <= 3 and said[0].endswith(" s: its jobs wait in the queue")


def test_an_executor_that_has_ended_is_started_again_and_all_its_tasks_with_it(tmp_path, caplog):
    first, second = Hostile(["fine", "silent", "raises"]), Hostile(["lost"])
    with caplog.at_level(logging.WARNING, logger="crystalsmith"):
        assert collect(engine(tmp_path, first, second), root, NUMBERS, seconds=60) == ROOTS
    assert first.stopped == 1 and "started again" in caplog.text


def test_trouble_of_an_executor_ends_it_even_where_it_says_nothing(tmp_path):
    dead, alive, said = Hostile(then="silent"), Hostile(), []

    def trouble():
        said.append(1)
        return "the interchange has ended" if len(said) == 1 else ""

    assert collect(engine(tmp_path, dead, alive, trouble=trouble), root, NUMBERS, seconds=60) == ROOTS
    assert dead.stopped == 1


def test_an_executor_that_never_gives_a_result_ends_the_run_with_its_reason(tmp_path):
    remote_engine = engine(tmp_path, *(Hostile(then="raises") for _ in range(9)))
    with pytest.raises(EngineError, match="gives no results: RuntimeError: cannot schedule new futures"):
        collect(remote_engine, root, NUMBERS)


def test_another_version_is_named_and_does_no_work(tmp_path):
    """Where all workers are others, nothing is lost by going on later; where some are, the rest work."""
    ours = likeness.likeness()["crystalsmith"]
    with pytest.raises(EngineError) as refused:
        collect(engine(tmp_path, Hostile(then="refused")), root, NUMBERS)
    assert "0.0.1 here" in str(refused.value) and f"{ours} there" in str(refused.value)
    found = collect(engine(tmp_path, Hostile(["fine"], then="refused")), root, [1.0, 4.0], chunk=1)
    assert found[0] == 1.0 and "0.0.1 here" in found[1].reason and "there" in found[1].reason


def test_a_file_of_the_package_that_differs_makes_another_version(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    before = likeness._digest(tmp_path)
    (tmp_path / "a.py").write_text("x = 2\n")
    assert likeness._digest(tmp_path) != before
    assert likeness.difference({"torch": "2.6"}, {"torch": "2.7"}) == "torch 2.6 here and 2.7 there"
    assert likeness.difference(likeness.likeness(), likeness.likeness()) == ""


class OtherNode(Hostile):
    """All tasks but the first come to a worker that finds something else in a file, or none."""

    def __init__(self, path, found):
        super().__init__()
        self.path, self.found = path, found

    def submit(self, *task):
        before = self.path.read_text()
        if self.answers and self.found is None:
            self.path.unlink()
        elif self.answers:
            self.path.write_text(self.found)
        try:
            return super().submit(*task)
        finally:
            self.path.write_text(before)


@pytest.mark.parametrize(("found", "there"), [("other weights", "[0-9a-f]{12}"), (None, "missing")])
def test_another_model_file_is_named_and_does_no_work(tmp_path, monkeypatch, found, there):
    monkeypatch.setattr(calculators, "missing", lambda names: [])  # mace itself is not needed to look
    monkeypatch.setattr(likeness, "_relied_on", {})
    model = tmp_path / "my.model"
    model.write_text("weights")
    check_potential(f"mace:{model}")
    done = collect(
        engine(tmp_path, OtherNode(model, found)), partial(root_by, f"mace:{model}"), [1.0, 4.0], chunk=1
    )
    assert done[0] == 1.0
    assert re.search(f"file {model} [0-9a-f]{{12}} here and {there} there", done[1].reason)


def test_another_module_of_a_potential_is_named_and_does_no_work(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(likeness, "_relied_on", {})
    (tmp_path / "their" / "own").mkdir(parents=True)
    module = tmp_path / "their" / "own" / "potential.py"
    module.write_text("from ase.calculators.emt import EMT\n")
    check_potential("their.own.potential:EMT")
    other = OtherNode(module, "EMT = 0\n")
    done = collect(engine(tmp_path, other), partial(root_by, "their.own.potential:EMT"), [1.0, 4.0], chunk=1)
    assert done[0] == 1.0 and "module their.own.potential" in done[1].reason


def test_what_another_run_of_this_process_relied_on_is_not_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(likeness, "_relied_on", {})
    likeness.rely_on_module("a_potential_of_yesterday")
    assert collect(engine(tmp_path, Hostile()), partial(root_by, "chgnet"), [1.0, 4.0]) == {0: 1.0, 1: 2.0}


def test_a_large_function_is_a_file_unless_workers_cannot_read_it(tmp_path):
    large, size = Large(), 1 << 17
    executor = Hostile()
    assert collect(engine(tmp_path, executor), large, range(3)) == {k: k + size for k in range(3)}
    assert {kind for _, kind in executor.kinds} == {"str"}
    blind = Hostile(then="blind")
    task._here.helper = None  # a worker that has never seen it
    assert collect(engine(tmp_path, blind), large, range(3)) == {k: k + size for k in range(3)}
    assert [kind for _, kind in blind.kinds][-1] == "bytes"


def test_a_function_that_cannot_be_loaded_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(task, "start_worker", lambda function, seconds: _Refusing())
    task._here.helper = None
    with pytest.raises(EngineError, match="cannot load what it is to do: no module"):
        collect(engine(tmp_path, Hostile()), root, NUMBERS)


class _Refusing:
    """A process that cannot take its function apart."""

    def __init__(self):
        self.pipe = self

    def recv(self):
        return "no module"

    def end(self):
        pass


def test_one_process_does_all_items_of_a_worker(tmp_path):
    found = collect(engine(tmp_path, Hostile()), root, ["where"] * 5)
    assert len(set(found.values())) == 1 and os.getpid() not in found.values()


def test_items_are_taken_as_there_is_room_for_them(tmp_path):
    """Two tasks a slot are out; what has not come back yet holds up the rest."""
    taken = []

    def items():
        for k in range(1000):
            taken.append(k)
            yield float(k)

    running = engine(tmp_path, Hostile(["fine"], then="silent", slots=3)).each(root, items())
    next(running)
    assert len(taken) <= 10
    running.close()


def test_tasks_grow_with_the_speed_of_items_and_shrink_at_the_end(tmp_path):
    executor = Hostile()
    collect(engine(tmp_path, executor), root, [float(k) for k in range(2000)])
    assert executor.sizes[0] == 1 and max(executor.sizes) > 50 and executor.sizes[-1] == 1
    assert max(executor.sizes) <= remote._MOST_ITEMS


def test_closing_ends_what_is_at_work(tmp_path):
    executor = Hostile(["fine"], then="silent")
    running = engine(tmp_path, executor).each(root, NUMBERS)
    next(running)
    running.close()
    assert executor.stopped == 1


def test_scratch_is_inside_the_run_and_gone_afterwards(tmp_path):
    stale = tmp_path / "run" / f"{remote.SCRATCH}old"
    stale.mkdir(parents=True)
    one = engine(tmp_path, Hostile())
    collect(one, root, NUMBERS)
    assert not stale.exists() and one.scratch.parent == tmp_path / "run"
    one.close()
    assert not any((tmp_path / "run").iterdir())


def test_scratch_stays_where_the_engine_is_to_blame(tmp_path):
    one = engine(tmp_path, *(Hostile(then="raises") for _ in range(9)))
    with pytest.raises(EngineError) as error:
        collect(one, root, NUMBERS)
    one.close(error.value)
    assert one.scratch.is_dir() and str(one.scratch) in str(error.value)
