"""How the server runs; light, so that the command line can read it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crystalsmith.errors import ConfigError
from crystalsmith.runs.settings import BadValue, check_settings, option, positive, whole

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def port(text: str) -> int:
    """A port; 0 for any that is free."""
    value = whole(text)
    if not 0 <= value < 1 << 16:
        raise BadValue(f"{text!r} is not a port from 0 to 65535")
    return value


@dataclass(frozen=True)
class ServeSettings:
    """Where the page is served, to whom, and how much work it takes on."""

    host: str = option("127.0.0.1", "address to listen at; any other than this needs a token", metavar="HOST")
    port: int = option(8421, "port; 0 for any that is free", check=port, metavar="N")
    runs: Path = option(
        Path("runs"),
        "folder of run folders: those in it are shown, new ones are made there",
        check=Path,
        metavar="DIR",
    )
    token: str | None = option(
        None,
        "secret that every request must bring (default: none at 127.0.0.1, elsewhere one is made up)",
        check=str,
        metavar="TEXT",
    )
    allow_host: tuple[str, ...] = option(
        (), "further names under which the page is reached, such as one of a proxy", check=str, many=True
    )
    running: int = option(1, "jobs that run at a time", check=positive, metavar="N")
    queued: int = option(20, "jobs that may wait; more are refused", check=positive, metavar="N")
    most: int = option(2000, "most crystals in one job", check=positive, metavar="N")
    upload: int = option(16, "largest file that may be uploaded, MB", check=positive, metavar="MB")

    def __post_init__(self) -> None:
        check_settings(self)
        if self.token is not None and not (8 <= len(self.token) <= 200 and self.token.isascii()):
            raise ConfigError("token: give 8 to 200 plain characters, or leave it out to get one")


@dataclass(frozen=True)
class ModelChoice:
    """Which model the jobs use, and where; as the options of ``generate``."""

    method: str | None = None
    checkpoint: str | None = None
    device: str = "cpu"
    threads: int = 1
