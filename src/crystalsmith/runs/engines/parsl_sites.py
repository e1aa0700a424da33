"""Parsl as an executor: sites that the package ships, and those of the user's files.

A site is a Python file with a function ``site(workers, folder)`` that returns a ``parsl.Config``, or with the
``config`` itself. What it leaves open is filled in here so that nothing is asked of the internet, nothing is
written outside of the run's folder, and lost workers are noticed.
"""

from __future__ import annotations

import logging
import os
import runpy
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from crystalsmith.errors import ConfigError, EngineError
from crystalsmith.runs.engines.remote import Backend
from crystalsmith.runs.extras import need
from crystalsmith.runs.worker import failed_by

SHIPPED = Path(__file__).with_name("sites")

_POOL = "process_worker_pool.py "
_ANSWER_SECONDS = 60.0  # that an interchange may take for an answer
_STAFF_SECONDS = 15.0  # between two questions who is there


def check_site(text: str) -> None:
    """Refuse a site that cannot be, without starting anything.

    Raises:
        ConfigError: parsl is not installed, or the file is missing, fails, or gives no configuration.
    """
    need(f"engine {text}", "parsl")
    config_of(text, None, Path())


def most_slots(text: str, workers: int | None) -> int:
    """Tasks that a site works on at once when all its nodes are there.

    Raises:
        ConfigError: as for ``check_site``.
    """
    return sum(map(_slots, config_of(text, workers, Path()).executors))


def config_of(text: str, workers: int | None, folder: Path) -> Any:
    """The configuration of a site, a new one at each call, for an executor runs once.

    Args:
        text: name of a site that is shipped, or ``parsl:FILE``.
        workers: processes of each node; what the site says if None.
        folder: for all that Parsl writes.

    Raises:
        ConfigError: the file is missing, fails, or gives no configuration.
    """
    from parsl.config import Config

    kind, _, rest = text.partition(":")
    file = Path(rest) if kind == "parsl" else SHIPPED / f"{text.replace('-', '_')}.py"
    if not file.is_file():
        raise ConfigError(
            f"engine {text}: there is no file {rest}; give parsl:SITE.py"
            if rest
            else "engine parsl: needs the file of a site; give parsl:SITE.py"
        )
    with _own_addresses():
        try:
            found = runpy.run_path(str(file))
            make = found.get("site")
            config = make(workers, folder) if callable(make) else found.get("config")
        except (Exception, SystemExit) as error:
            raise ConfigError(f"engine {text}: {file} fails: {failed_by(error).reason}") from error
    if not isinstance(config, Config):
        raise ConfigError(f"engine {text}: {file} must define site(workers, folder) or config")
    _fill_in(config, folder)
    return config


def start_site(text: str, workers: int | None, folder: Path) -> Backend:
    """Start a site.

    Raises:
        ConfigError: as for ``check_site``.
        EngineError: Parsl does not start.
    """
    from parsl.dataflow.dflow import DataFlowKernel

    config = config_of(text, workers, folder)
    for executor in config.executors:
        _check_address(text, executor)
    logging.getLogger("parsl").propagate = False
    try:
        kernel = DataFlowKernel(config)
    except Exception as error:
        raise EngineError(f"engine {text} cannot be started: {failed_by(error).reason}") from error
    _hush()
    for executor in config.executors:
        _impatient(executor)
    return Backend(
        _Parsl(kernel),
        max(1, sum(map(_slots, config.executors))),
        partial(_stop, kernel),
        partial(_trouble, config.executors),
        _Staff(config.executors),
        partial(_waits_for, config.executors),
    )


def _hush() -> None:
    """Parsl's log tells of jobs and not of every task; that it cannot be written is not told for ever."""
    parsl = logging.getLogger("parsl")
    parsl.propagate = False
    parsl.setLevel(logging.INFO)
    for name in ("dataflow", "executors.high_throughput", "process_loggers"):
        logging.getLogger(f"parsl.{name}").setLevel(logging.WARNING)
    for handler in parsl.handlers:
        handler.handleError = lambda record: None  # type: ignore[method-assign]


