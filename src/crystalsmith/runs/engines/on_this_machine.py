"""Parsl's provider of this machine, whose workers end for certain when they are told to."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from parsl.providers import LocalProvider


class OnThisMachine(LocalProvider):
    """One block of this machine. Parsl's own needs ``ps`` to end it, which small containers lack."""

    def __init__(self, **options: Any) -> None:
        super().__init__(init_blocks=1, min_blocks=0, max_blocks=1, **options)

    def cancel(self, job_ids: Sequence[Any]) -> list[bool]:
        """End jobs with all their processes: each has a group of its own."""
        for job in job_ids:
            self.resources[job]["cancelled"] = True
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(os.getpgid(self.resources[job]["remote_pid"]), signal.SIGTERM)
        return [True for _ in job_ids]
