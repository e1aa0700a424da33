"""Processes that train together, started by torchrun: they find each other, and survive the loss of one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from test_training_run import content, data, log_of, settings  # noqa: F401 (data is a fixture)

from crystalsmith.errors import ConfigError
from crystalsmith.runs.manifest import read_manifest
from crystalsmith.training import train
from crystalsmith.training.together import Place, place_of_torchrun

TORCHRUN = [
    *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"),
    *("--nproc-per-node", "2", "-m", "crystalsmith", "train", "--config"),
]


def begin(values: dict[str, Any], config: Path) -> subprocess.Popen[str]:
    config.write_text(json.dumps(values))
    return subprocess.Popen(
        [*TORCHRUN, str(config)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def members(parent: int) -> dict[int, int]:
    """Process numbers of what torchrun started, by rank."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            above = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            settings = (folder / "environ").read_bytes().split(b"\0")
        except (OSError, IndexError):  # ended meanwhile
            continue
        for setting in settings if above == parent else ():
            if setting.startswith(b"RANK="):
                found[int(setting[5:])] = int(folder.name)
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to tell the processes apart")
@pytest.mark.parametrize("victim", [0, 1])
def test_one_of_torchrun_is_killed_and_the_same_call_goes_on(
    data: str,  # noqa: F811
    tmp_path: Path,
    victim: int,
) -> None:
    out = tmp_path / "run"
    how = {"decay": 0.0, "save_every": 3}
    child = begin(settings(data, out, crystals=10**9, **how), tmp_path / "config.json")
    while not (out / "state.safetensors").exists() and child.poll() is None:
        time.sleep(0.05)
    assert child.poll() is None, child.communicate()[0]
    group = members(child.pid)
    assert sorted(group) == [0, 1]
    os.kill(group[victim], signal.SIGKILL)
    said, _ = child.communicate()  # that it ends at all is the test: the other one must not wait for ever
    assert child.returncode != 0
    assert not [pid for pid in group.values() if Path(f"/proc/{pid}").exists()]
    if victim == 0:  # nobody is left to say it, and what follows is the same
        return
    assert "the same command goes on" in said
    seen = int(content(out / "state.safetensors")[1]["seen"])
    assert seen > 0
    values = settings(data, out, crystals=seen + 100, **how)
    again = begin(values, tmp_path / "config.json")
    said, _ = again.communicate()
    assert again.returncode == 0, said
    assert said.count("trained model") == 1
    manifest = read_manifest(out)
    assert manifest is not None and manifest["status"] == "finished"
    train({**values, "out": str(tmp_path / "whole"), "processes": 2}, quiet=True)
    one, two = (content(tmp_path / name / "state.safetensors")[0] for name in ("whole", "run"))
    assert one.keys() == two.keys()
    assert all(torch.equal(v, two[k]) for k, v in one.items())


def test_more_processes_than_crystals_of_a_batch(data: str, tmp_path: Path) -> None:  # noqa: F811
    train(settings(data, tmp_path, processes=2, batch=1, crystals=6, validate_every=1), quiet=True)
    assert [row["seen"] for row in log_of(tmp_path)] == [1, 2, 3, 4, 5, 6]


def test_places_of_torchrun() -> None:
    there = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "a", "MASTER_PORT": "1"}
    assert place_of_torchrun(there) == Place(3, 4, 1, "env://")
    assert place_of_torchrun({**there, "MASTER_PORT": "1", "LOCAL_RANK": "0"}) == Place(3, 4, 0, "env://")
    assert place_of_torchrun({"RANK": "3"}) is None  # another launcher's
    for wrong in ({"RANK": "4"}, {"RANK": "x"}, {"LOCAL_RANK": "-1"}):
        with pytest.raises(ConfigError, match="RANK"):
            place_of_torchrun(there | wrong)


def test_a_gpu_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert Place().device("cuda") == "cuda"
    assert Place(5, 8, 1, "env://").device("cuda") == "cuda:1"
    assert Place(5, 8, 1, "env://").device("cpu") == "cpu"
    with pytest.raises(ConfigError, match="2 GPUs are here"):
        Place(2, 4, 2, "env://").device("cuda")
    with pytest.raises(ConfigError, match="set device to cuda"):
        Place(0, 2, 0, "env://").device("cuda:0")


def test_torchrun_and_another_number_of_processes(
    data: str,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "RANK": "0",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "1",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match="torchrun started 2 processes, not 3"):
        train(settings(data, tmp_path, processes=3), quiet=True)
    assert not list(tmp_path.iterdir())
