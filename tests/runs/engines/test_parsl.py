"""Parsl's workers on this machine, for real: what they give, and what is left when they are killed."""

import os
import signal
import subprocess
import sys
import time

import pytest
from hostile import collect, root
from test_commands import EMT, METALS, fcc, files

from crystalsmith.errors import OutputError
from crystalsmith.potentials import RelaxSettings, Resources
from crystalsmith.potentials.run import relax_into
from crystalsmith.runs.engines import Local, engine_of
from crystalsmith.runs.engines.manager import Stuck
from crystalsmith.runs.extras import missing

psutil = pytest.importorskip("psutil")
pytestmark = pytest.mark.skipif(bool(missing(["parsl"])), reason="parsl is not installed")

PATIENCE = 120.0
MANAGER = "crystalsmith.runs.engines.manager"


@pytest.fixture(autouse=True)
def modules_of_tests(monkeypatch):
    """Workers find what the tests define."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))


def of_run(folder):
    """Processes that were started for a run: its managers, its interchange, and all below them."""
    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            if str(folder) in words or (process.ppid() == os.getpid() and "interchange" in words):
                found += [process, *process.children(recursive=True)]
        except psutil.Error:
            continue
    return {p.pid: p for p in found}


def wait_for(condition):
    until = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < until
        time.sleep(0.1)
    return found


def test_relax_on_parsl_gives_the_files_of_this_machine_and_leaves_nothing(tmp_path):
    crystals = {symbol: fcc(symbol) for symbol in METALS}
    for name, chosen in (("here", Local(1)), ("there", "htex-local")):
        resources = Resources(EMT, 2, chosen)
        relax_into(crystals, tmp_path / name, RelaxSettings(max_calls=10), resources)
    names = ("cif/*", "relaxed.csv", "relaxed.extxyz")
    assert files(tmp_path / "there", *names) == files(tmp_path / "here", *names)
    assert {p.name for p in (tmp_path / "there").iterdir()} == {p.name for p in (tmp_path / "here").iterdir()}
    wait_for(lambda: not of_run(tmp_path / "there"))


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 160 kB of its own."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(place)]
    if sys.platform != "linux" or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


def test_a_full_disk_ends_the_run_with_the_reason_and_it_goes_on_with_more(tmp_path, small_disk, capfd):
    """Parsl's own would tell of each line that it cannot log."""
    crystals = {f"{symbol}{n}": fcc(symbol) for symbol in METALS for n in range(12)}
    settings, run = RelaxSettings(max_calls=3), small_disk / "run"
    with pytest.raises(OutputError, match=r"No space left on device; free some space and run the same"):
        relax_into(crystals, run, settings, Resources(EMT, 1, "htex-local"))
    assert "Logging error" not in capfd.readouterr().err
    assert not (run / "relaxed.csv").exists()
    assert all(path.read_text().rstrip() for path in run.glob("cif/*.cif"))
    wait_for(lambda: not of_run(run))
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    relax_into(crystals, run, settings, Resources(EMT, 1, "htex-local"))
    relax_into(crystals, tmp_path / "here", settings, Resources(EMT, 1, Local(1)))
    names = ("cif/*", "relaxed.csv", "relaxed.extxyz")
    assert files(run, *names) == files(tmp_path / "here", *names)


def test_a_worker_and_its_helper_and_the_interchange_are_killed_and_nothing_is_lost(tmp_path):
    items, killed = ["sleep"] * 150, []
    with engine_of("htex-local", 2, tmp_path / "run") as engine:
        found = {}
        for done in engine.each(root, items, seconds=60):
            for place, result, _ in done:
                assert place not in found
                found[place] = result
            if len(found) > 10 and not killed:
                killed.append(_kill(lambda words: "spawn_main" in words, tmp_path))
            if len(found) > 40 and len(killed) == 1:
                killed.append(_kill(lambda words: "interchange" in words, tmp_path))
        more = collect(engine, root, [4.0, -1.0], seconds=60)  # another stage of the same workers
    assert found == dict.fromkeys(range(150), "slept") and len(killed) == 2
    assert more[0] == 2.0 and "math domain" in more[1].reason
    wait_for(lambda: not of_run(tmp_path))


QUICK = """
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from crystalsmith.runs.engines.on_this_machine import OnThisMachine

def site(workers, folder):
    return Config(executors=[HighThroughputExecutor(
        address="127.0.0.1", max_workers_per_node=workers, cores_per_worker=0.01, provider=OnThisMachine(),
        heartbeat_period=1, heartbeat_threshold=12)])
"""


