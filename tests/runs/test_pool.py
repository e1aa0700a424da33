"""A function over many items: order, failures, time limits, dead workers, and the end of all of them."""

import itertools
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import deque
from pathlib import Path

import pytest

from crystalsmith.errors import CrystalsmithError, StructureError
from crystalsmith.runs.pool import (
    DIED,
    Failed,
    available_cores,
    guarded,
    parallel_each,
    parallel_map,
)
from crystalsmith.runs.worker import Pickler


def work(x):
    if x == "die":
        os._exit(9)
    if x == "hang":
        while True:
            time.sleep(0.01)
    if x == "refuse":
        raise StructureError("flat cell: no volume")
    if x == "crash":
        raise ZeroDivisionError("here")
    if x == "swallow":  # a library that takes any exception for its own
        while True:
            try:
                time.sleep(0.01)
            except Exception:
                pass
    if x == "never":  # one C call, which looks at no signals
        deque(itertools.repeat(0), maxlen=0)
    if x == "panic":
        raise Panic("of Rust")
    if x == "unsendable":
        return threading.Lock()
    if x == "warn":
        warnings.warn("odd cell", UserWarning, stacklevel=1)
        logging.getLogger("crystalsmith.demo").info("seen %s", x)
        logging.getLogger("library").debug("not this")
    if x == "surroundings":
        return os.environ["OMP_NUM_THREADS"], os.getpid()
    if isinstance(x, Path):  # dies, but not twice
        if not x.exists():
            x.touch()
            os._exit(9)
        return x.name
    if isinstance(x, tuple):  # a file to say so, then nothing for long
        Path(x[0]).write_text(str(os.getpid()))
        time.sleep(600)
    return x * 2


class Panic(BaseException):
    pass


class Unsendable:
    def __reduce__(self):
        raise TypeError("cannot be sent")


class Unloadable:
    def __reduce__(self):
        return explode, ()


def explode():
    if "PYTEST_CURRENT_TEST" in os.environ:
        raise StructureError("cannot be made of this")


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_items_and_failures_cost_one_item(workers):
    items = [1, "refuse", 3, "crash", "ab"]
    seen = []
    results = parallel_map(work, items, workers=workers, chunk=2, on_done=seen.extend)
    assert results[0] == 2 and results[2] == 6 and results[4] == "abab"
    assert results[1] == Failed("flat cell: no volume")
    assert results[3] == Failed("ZeroDivisionError: here")
    assert sorted(place for place, _, _ in seen) == list(range(5))
    assert all(seconds >= 0 for _, _, seconds in seen)


@pytest.mark.parametrize("item", ["hang", "swallow"])
def test_what_takes_too_long_is_stopped(item):
    assert guarded(work, item, 0.2) == Failed("took longer than 0.2 s")
    assert guarded(work, 4, 60) == 8


@pytest.mark.parametrize("workers", [1, 2])
def test_what_never_returns_from_a_c_call_is_stopped_and_costs_only_itself(workers):
    items = [1, "never", 2, 3]
    results = parallel_map(work, items, workers=workers, seconds=1.0, chunk=4, apart=True)
    assert results == [2, Failed("took longer than 1 s"), 4, 6]


def test_a_single_item_with_a_time_limit_is_watched_too():
    assert parallel_map(work, ["never"], seconds=0.2) == [Failed("took longer than 0.2 s")]


@pytest.mark.parametrize("workers", [1, 2])
def test_whatever_cannot_be_sent_or_is_no_exception_costs_only_itself(workers):
    items = [1, "panic", Unsendable(), Unloadable(), "unsendable", 2]
    results = parallel_map(work, items, workers=workers, chunk=2, apart=True)
    assert results[0] == 2 and results[5] == 4
    assert results[1] == Failed("Panic: of Rust") and results[2] == Failed("TypeError: cannot be sent")
    assert results[3] == Failed("cannot be made of this") and "pickle" in results[4].reason
    assert parallel_map(work, ["panic", 3], workers=1) == [Failed("Panic: of Rust"), 6]


def test_what_workers_log_and_warn_of_is_heard_here(capfd, caplog):
    with caplog.at_level(logging.INFO):
        assert parallel_map(work, ["warn", 2], workers=2) == ["warnwarn", 4]
    heard = [(r.name, r.getMessage()) for r in caplog.records]
    assert ("crystalsmith.demo", "seen warn") in heard and len(heard) == 2
    assert any(name == "py.warnings" and "odd cell" in text for name, text in heard)
    assert capfd.readouterr().err == ""


