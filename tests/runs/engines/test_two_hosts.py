"""Workers on another host, a network namespace of this machine, to which the link is cut."""

import os
import shutil
import subprocess
import sys
import time

import pytest
from hostile import root
from test_parsl import MANAGER, of_run, wait_for

from crystalsmith.runs.engines import engine_of
from crystalsmith.runs.extras import missing

pytest.importorskip("psutil")
pytestmark = pytest.mark.skipif(bool(missing(["parsl"])), reason="parsl is not installed")

SITE = """
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.launchers.base import Launcher
from crystalsmith.runs.engines.on_this_machine import OnThisMachine

class There(Launcher):
    def __call__(self, command, *more):
        return "ip netns exec {name} " + command

def site(workers, folder):
    return Config(executors=[HighThroughputExecutor(
        address="{address}.1", max_workers_per_node=workers, cores_per_worker=0.01,
        provider=OnThisMachine(launcher=There()), heartbeat_period=1, heartbeat_threshold=5)])
"""


def ip(words):
    return subprocess.run(["ip", *words.split()], check=True, capture_output=True)


@pytest.fixture
def other_host():
    """Name of a namespace that is joined to this one, and the first three numbers of their addresses."""
    number = os.getpid()
    name, address = f"crystals{number}", f"10.{200 + number // 250 % 50}.{number % 250}"
    if os.getuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    try:
        ip(f"netns add {name}")
        ip(f"link add cs{number} type veth peer name there netns {name}")
    except subprocess.CalledProcessError as error:
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
        pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
    try:
        ip(f"address add {address}.1/24 dev cs{number}")
        ip(f"link set cs{number} up")
        ip(f"-n {name} address add {address}.2/24 dev there")
        ip(f"-n {name} link set there up")
        ip(f"-n {name} link set lo up")
        yield name, address
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "delete", f"cs{number}"], check=False, capture_output=True)


def managers(folder):
    return {pid for pid, process in of_run(folder).items() if MANAGER in process.cmdline()}


def test_the_link_is_cut_for_longer_than_signs_of_life_are_waited_for(tmp_path, other_host, monkeypatch):
    name, address = other_host
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))
    (tmp_path / "site.py").write_text(SITE.replace("{name}", name).replace("{address}", address))
    found, cut = {}, False
    with engine_of(f"parsl:{tmp_path / 'site.py'}", 1, tmp_path / "run") as engine:
        for done in engine.each(root, ["sleep"] * 300, seconds=60):
            for place, result, _ in done:
                assert place not in found
                found[place] = result
            if not cut:
                before = managers(tmp_path)
                ip(f"link set cs{os.getpid()} down")
                time.sleep(8)
                ip(f"link set cs{os.getpid()} up")
                cut = True
        after = managers(tmp_path)
    assert found == dict.fromkeys(range(300), "slept")
    assert before and after and not before & after  # the manager there gave up, and another one came
    wait_for(lambda: not of_run(tmp_path))
