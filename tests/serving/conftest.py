"""What tests of the server share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("nicegui")

from served import Server

SLOW = 300_000
"""Milliseconds to wait for a job on a busy machine."""


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page of a browser that has patience for jobs."""
    context = browser.new_context(viewport={"width": 1100, "height": 900})
    page = context.new_page()
    page.set_default_timeout(SLOW)
    yield page
    context.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for tests that leave it as it is."""
    server = Server(tmp_path_factory.mktemp("served") / "runs")
    yield server
    server.stop()
