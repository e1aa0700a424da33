"""How a run stands, for another shell or another host, and how it is asked to stop: files of its folder only.

The manifest says what the run is, ``run.log`` how far each stage is, journals what came out. A file named
``stop-asked`` asks whoever works in the folder to end as SIGTERM would; that reaches other hosts too.
"""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from crystalsmith.errors import OutputError
from crystalsmith.runs.atomic import write_whole, writing
from crystalsmith.runs.command import MASKED
from crystalsmith.runs.journal import parse_line
from crystalsmith.runs.lock import LOCK
from crystalsmith.runs.log import LOG
from crystalsmith.runs.manifest import read_manifest
from crystalsmith.runs.standings import build_of, candidates_in, is_held

ASKED = "stop-asked"

LOOKS = 1.0
"""Seconds between two looks for a file that asks a run to stop."""

SPAN = 5.0
"""Seconds of work below which no rate is told."""

_COUNTED = {("relaxation", "relaxing"): "journal.jsonl"}
"""Journals with a row for each piece of a stage, by kind of run: newer than the log, which is told seldom."""

_TIME = r"([0-9-]{10} [0-9:]{8}),([0-9]{3}) INFO crystalsmith"
_STAGE = re.compile(_TIME + r"\.progress: (.+): ([\d,]+) of ([\d,]+)\n")
_BEGIN = re.compile(_TIME + r"\.\w+: (?:begun|gone on with): ")


@dataclass(frozen=True)
class Stage:
    """A stage of a run.

    Attributes:
        name: as progress shows it.
        done, total: pieces.
        rate: pieces a second by the process that last told of it; None where that cannot be said.
    """

    name: str
    done: int
    total: int
    rate: float | None

    @property
    def seconds_left(self) -> float | None:
        """Time that the rest of the stage takes at this rate."""
        return (self.total - self.done) / self.rate if self.rate else None


