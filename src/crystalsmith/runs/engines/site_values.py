"""What sites that the package ships take from the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from crystalsmith.errors import ConfigError

HEARTBEAT, SILENCE = 10, 60
"""Seconds between signs of life of a node, and without any after which it is lost."""


@dataclass(frozen=True)
class Site:
    """Of a cluster.

    Attributes:
        partition: or queue; the cluster's own if None.
        account: whom it costs.
        nodes: at most.
        walltime: of a job, H:M:S.
        cores: of a node.
        gpus: of a node; as many workers then, and each has its own.
        options: lines for the scheduler.
        init: commands before the workers start.
        address: of this machine as nodes reach it; all of its own are tried if None.
        ports: first and last that nodes may reach.
    """

    partition: str | None = None
    account: str | None = None
    nodes: int = 1
    walltime: str = "01:00:00"
    cores: int | None = None
    gpus: int = 0
    options: str = ""
    init: str = ""
    address: str | None = None
    ports: tuple[int, int] = (54000, 55000)

    @classmethod
    def of_environment(cls) -> Site:
        """From the variables SITE_...

        Raises:
            ConfigError: one that should be a number is none.
        """
        text = {name: os.environ.get(f"SITE_{name.upper()}") or None for name in cls.__dataclass_fields__}
        first, _, last = (text["ports"] or "54000-55000").partition("-")
        return cls(
            partition=text["partition"],
            account=text["account"],
            nodes=_number("nodes", text["nodes"] or "1"),
            walltime=text["walltime"] or cls.walltime,
            cores=_number("cores", text["cores"]) if text["cores"] else None,
            gpus=_number("gpus", text["gpus"] or "0"),
            options=(text["options"] or "").replace("\\n", "\n"),
            init=text["init"] or "",
            address=text["address"],
            ports=(_number("ports", first), _number("ports", last or first)),
        )

    @property
    def seconds(self) -> int:
        """Of the walltime."""
        days, _, clock = self.walltime.rpartition("-")
        parts = [_number("walltime", part) for part in clock.split(":")]
        return 86400 * _number("walltime", days or "0") + sum(
            x * 60**k for k, x in enumerate(reversed(parts))
        )

    def of_workers(self, workers: int | None) -> dict[str, Any]:
        """Options of Parsl's executor."""
        most = self.gpus or workers
        return {
            "address": self.address,
            "worker_port_range": self.ports,
            "max_workers_per_node": most,
            "cores_per_worker": 1e-3 if most else 1.0,  # the number of workers is given
            "available_accelerators": self.gpus,
            "heartbeat_period": HEARTBEAT,
            "heartbeat_threshold": SILENCE,
            # No task begins in the last minutes of a job, so that few are lost to its end.
            "drain_period": max(60, self.seconds - 300),
        }


def _number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"SITE_{name.upper()}: {text!r} is not a whole number") from None
