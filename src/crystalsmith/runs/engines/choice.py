"""The engine that a user names."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from crystalsmith.errors import ConfigError
from crystalsmith.runs.engines.engine import Engine
from crystalsmith.runs.engines.local import Local
from crystalsmith.runs.settings import did_you_mean

if TYPE_CHECKING:
    from crystalsmith.runs.engines.remote import Remote

LOCAL = "local"
SITES = ("slurm", "pbs", "kubernetes", "htex-local")
"""Parsl sites that the package ships."""

ENGINES = "local, parsl:SITE.py, slurm, pbs, kubernetes, htex-local, or module:factory"

ENGINE_HELP = f"where the work is done: {ENGINES} (default: local)"


def check_engine(text: str | Engine | None) -> None:
    """Refuse an engine that cannot be, without starting anything.

    Raises:
        ConfigError: unknown, not installed, or a site file or module that is not there or fails.
    """
    if not isinstance(text, str) or text == LOCAL:
        return
    kind, colon, rest = text.partition(":")
    if text in SITES or kind == "parsl":
        from crystalsmith.runs.engines.parsl_sites import check_site

        check_site(text)
    elif colon and all(part.isidentifier() for part in kind.split(".")) and rest.isidentifier():
        from crystalsmith.runs.engines.executors import factory_of

        factory_of(text)
    else:
        raise ConfigError(
            f"unknown engine {text!r}; known are {ENGINES}{did_you_mean(text, (LOCAL, *SITES))}"
        )


@contextmanager
def engine_of(
    text: str | Engine | None, workers: int | None, folder: Path | None, *, unset: int | None = None
) -> Iterator[Engine]:
    """The engine of a run, ended with the block.

    Args:
        text: as ``--engine`` takes it; ``local`` if None. An engine is passed on, and not ended.
        workers: processes of this machine, or of each node; as many as there are cores if None.
        folder: of the run, seen by all workers; a temporary one beside where we are if None. Nothing is
            written to it before the first items, nor ever by a local engine.
        unset: a number of workers that nobody asked for, so that an engine other than local chooses.

    Raises:
        ConfigError: as for ``check_engine``.
    """
    if text is None or text == LOCAL:
        yield Local(workers)
        return
    if not isinstance(text, str):
        yield text
        return
    check_engine(text)
    with _folder(folder) as place:
        engine = _remote(text, None if workers == unset else workers, place)
        try:
            yield engine
        except BaseException as error:
            engine.close(error)
            raise
        engine.close()


@contextmanager
def _folder(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix=".crystalsmith-", dir=Path.cwd()) as made:
        yield Path(made)


def _remote(text: str, workers: int | None, folder: Path) -> Remote:
    from crystalsmith.runs.engines.remote import Remote

    if text in SITES or text.startswith("parsl:"):
        from crystalsmith.runs.engines.parsl_sites import most_slots, start_site

        return Remote(text, partial(start_site, text, workers), most_slots(text, workers), folder)
    from crystalsmith.runs.engines.executors import factory_of, start_executor
    from crystalsmith.runs.pool import available_cores

    start = partial(start_executor, text, factory_of(text), workers)
    return Remote(text, start, workers or available_cores(), folder)