@dataclass(frozen=True)
class Standing:
    """How a run stands.

    Attributes:
        folder: the run's.
        kind: of the run.
        status: ``running``, ``interrupted``, ``killed`` (nobody is at work, and it did not come to say so),
            or ``finished``; ``stopping`` where it was asked to stop.
        stages: those that have begun, in order.
        rows: lines of each journal.
        failures: reasons with their numbers, the most frequent first.
        seconds: time that processes have spent on it, as far as the manifest says.
        command: words of the command line; None where a script began the run.
        systems: of a run over many chemical systems, how many are finished, failed and waiting.
        running: names of the systems that have begun and are not over.
    """

    folder: Path
    kind: str
    status: str
    stages: tuple[Stage, ...]
    rows: Mapping[str, int]
    failures: Mapping[str, int]
    seconds: float
    command: Mapping[str, Any] | None
    systems: Mapping[str, int] = field(default_factory=dict)
    running: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Of plain JSON types."""
        stages = [{**vars(s), "seconds_left": s.seconds_left} for s in self.stages]
        return {**vars(self), "folder": str(self.folder), "stages": stages}

    def __str__(self) -> str:
        lines = [f"{self.folder}: {self.kind}, {self.status}"]
        for stage in self.stages:
            rate = f", {stage.rate * 3600:,.0f} an hour" if stage.rate else ""
            left = stage.seconds_left
            left_words = f", {_span(left)} left" if left and self.status == "running" else ""
            lines.append(f"  {stage.name}: {stage.done:,} of {stage.total:,}{rate}{left_words}")
        if self.systems:
            names = f" ({', '.join(self.running)})" if self.running else ""
            at_work = self.status in ("running", "stopping")
            states = {**self.systems, "running" if at_work else "begun": len(self.running)}
            counts = ", ".join(f"{n:,} {state}" for state, n in states.items() if n)
            lines.append(f"  systems: {counts}{names}")
        lines += [
            f"  {name}: {rows:,}" + ("" if ": " in name else " rows") for name, rows in self.rows.items()
        ]
        lines += [f"  failed, {count:,} times: {reason}" for reason, count in self.failures.items()]
        return "\n".join(lines)


def standing(folder: str | Path) -> Standing:
    """How the run in a folder stands, or a file that data build or hull build makes; nothing is written.

    Raises:
        OutputError: there is no such folder, or no run in it.
    """
    path = Path(folder)
    manifest = read_manifest(path)
    if manifest is None and (build := build_of(path)) is not None:
        return Standing(path, build.kind, build.status, (), build.rows, build.failures, 0.0, None)
    if manifest is None:
        raise OutputError(
            f"{path} holds no run of crystalsmith" if path.exists() else f"there is no folder {path}"
        )
    status = str(manifest["status"])
    if at_work(path):
        status = "stopping" if (path / ASKED).exists() else "running"
    elif status == "running":
        status = "killed"
    rows, failures = _journals(path)
    candidates, tries = candidates_in(path)
    rows, failures = rows | candidates, failures + tries
    return Standing(
        folder=path,
        kind=str(manifest["kind"]),
        status=status,
        stages=tuple(_by_journal(stage, str(manifest["kind"]), rows) for stage in _stages(path / LOG)),
        rows=rows,
        failures=dict(failures.most_common()),
        seconds=float(manifest.get("timings", {}).get("seconds", 0.0)),
        command=manifest.get("command"),
        **_systems(path),
    )


def at_work(path: Path) -> bool:
    """Whether a process holds a folder."""
    return is_held(path / LOCK)


def ask_to_stop(folder: str | Path, seconds: float = 0.0) -> bool:
    """Ask the process at work in a run folder to stop, on whatever host it is.

    Args:
        folder: the run's.
        seconds: time to wait for its end.

    Returns:
        Whether it has ended.

    Raises:
        OutputError: no run, or nobody at work there, or the folder cannot be written.
    """
    path = Path(folder)
    found = standing(path)
    if found.status not in ("running", "stopping"):
        raise OutputError(f"nobody is at work in {path}: the run is {found.status}")
    if not path.is_dir():
        raise OutputError(
            f"{path} is a file, where nobody looks for such a request; end its process by Ctrl-C"
        )
    with writing(path):
        write_whole(path / ASKED, "")
    until = time.monotonic() + seconds
    while at_work(path):
        if time.monotonic() >= until:
            return False
        time.sleep(0.2)
    (path / ASKED).unlink(missing_ok=True)  # it ended by itself, just before it was asked
    return True


class Watch:
    """Looks for the file that asks this process to stop, and passes that on as SIGTERM (or Ctrl-C).

    Only a run in the main thread is watched: signals go there. Where nothing in Python handles SIGTERM, as in
    a notebook, it comes as Ctrl-C does.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._over = path / ASKED, threading.Event()
        self.path.unlink(missing_ok=True)  # was meant for an earlier process
        self._thread: threading.Thread | None = None
        if threading.current_thread() is threading.main_thread():
            self._thread = threading.Thread(target=self._look, args=(threading.get_ident(),), daemon=True)
            self._thread.start()

    def _look(self, main: int) -> None:
        while not self._over.wait(LOOKS):
            if self.path.exists():
                handled = callable(signal.getsignal(signal.SIGTERM))
                number = signal.SIGTERM if handled else signal.SIGINT
                if hasattr(signal, "pthread_kill"):
                    signal.pthread_kill(main, number)  # also out of a system call that waits
                else:  # Windows
                    import _thread

                    _thread.interrupt_main(number)
                return

    def close(self) -> None:
        """Look no more; the question has been answered."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def _stages(log: Path) -> tuple[Stage, ...]:
    """What the log tells of stages; rates are those of the last process that told."""
    ends: dict[str, tuple[float, int, int]] = {}
    starts: dict[str, tuple[float, int]] = {}
    with suppress(OSError), log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if _BEGIN.match(line):
                starts.clear()
            elif found := _STAGE.match(line):
                at = time.mktime(time.strptime(found[1], "%Y-%m-%d %H:%M:%S")) + int(found[2]) / 1000
                done, total = (int(found[k].replace(",", "")) for k in (4, 5))
                if found[3] in ends and done < ends[found[3]][1]:
                    starts.pop(found[3], None)  # begun anew
                starts.setdefault(found[3], (at, done))
                ends[found[3]] = at, done, total
    stages = []
    for name, (at, done, total) in ends.items():
        began, first = starts.get(name, (at, done))
        long_enough = at - began >= SPAN
        stages.append(Stage(name, done, total, (done - first) / (at - began) if long_enough else None))
    return tuple(stages)


def _by_journal(stage: Stage, kind: str, rows: Mapping[str, int]) -> Stage:
    """A stage with as many pieces done as its journal has, where it has more."""
    counted = rows.get(_COUNTED.get((kind, stage.name), ""), 0)
    return replace(stage, done=max(stage.done, min(counted, stage.total)))


def _systems(path: Path) -> dict[str, Any]:
    """Of a run over many systems: states with their numbers, and which are at work."""
    try:
        names = (path / "systems.txt").read_text(encoding="utf-8").split()
        began = {entry.name for entry in (path / "systems").iterdir()}
    except OSError:
        return {}
    over: dict[str, str] = {}
    with suppress(OSError), (path / "systems.jsonl").open("rb") as lines:
        for line in lines:
            with suppress(ValueError, KeyError, TypeError, RecursionError):
                row = parse_line(line)
                over[str(row["system"])] = str(row["status"])
    running = tuple(name for name in names if name in began and name not in over)
    states = Counter(over.values())
    return {
        "systems": {
            "finished": states["finished"],
            "failed": states["failed"],
            "waiting": len(names) - len(over) - len(running),
        },
        "running": running,
    }


def _journals(path: Path) -> tuple[dict[str, int], Counter[str]]:
    """Rows of journals, and why things failed in them."""
    rows: dict[str, int] = {}
    failures: Counter[str] = Counter()
    for file in sorted(path.glob("*.jsonl")):
        rows[file.name] = 0
        with suppress(OSError), file.open("rb") as lines:
            for line in lines:
                with suppress(ValueError, AttributeError, RecursionError):
                    row = parse_line(line)  # what is just being written is no line yet
                    rows[file.name] += 1
                    if row.get("failure"):
                        failures[" ".join(str(row["failure"]).split())[:120]] += 1
    return rows, failures


def _span(seconds: float) -> str:
    """A time as one says it."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def command_again(folder: str | Path) -> tuple[list[str], Path]:
    """The words that go on with a run, and the folder where they are to be given.

    Raises:
        OutputError: no run, somebody at work, begun by a script, or a password stood in the words.
    """
    found = standing(folder)
    if found.status in ("running", "stopping"):
        raise OutputError(f"another process is at work in folder {folder}; see campaign status")
    words: Any = (found.command or {}).get("words")
    place: Any = (found.command or {}).get("folder")
    if not isinstance(words, list) or not words or not isinstance(place, str):
        raise OutputError(f"{folder} does not say by which command it was begun; give that command again")
    if any(MASKED in word for word in words):
        raise OutputError(
            f"the command of {folder} held a password, which is not kept; give it again: {json.dumps(words)}"
        )
    if not Path(place).is_dir():
        raise OutputError(f"{place}, where the command of {folder} was given, is no folder here")
    return _into(Path(folder).resolve(), [str(word) for word in words]), Path(place)


def _into(folder: Path, words: list[str]) -> list[str]:
    """The words with this folder as the output, in place of where the run was when it was begun."""
    for k, word in enumerate(words):
        name, equals, _ = word.partition("=")
        if word == "-o" or (len(name) > 3 and "--output".startswith(name) and not equals):
            return [*words[: k + 1], str(folder), *words[k + 2 :]]
        if equals and len(name) > 3 and "--output".startswith(name):
            return [*words[:k], f"{name}={folder}", *words[k + 1 :]]
        if word.startswith("-o") and not word.startswith("--"):
            return [*words[:k], f"-o{folder}", *words[k + 1 :]]
    return [*words, "-o", str(folder)]
