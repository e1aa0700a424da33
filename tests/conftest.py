"""Fixtures and settings that all tests share."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from typing import Any

# A shell starts what it puts in the background deaf to Ctrl-C, and so is what that starts in turn.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Before numpy and torch start their threads: tests run in parallel processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

from crystals import KNOWN
from crystalsmith.crystal import Crystal

# The same examples on every run, and no time limit for one on a busy machine.
settings.register_profile(
    "crystalsmith",
    deadline=None,
    derandomize=True,
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("crystalsmith")


@pytest.fixture(scope="session")
def known() -> dict[str, Crystal]:
    """Published crystals by name."""
    return KNOWN


CHROMIUM = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")  # WebGL by software


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A real browser without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no chromium on this machine")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=path, args=list(CHROMIUM))
        yield running
        running.close()
