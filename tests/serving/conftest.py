"""What tests of the server share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("nicegui")

from served import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for tests that leave it as it is."""
    server = Server(tmp_path_factory.mktemp("served") / "runs")
    yield server
    server.stop()
