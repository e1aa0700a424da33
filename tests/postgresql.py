"""A PostgreSQL server of the tests' own: a new cluster in a folder that is removed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PASSWORD = "not-to-be-shown"


def programs() -> Path | None:
    """The folder with initdb and pg_ctl, which Debian keeps out of the path."""
    found = shutil.which("pg_ctl")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((f for f in folders if (f / "pg_ctl").exists() and (f / "initdb").exists()), None)


def lacking() -> str:
    """Why there can be no server here; empty where there can."""
    if programs() is None:
        return "no PostgreSQL server is installed"
    if os.name == "posix" and os.geteuid() == 0 and _user() is None:
        return "PostgreSQL does not run as root, and there is no other user"
    return ""


def _user() -> str | None:
    """Who runs the server where we are root, whom it refuses."""
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


class Server:
    """A cluster that can be started and stopped.

    Attributes:
        url: of its database, with user and password.
    """

    def __init__(self, folder: Path) -> None:
        self._bin, self._folder = programs(), folder
        self._as = {"user": _user()} if os.geteuid() == 0 else {}
        if self._as:
            shutil.chown(folder, self._as["user"])
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        words = ["-U", "me", "-A", "scram-sha-256", "--pwfile", str(folder / "password"), "-E", "UTF8"]
        self._run("initdb", "-D", str(folder / "data"), "--no-sync", *words)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self._port = s.getsockname()[1]
        self.url = f"postgresql://me:{PASSWORD}@127.0.0.1:{self._port}/postgres"

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [str(self._bin / program), *words],
            cwd=self._folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # pg_ctl's server keeps a pipe open
            stderr=subprocess.DEVNULL,
            timeout=300,
            **self._as,
        )
        assert done.returncode == 0, f"{program} failed with {done.returncode}: {self.log}"

    @property
    def log(self) -> str:
        file = self._folder / "log"
        return file.read_text(errors="replace")[-2000:] if file.exists() else ""

    def start(self) -> None:
        options = f"-F -h 127.0.0.1 -p {self._port} -k {self._folder}"
        words = ["-D", str(self._folder / "data"), "-l", str(self._folder / "log"), "-o", options]
        self._run("pg_ctl", "start", "-w", "-t", "240", *words)

    def another(self, name: str) -> str:
        """URL of a new database that is empty."""
        import psycopg2

        connection = psycopg2.connect(self.url)
        connection.autocommit = True  # no database is made within a transaction
        connection.cursor().execute(f"CREATE DATABASE {name}")
        connection.close()
        return self.url.removesuffix("postgres") + name

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "-w", "-t", "240", "-m", "immediate", "-D", str(self._folder / "data"))


@contextmanager
def running() -> Iterator[Server]:
    """A server for the time being."""
    # Not under pytest's folders, which only their owner may enter.
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        server = Server(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()