class _Parsl(Executor):
    """A kernel of Parsl."""

    def __init__(self, kernel: Any) -> None:
        self._kernel, self._apps = kernel, {}  # type: ignore[var-annotated]

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As of every executor."""
        from parsl.app.python import PythonApp

        if fn not in self._apps:
            self._apps[fn] = PythonApp(fn, data_flow_kernel=self._kernel)
        future: Future[Any] = self._apps[fn](*args, **kwargs)
        return future


class _Staff:
    """Whether any worker has come, asked seldom: the answer costs the interchange time."""

    def __init__(self, executors: Any) -> None:
        self._executors, self._asked, self._found = executors, -_STAFF_SECONDS, False

    def __call__(self) -> bool:
        now = time.monotonic()
        if now - self._asked >= _STAFF_SECONDS:
            self._asked, self._found = now, any(map(_has_workers, self._executors))
        return self._found


def _has_workers(executor: Any) -> bool:
    managers = getattr(executor, "connected_managers", None)
    if managers is None:
        return True
    with suppress(Exception):  # the interchange does not answer, which shows elsewhere
        return any(manager["active"] for manager in managers())
    return False


def _check_address(text: str, executor: Any) -> None:
    """Refuse an address at which no worker can reach this machine.

    Raises:
        EngineError: it is not one of this machine's.
    """
    address = getattr(executor, "address", None)
    if not address:
        return
    try:
        family, kind, _, _, place = socket.getaddrinfo(address, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as trial:
            trial.bind(place)
    except OSError as error:
        raise EngineError(
            f"engine {text}: {address}, the address of {executor.label}, is none of this machine's, which"
            f" are {', '.join(sorted(own_addresses()))}"
        ) from error


def _waits_for(executors: Any) -> str:
    """What executors without workers wait for, in a few words."""
    said = []
    for executor in executors:
        with suppress(Exception):  # asks Parsl's innards, to say more and no less
            states = [status.state.name for status in executor.status_facade.values()]
            if "RUNNING" in states:
                places = ", ".join(sorted(executor.all_addresses))
                said.append(f"its jobs run, but none has reached {places} at port {executor.worker_port} yet")
            elif "PENDING" in states:
                said.append("its jobs wait in the queue" + _reasons_of_slurm(executor.provider))
            else:
                said.append("it has no jobs yet")
    return "; ".join(said)


def _reasons_of_slurm(provider: Any) -> str:
    """Why jobs wait, as SLURM says; nothing of other providers."""
    if type(provider).__name__ != "SlurmProvider":
        return ""
    waiting = [job for job, known in provider.resources.items() if not known["status"].terminal]
    status, out, _ = provider.execute_wait(f"squeue --noheader --format=%r --jobs={','.join(waiting)}")
    reasons = ", ".join(sorted(set(out.split()))) if status == 0 else ""
    return f" ({reasons})" if reasons else ""


def _slots(executor: Any) -> int:
    """Workers of an executor of Parsl when it has all its blocks."""
    most = getattr(executor, "max_threads", None)
    if isinstance(most, int):
        return most
    provider, workers = getattr(executor, "provider", None), getattr(executor, "workers_per_node", 1)
    blocks = getattr(provider, "max_blocks", 1) * getattr(provider, "nodes_per_block", 1)
    return max(1, int(workers * blocks))


def _trouble(executors: Any) -> str:
    """Why nothing will come of executors."""
    for executor in executors:
        if getattr(executor, "bad_state_is_set", False):
            return _last_words(executor.executor_exception)
        interchange = getattr(executor, "interchange_proc", None)
        if interchange is not None and interchange.poll() is not None:
            return f"the interchange of {executor.label} has ended with status {interchange.returncode}"
        if not getattr(getattr(executor, "command_client", None), "ok", True):
            return f"the interchange of {executor.label} does not answer"
    return ""


def _last_words(error: BaseException) -> str:
    """Why jobs failed: what the last of them wrote to its standard error says more than Parsl does of it."""
    _, found, written = str(error).rpartition("STDERR:")
    lines = [line.strip() for line in written.splitlines() if line.strip()]
    return f"its jobs end: {lines[-1][:180]}" if found and lines else failed_by(error).reason


def _impatient(executor: Any) -> None:
    """Parsl waits for ever for answers of an interchange that has gone, and so do all that it runs then."""
    client = getattr(executor, "command_client", None)
    if client is not None:
        ask = client.run
        client.run = lambda message, max_retries=3, timeout_s=None: ask(
            message, max_retries, timeout_s or _ANSWER_SECONDS
        )


def _stop(kernel: Any, at_work: bool) -> None:
    """End a kernel; Parsl ends its nodes' jobs first, and waits for nothing that is at work."""
    import zmq

    for executor in kernel.executors.values():
        if sockets := getattr(executor, "outgoing_q", None):
            sockets.zmq_socket.setsockopt(zmq.LINGER, 0)  # tasks that nobody will take hold up its end
        if _trouble([executor]):
            if client := getattr(executor, "command_client", None):
                client.ok = False  # not asked any more
            with suppress(Exception):
                executor.provider.cancel(list(executor.blocks_to_job_id.values()))
            if not executor.bad_state_is_set:
                executor.set_bad_state_and_fail_all(EngineError("its interchange has ended"))
    kernel.cleanup()


@contextmanager
def _own_addresses() -> Iterator[None]:
    """Parsl looks up addresses of this machine, without a question to a server on the internet."""
    from parsl.executors.high_throughput import executor

    before = executor.get_all_addresses
    executor.get_all_addresses = own_addresses
    try:
        yield
    finally:
        executor.get_all_addresses = before


def own_addresses() -> set[str]:
    """IPv4 addresses of this machine's interfaces, under which workers may reach it."""
    import psutil

    found = {
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family.name == "AF_INET"
    }
    return found or {"127.0.0.1"}


def _fill_in(config: Any, folder: Path) -> None:
    """What a run asks of every site."""
    config.run_dir = str(folder / "parsl")
    config.usage_tracking, config.retries, config.exit_mode = 0, 0, "cleanup"
    for executor in config.executors:
        if getattr(executor, "interchange_launch_cmd", None) == ["interchange.py"]:
            module = f"{__package__}.interchange"
            executor.interchange_launch_cmd = [sys.executable, "-m", module, str(os.getpid())]
        command = getattr(executor, "launch_cmd", None) or ""
        given = getattr(executor.provider, "worker_init", "") or ""  # SLURM's ends with a newline of Parsl's
        if command.startswith(_POOL):
            executor.launch_cmd = worker_command(bool(given.strip())) + command[len(_POOL) :]


def worker_command(prepared: bool = False) -> str:
    """Starts Parsl's manager of a node, which needs nothing on its PATH.

    Args:
        prepared: the site makes another Python ready there, which is used; else that of this process is.
    """
    return f"{'python3' if prepared else sys.executable} -m {__package__}.manager "