def test_workers_have_one_thread_and_this_process_keeps_its_own(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    ((threads, process),) = parallel_map(work, ["surroundings"], apart=True)
    assert threads == "1" and process != os.getpid() and os.environ["OMP_NUM_THREADS"] == "7"


def test_tensors_can_go_to_any_number_of_workers():
    """torch's own way sends them as open files, which one worker could take and no other."""
    import torch

    sent = bytes(Pickler.dumps({"weights": torch.arange(5.0)}))
    for _ in range(3):
        assert Pickler.loads(sent)["weights"].tolist() == [0, 1, 2, 3, 4]


def test_items_are_taken_as_workers_come_to_them_and_no_more_is_begun_after_the_end():
    taken = []

    def items():
        for k in itertools.count():
            taken.append(k)
            yield k

    results = parallel_each(work, items(), workers=2, chunk=3)
    found = {}
    while len(found) < 20:
        found.update({place: result for place, result, _ in next(results)})
        assert len(taken) <= len(found) + 2 * 2 * 3
    results.close()
    assert all(result == 2 * place for place, result in found.items())


def test_what_cannot_be_loaded_by_a_worker_is_said():
    with pytest.raises(CrystalsmithError, match="cannot load what they are to do: cannot be made of this"):
        parallel_map(Unloadable(), [1, 2], workers=2)  # type: ignore[arg-type]


SCRIPT = """
import sys
sys.path[:0] = {path!r}
from test_pool import parallel_map, work
if __name__ == "__main__":
    print(parallel_map(work, [({a!r},), ({b!r},), 3], workers=2, seconds=500))
"""


def start(folder: Path) -> subprocess.Popen:
    a, b = str(folder / "a"), str(folder / "b")
    script = folder / "script.py"
    script.write_text(SCRIPT.format(path=[str(Path(__file__).parent)], a=a, b=b))
    return subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def wait_for(told) -> None:
    while not told():
        time.sleep(0.02)


def gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(
    ("number", "whole_group"),
    [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGKILL, False)],
)
def test_workers_end_with_their_parent_without_a_word(tmp_path: Path, number: int, whole_group: bool):
    parent = start(tmp_path)
    files = [tmp_path / "a", tmp_path / "b"]
    wait_for(lambda: all(f.exists() and f.read_text() for f in files))
    (os.killpg if whole_group else os.kill)(parent.pid, number)
    out, err = parent.communicate()
    assert parent.returncode == -number and out == b""
    noise = [line for line in err.decode().splitlines() if line and not line.startswith((" ", "Traceback"))]
    assert noise == (["KeyboardInterrupt"] if number == signal.SIGINT else [])
    wait_for(lambda: all(gone(int(f.read_text())) for f in files))


def script(folder: Path, text: str) -> subprocess.CompletedProcess:
    path = folder / "plain.py"
    path.write_text(f"import sys\nsys.path[:0] = [{str(Path(__file__).parent)!r}]\n" + text)
    return subprocess.run([sys.executable, str(path)], capture_output=True, text=True)


def test_a_script_needs_a_guard_for_functions_of_its_own_only(tmp_path: Path):
    text = "from test_pool import parallel_map, work\nprint(parallel_map({}, [1, 2], workers=2), __spec__)\n"
    done = script(tmp_path, text.format("work"))
    assert (done.stdout, done.stderr) == ("[2, 4] None\n", "")
    done = script(tmp_path, "def own(x):\n    return x + 1\n\n" + text.format("own"))
    assert done.returncode == 1 and "functions of a script need the usual guard" in done.stderr
    guarded = "if __name__ == '__main__':\n    print(parallel_map(own, [1, 2], workers=2))\n"
    done = script(tmp_path, "from test_pool import *\ndef own(x):\n    return x + 1\n\n" + guarded)
    assert (done.stdout, done.stderr) == ("[2, 3]\n", "")


def test_an_item_that_kills_its_process_costs_only_itself():
    items = [*range(20), "die", *range(20, 30), "die"]
    results = parallel_map(work, items, workers=2, chunk=4)
    expected = [Failed(DIED) if x == "die" else x * 2 for x in items]
    assert results == expected


def test_what_was_at_work_in_a_process_that_died_is_tried_once_more_alone(tmp_path):
    """Memory may have been short because of what others did; with one worker there are no others."""
    items = [1, tmp_path / "a", 2, tmp_path / "b", 3]
    assert parallel_map(work, items, workers=2) == [2, "a", 4, "b", 6]
    (tmp_path / "a").unlink()
    assert parallel_map(work, items, workers=1, apart=True) == [2, Failed(DIED), 4, "b", 6]


def test_no_items_and_cores():
    assert parallel_map(work, []) == []
    assert available_cores() >= 1
