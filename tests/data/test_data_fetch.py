"""Downloads against a server on this machine: resumed, checked, and refused with a reason."""

from __future__ import annotations

import hashlib
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from crystalsmith.data import fetch as module
from crystalsmith.data.fetch import DATA_SETS, RemoteData, RemoteFile, fetch, matches
from crystalsmith.errors import FetchError

CONTENT = {"a.csv": bytes(range(256)) * 4000, "b.csv": b"cif\n" * 100}


class Server(ThreadingHTTPServer):
    """Serves ``CONTENT``; ``faults`` holds what goes wrong with the next requests, one each."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults: list[str] = []
        self.requests: list[tuple[str, str | None]] = []
        self.ranges = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/data/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.requests.append((self.path, wanted))
        fault = self.server.faults.pop(0) if self.server.faults else ""
        body = CONTENT.get(self.path.removeprefix("/data/"))
        if body is None or fault == "404":
            return self.send_error(404)
        if fault == "503":
            return self.send_error(503)
        if fault == "wrong":
            body = bytes(len(body))
        first = 0
        if wanted and self.server.ranges:
            first = int(wanted.removeprefix("bytes=").rstrip("-"))
            if first >= len(body):
                return self.send_error(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - first))
        self.end_headers()
        rest = body[first:]
        self.wfile.write(rest[: len(rest) // 2] if fault == "cut" else rest)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    files = (
        RemoteFile("a.csv", "sha256:" + hashlib.sha256(CONTENT["a.csv"]).hexdigest()),
        RemoteFile("b.csv", "git:" + git_blob(CONTENT["b.csv"])),
    )
    running = Server()
    monkeypatch.setitem(DATA_SETS, "tiny", RemoteData("tiny", running.url, files, "nobody"))
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()


def git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def assert_complete(folder: Path) -> None:
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == CONTENT


def test_fetch_and_leave_alone(server: Server, tmp_path: Path) -> None:
    paths = fetch("tiny", tmp_path / "new")
    assert paths == [tmp_path / "new" / "a.csv", tmp_path / "new" / "b.csv"]
    assert_complete(tmp_path / "new")
    assert len(server.requests) == 2
    told: list[tuple[str, float, float]] = []
    fetch("tiny", tmp_path / "new", progress=lambda *a: told.append(a))
    assert told and all(stage.endswith(", bytes") and done == total for stage, done, total in told)
    assert len(server.requests) == 2


def test_a_cut_connection_is_resumed(server: Server, tmp_path: Path) -> None:
    server.faults = ["cut"]
    fetch("tiny", tmp_path)
    assert_complete(tmp_path)
    half = len(CONTENT["a.csv"]) // 2
    assert server.requests[:2] == [("/data/a.csv", None), ("/data/a.csv", f"bytes={half}-")]


def test_a_later_call_goes_on(server: Server, tmp_path: Path) -> None:
    server.faults = ["cut", "503", "503"]
    with pytest.raises(FetchError, match=r"503.*by hand"):
        fetch("tiny", tmp_path)
    half = len(CONTENT["a.csv"]) // 2
    assert (tmp_path / "a.csv.part").stat().st_size == half
    assert not (tmp_path / "a.csv").exists()
    server.requests.clear()
    fetch("tiny", tmp_path)
    assert server.requests[0] == ("/data/a.csv", f"bytes={half}-")
    assert_complete(tmp_path)


def test_a_server_without_ranges(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "a.csv.part").write_bytes(CONTENT["a.csv"][:1000])
    fetch("tiny", tmp_path)
    assert_complete(tmp_path)


@pytest.mark.parametrize(
    "part", [b"another file's beginning", CONTENT["a.csv"], CONTENT["a.csv"] + b"too long"]
)
def test_any_part_file_ends_well(part: bytes, server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.csv.part").write_bytes(part)
    fetch("tiny", tmp_path)
    assert_complete(tmp_path)


def test_a_damaged_file_is_replaced(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"x")
    fetch("tiny", tmp_path)
    assert_complete(tmp_path)


def test_wrong_content_is_discarded(server: Server, tmp_path: Path) -> None:
    server.faults = ["wrong"]
    with pytest.raises(FetchError, match="another checksum"):
        fetch("tiny", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_missing_file(server: Server, tmp_path: Path) -> None:
    server.faults = ["404"]
    with pytest.raises(FetchError, match=r"404.*download it by hand to .*a\.csv"):
        fetch("tiny", tmp_path)
    assert len(server.requests) == 1, "a missing file is not asked for again"
    assert list(tmp_path.iterdir()) == []


def test_mirror(server: Server, tmp_path: Path) -> None:
    fetch("tiny", tmp_path, base_url=server.url.rstrip("/"))
    assert_complete(tmp_path)


def test_no_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(FetchError, match=r"cannot fetch http://127.*refused.*by hand"):
        fetch("tiny", tmp_path)


def test_bad_arguments(tmp_path: Path, server: Server) -> None:
    with pytest.raises(FetchError, match="known: mp20"):
        fetch("mp21", tmp_path)
    with pytest.raises(FetchError, match="not an http"):
        fetch("tiny", tmp_path, base_url="file:///etc/")
    (tmp_path / "file").write_text("x")
    with pytest.raises(FetchError, match="cannot write"):
        fetch("tiny", tmp_path / "file")


def test_blob_id_is_gits(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(CONTENT["b.csv"])
    git = subprocess.run(
        ["git", "hash-object", str(path)], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert matches(path, f"git:{git}")
    assert not matches(path, "git:" + "0" * 40)


def test_registry_is_well_formed() -> None:
    for data in DATA_SETS.values():
        assert data.url.startswith("https://") and data.url.endswith("/")
        for file in data.files:
            kind, _, value = file.checksum.partition(":")
            assert len(value) == {"git": 40, "sha256": 64}[kind]
            int(value, 16)