def test_a_manager_that_lost_its_notes_ends_and_another_one_takes_over(tmp_path):
    """Parsl's own would keep its tasks for ever, with signs of life and an endless log."""
    (tmp_path / "site.py").write_text(QUICK)
    found, killed = {}, []
    with engine_of(f"parsl:{tmp_path / 'site.py'}", 1, tmp_path / "run") as engine:
        for done in engine.each(root, ["sleep"] * 60, seconds=60):
            found.update({place: result for place, result, _ in done})
            if not killed:
                killed.append(_kill(lambda words: "spawn_main" in words, tmp_path, oldest=True))
    assert found == dict.fromkeys(range(60), "slept")
    wait_for(lambda: not of_run(tmp_path))


def test_a_manager_is_killed_and_leaves_nothing(tmp_path):
    """Parsl's own leaves the process with its notes for ever, and a worker until its task has ended."""
    (tmp_path / "site.py").write_text(QUICK)
    with engine_of(f"parsl:{tmp_path / 'site.py'}", 1, tmp_path / "run") as engine:
        results = engine.each(root, ["sleep", "long"], seconds=600)
        next(results)
        manager = wait_for(lambda: [p for p in of_run(tmp_path).values() if MANAGER in p.cmdline()])[0]
        below = manager.children(recursive=True)
        assert len(below) >= 3
        manager.kill()
        wait_for(lambda: not any(p.is_running() for p in below))
        results.close()


def test_an_idle_worker_is_killed_with_the_lock_of_the_queue_in_its_hands(tmp_path):
    """Parsl's own starts another one, and both wait for the lock for ever."""
    (tmp_path / "site.py").write_text(QUICK)
    with engine_of(f"parsl:{tmp_path / 'site.py'}", 1, tmp_path / "run") as engine:
        assert collect(engine, root, [4.0], seconds=60) == {0: 2.0}
        manager = next(p for p in of_run(tmp_path).values() if MANAGER in p.cmdline())
        _notes, worker = sorted(
            (p for p in manager.children() if "spawn_main" in " ".join(p.cmdline())),
            key=lambda p: p.create_time(),
        )
        worker.kill()
        assert collect(engine, root, [9.0, 16.0], seconds=60) == {0: 3.0, 1: 4.0}
        wait_for(lambda: not manager.is_running())
    wait_for(lambda: not of_run(tmp_path))


def test_a_manager_ends_whose_interchange_goes_while_it_connects(tmp_path):
    """Parsl's own waits for ever, on a node that others could use."""
    zmq = pytest.importorskip("zmq")
    interchange = zmq.Context.instance().socket(zmq.ROUTER)
    port = interchange.bind_to_random_port("tcp://127.0.0.1")
    words = f"-a 127.0.0.1 --port={port} --cert_dir None --logdir={tmp_path} --hb_period=1 --hb_threshold=4"
    more = "--max_workers_per_node=1 -c 0.01 -m None --drain_period=None --cpu-affinity none"
    manager = subprocess.Popen([sys.executable, "-m", MANAGER, *words.split(), *more.split()])
    try:
        assert interchange.poll(1000 * PATIENCE)
        who, _ = interchange.recv_multipart()
        interchange.send_multipart([who, b""])  # "is anyone there?", and nothing after that
        assert manager.wait(PATIENCE) == 1
    finally:
        manager.kill()
        interchange.close(0)


def test_an_interchange_ends_whose_coordinator_has_gone_before_it_began():
    words = [sys.executable, "-m", "crystalsmith.runs.engines.interchange", str(os.getpid() + 1)]
    assert subprocess.Popen(words, stdin=subprocess.PIPE).wait(PATIENCE) == 1


def test_tasks_that_come_and_go_do_not_lie():
    stuck = Stuck()
    assert [stuck.look([k, k + 1], at_work=1, idle=1) for k in range(0, 12, 2)] == [0] * 6
    assert [stuck.look([7], at_work=1, idle=1) for _ in range(3)] == [0] * 3  # at work for long
    assert [stuck.look([7, 8], at_work=1, idle=0) for _ in range(3)] == [0] * 3  # workers are starting yet
    assert [stuck.look([7, 8], at_work=1, idle=1) for _ in range(4)] == [0, 1, 2, 3]
    assert stuck.look([9], at_work=0, idle=1) == 0  # those have gone


def _kill(which, folder, oldest=False):
    """Kill one process of the run, the youngest that fits or the oldest."""
    fitting = []
    for process in of_run(folder).values():
        try:
            if which(" ".join(process.cmdline())):
                fitting.append((process.create_time(), process.pid))
        except psutil.Error:
            continue
    _, pid = min(fitting) if oldest else max(fitting)
    os.kill(pid, signal.SIGKILL)
    return pid
