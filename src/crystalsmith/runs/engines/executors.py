"""Executors of the user's own: ``module:factory``."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from crystalsmith.errors import ConfigError, EngineError
from crystalsmith.runs.engines.remote import Backend
from crystalsmith.runs.extras import missing
from crystalsmith.runs.pool import available_cores
from crystalsmith.runs.worker import failed_by


def factory_of(text: str) -> Callable[[], Any]:
    """The function that ``module:factory`` names.

    Raises:
        ConfigError: there is none, or its module cannot be imported.
    """
    module, _, name = text.partition(":")
    if missing([module]):
        raise ConfigError(f"engine {text}: there is no module {module}; install it or mend PYTHONPATH")
    try:
        factory = getattr(importlib.import_module(module), name, None)
    except Exception as error:
        raise ConfigError(f"engine {text} cannot be loaded: {failed_by(error).reason}") from error
    if not callable(factory):
        raise ConfigError(f"engine {text}: there is no function {name} in {module}")
    made: Callable[[], Any] = factory
    return made


def slots_of(executor: Any, workers: int | None) -> int:
    """Tasks that an executor works on at once, as far as it says."""
    for name in ("slots", "max_workers", "_max_workers"):
        found = getattr(executor, name, None)
        if isinstance(found, int) and found > 0:
            return found
    return workers or available_cores()


def start_executor(text: str, factory: Callable[[], Any], workers: int | None, scratch: Path) -> Backend:
    """An executor that the user's function makes.

    Raises:
        EngineError: it makes none.
    """
    executor = factory()
    if not callable(getattr(executor, "submit", None)) or not callable(getattr(executor, "shutdown", None)):
        raise EngineError(
            f"engine {text} gives a {type(executor).__name__}; its factory must return an Executor"
        )

    def stop(at_work: bool) -> None:
        _shut_down(executor, at_work)

    return Backend(executor, slots_of(executor, workers), stop)


def _shut_down(executor: Executor, at_work: bool) -> None:
    try:
        executor.shutdown(wait=not at_work, cancel_futures=True)
    except TypeError:  # an executor of before Python 3.9
        executor.shutdown(wait=not at_work)
