"""The processes that train one model together: started here, or by torchrun on one machine or many."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from crystalsmith.errors import ConfigError, TrainingError
from crystalsmith.runs.stop import deferred_stop, masked

PATIENCE = timedelta(hours=2)
"""For which the others wait for one of them: the first one validates alone."""


@dataclass(frozen=True)
class Place:
    """One process among those of a run.

    Attributes:
        rank: its number; 0 is the one that writes.
        size: how many there are.
        local: its number on its machine, which says which GPU is its own.
        store: where they meet, as ``torch.distributed`` takes it; nothing for one alone.
    """

    rank: int = 0
    size: int = 1
    local: int = 0
    store: str = ""

    def device(self, wanted: str) -> str:
        """The device of this process: where there are several, each takes a GPU of its own.

        Raises:
            ConfigError: more processes on this machine than GPUs, or all were told to take the same one.
        """
        if wanted == "cpu" or not self.store:
            return wanted
        if wanted != "cuda":
            raise ConfigError(f"several processes take a GPU each: set device to cuda, not {wanted}")
        if self.local >= torch.cuda.device_count():
            raise ConfigError(
                f"{torch.cuda.device_count()} GPUs are here; start no more processes than that on a machine"
            )
        return f"cuda:{self.local}"


def place_of_torchrun(environment: Mapping[str, str] | None = None) -> Place | None:
    """Where torchrun has put this process; None if it was not started so.

    Raises:
        ConfigError: the variables that torchrun sets make no sense.
    """
    e = os.environ if environment is None else environment
    names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    if not all(name in e for name in names):
        return None
    try:
        rank, size, local = int(e["RANK"]), int(e["WORLD_SIZE"]), int(e.get("LOCAL_RANK", e["RANK"]))
    except ValueError:
        raise ConfigError(f"{' and '.join(names[:2])} of the environment must be whole numbers") from None
    if not 0 <= rank < size or local < 0:
        raise ConfigError(f"RANK {rank} of WORLD_SIZE {size} makes no sense; start it with torchrun")
    return Place(rank, size, local, "env://")


@contextmanager
def met(place: Place, device: str) -> Iterator[None]:
    """Within, the processes of a run have found each other, by NCCL on GPUs and by Gloo otherwise."""
    if not place.store:
        yield
        return
    if device != "cpu":
        torch.cuda.set_device(device)
    backend = "gloo" if device == "cpu" else "nccl"
    try:
        dist.init_process_group(
            backend, init_method=place.store, rank=place.rank, world_size=place.size, timeout=PATIENCE
        )
    except (RuntimeError, ValueError) as error:
        raise TrainingError(f"the processes of the run do not find each other ({_line(error)})") from None
    yield
    dist.destroy_process_group()


def sum_over_all(values: Tensor) -> None:
    """Add up the values of all processes, in place in each.

    Raises:
        TrainingError: one of them is gone.
    """
    try:
        dist.all_reduce(values)
    except RuntimeError as error:
        raise TrainingError(f"another process of the run was lost ({_line(error)}); {GO_ON}") from None


GO_ON = "the last saved state stands, and the same command goes on from there"


def start_together(function: Callable[..., None], arguments: Sequence[Any], processes: int) -> None:
    """Call ``function(rank, *arguments, store)`` in so many processes.

    A signal is passed on to them, so that they stop after the same step.

    Raises:
        TrainingError: one of them died, or failed.
    """
    with tempfile.TemporaryDirectory() as folder, deferred_stop() as stop:
        store = f"file://{Path(folder) / 'rendezvous'}"
        with masked("SIG_BLOCK"):  # until they can note them
            running = mp.start_processes(
                function, args=(*arguments, store), nprocs=processes, start_method="spawn", join=False
            )
        told = False
        try:
            while not running.join(timeout=0.2):
                if stop and not told:
                    told = True
                    for process in running.processes:
                        process.terminate()
        except mp.ProcessExitedException as error:
            raise TrainingError(f"a process of the run died ({_line(error)}); {GO_ON}") from None
        except mp.ProcessRaisedException as error:
            if TrainingError.__name__ not in str(error):
                raise
            last = str(error).strip().splitlines()[-1].partition(": ")[2]
            raise TrainingError(last) from None
        finally:
            for process in running.processes:
                process.kill()


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120]
