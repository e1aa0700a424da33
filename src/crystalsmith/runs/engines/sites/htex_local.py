"""Parsl's workers on this machine alone: what a cluster does, without the cluster."""

from pathlib import Path

from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.jobs.error_handlers import windowed_error_handler

from crystalsmith.runs.engines.on_this_machine import OnThisMachine
from crystalsmith.runs.pool import available_cores


def site(workers: int | None, folder: Path) -> Config:
    """Args: processes, or None for one a core; folder for what Parsl writes."""
    return Config(
        executors=[
            HighThroughputExecutor(
                label="htex",
                address="127.0.0.1",
                max_workers_per_node=workers or available_cores(),
                cores_per_worker=0.01,  # the number of workers is given
                heartbeat_period=5,
                heartbeat_threshold=60,
                provider=OnThisMachine(),
                block_error_handler=windowed_error_handler,
            )
        ],
        strategy="simple",
    )
