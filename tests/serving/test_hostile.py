"""What a hostile client may try over HTTP: it gets an answer of one line, and the server goes on."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from served import SALT, Server

SECRET = "the-secret-of-this-machine"


@pytest.fixture(scope="module")
def target(server: Server) -> Server:
    """A server with a file beside its runs, and a run whose files were tampered with."""
    (server.runs.parent / "secret.txt").write_text(SECRET)
    run = server.runs / "tampered"
    (run / "cif").mkdir(parents=True)
    manifest = {"kind": "generation", "status": "finished", "run": {"orders": []}, "timings": {"seconds": 1}}
    (run / "manifest.json").write_text(json.dumps(manifest))
    (run / "crystals.csv").write_text(
        "rank,formula,cif\n1,<script>alert(1)</script>,../../secret.txt\n2,Na,cif/link.cif\n3,Na,cif/none.cif\n"
    )
    (run / "cif" / "link.cif").symlink_to(server.runs.parent / "secret.txt")
    (run / "report.html").write_text("<script>parent.document.title = 'mine'</script>")
    (run / "run.log").symlink_to(server.runs.parent / "secret.txt")
    return server


def tampered(target: Server) -> str:
    return str(next(r["id"] for r in target.ask("/api/v1/runs")[1] if r["name"] == "tampered"))


def alive(server: Server) -> bool:
    return server.ask("/api/v1/jobs")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/runs/..%2f..%2fsecret.txt",
        "/api/v1/runs/../../secret.txt",
        "/api/v1/runs/%2e%2e/files/secret.txt",
        "/api/v1/runs/RUN/files/..%2f..%2fsecret.txt",
        "/api/v1/runs/RUN/files/%2e%2e%2f%2e%2e%2fsecret.txt",
        "/api/v1/runs/RUN/files/..%5c..%5csecret.txt",
        "/api/v1/runs/RUN/files/%00",
        "/api/v1/runs/RUN/files/run.log",
        "/api/v1/runs/RUN/files//etc/passwd",
        "/api/v1/runs/RUN/crystals/1",
        "/api/v1/runs/RUN/crystals/2",
        "/api/v1/runs/RUN/crystals/3",
        "/api/v1/runs/RUN/crystals/-1",
        "/api/v1/runs/RUN/crystals/99999999999999999999",
        "/api/v1/runs/RUN/download?format=zip&crystal=1",
        "/api/v1/runs/RUN/download?format=../../x",
        "/api/v1/jobs/..%2f..%2fsecret.txt",
        "/api/v1/nothing",
        "/_nicegui/3.18.0/resources/x/..%2f..%2fsecret.txt",
        "/assets/../../secret.txt",
    ],
)
def test_no_path_reaches_another_file(target: Server, path: str):
    status, answer = target.ask(path.replace("RUN", tampered(target)))
    assert status in (400, 404, 422), answer
    assert (
        SECRET not in str(answer)
        and "root:" not in str(answer)
        and str(target.runs.parent) not in str(answer)
    )


def test_text_of_runs_is_data_and_a_report_runs_in_an_origin_of_its_own(target: Server):
    url = f"{target.url}/api/v1/runs/{tampered(target)}"
    with urllib.request.urlopen(f"{url}/crystals") as answer:
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert json.load(answer)[0]["formula"] == "<script>alert(1)</script>"
    with urllib.request.urlopen(f"{url}/files/report.html") as answer:
        policy = answer.headers["content-security-policy"]
    assert "sandbox allow-scripts" in policy and "allow-same-origin" not in policy


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'"x"',
        b"\xff\xfe",
        b"[" * 5000,
        b'{"a":' * 5000,
        json.dumps({"orders": {"formula": "NaCl"}, "seed": None, "x" * 5000: 1}).encode(),
        json.dumps({"orders": {"formula": "H" + "9" * 400}}).encode(),
        json.dumps({"orders": {"formula": "(" * 400 + ")" * 400}}).encode(),
        json.dumps({"orders": {"system": "-".join(["H"] * 200)}}).encode(),
        json.dumps({"orders": {"formula": "NaCl", "count": 10**18}}).encode(),
        json.dumps({"orders": {"formula": "NaCl", "count": -1}}).encode(),
        json.dumps({"orders": {"formula": "NaCl", "max_atoms": 10**9}}).encode(),
        json.dumps({"orders": [{"formula": "NaCl"}] * 5000}).encode(),
        json.dumps({"orders": {"formula": "NaCl", "id": "../../evil"}}).encode(),
        json.dumps({"orders": {"formula": "<img src=x onerror=alert(1)>"}}).encode(),
        b'{"orders": {"formula": "NaCl", "density": NaN}}',
        b'{"orders": {"formula": "NaCl", "density": 1e999}}',
    ],
)
def test_absurd_orders_are_refused_in_a_line(target: Server, body: bytes):
    headers = {"Content-Type": "application/json"}
    status, answer = target.send("/api/v1/jobs/generate", body, headers=headers)
    assert status in (400, 413, 422), answer
    assert isinstance(answer["error"], str) and "\n" not in answer["error"] and len(answer["error"]) < 1000
    assert target.ask("/api/v1/jobs")[1] == [] or alive(target)


def test_other_sites_and_foreign_names_get_nothing(target: Server):
    order = {"orders": SALT}
    assert target.ask("/api/v1/jobs/generate", order, Origin="http://evil.example")[0] == 403
    assert target.ask("/api/v1/jobs/generate", order, Sec_Fetch_Site="cross-site")[0] == 403
    assert target.ask("/api/v1/jobs", Host="evil.example")[0] == 421
    assert target.ask("/_nicegui_ws/socket.io/?EIO=4&transport=polling", Host="evil.example")[0] == 421
    assert "access-control-allow-origin" not in str(urllib.request.urlopen(target.url).headers).lower()


def test_a_body_beyond_the_limit_is_refused(target: Server):
    assert target.send("/api/v1/help", b" " * (2 << 20))[0] == 413
    port = int(target.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(b"POST /api/v1/help HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(200):
            client.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        client.sendall(b"0\r\n\r\n")
        assert b"413" in client.recv(100)


def test_a_thousand_requests_at_a_time_are_answered_or_turned_away(target: Server):
    seen: list[int] = []

    def ask() -> None:
        try:
            seen.append(target.ask("/api/v1/jobs")[0])
        except (urllib.error.URLError, OSError):
            seen.append(0)

    threads = [threading.Thread(target=ask) for _ in range(1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen.count(200) >= 300 and set(seen) <= {200, 503, 0}
    assert alive(target)


def test_pages_in_masses_are_served_or_turned_away(target: Server):
    assert {target.ask("/")[0] for _ in range(260)} <= {200, 503}
    for _ in range(100):
        if target.ask("/")[0] == 200:
            break
        time.sleep(0.2)
    assert target.ask("/api/v1/jobs")[0] == 200


def test_slow_clients_do_not_keep_others_out(target: Server):
    port = int(target.url.rpartition(":")[2])
    slow = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(150)]
    for client in slow:
        client.sendall(b"GET / HTTP/1.1\r\nHost: local")
    began = time.monotonic()
    assert alive(target) and time.monotonic() - began < 10
    for client in slow:  # they are hung up on, each in its time
        assert client.recv(1000) == b""
        client.close()
    assert alive(target)


def test_garbage_is_no_request(target: Server):
    port = int(target.url.rpartition(":")[2])
    for data in (
        b"\0" * 1000,
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100_000,
        b"\x16\x03\x01" * 50,
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            try:
                client.sendall(data)
                client.recv(1000)
            except OSError:
                pass
    assert alive(target)


def test_the_queue_is_bounded(tmp_path: Path):
    server = Server(tmp_path / "runs", "--queued", "2", "--most", "10")
    try:
        given = {"orders": {**SALT, "count": 10}, "steps": 1000}
        found = [server.ask("/api/v1/jobs/generate", given)[0] for _ in range(6)]
        assert found.count(202) in (2, 3) and set(found) == {202, 429}
        assert server.ask("/api/v1/jobs/generate", {"orders": {**SALT, "count": 11}})[0] == 413
        for job in server.ask("/api/v1/jobs")[1]:
            server.ask(f"/api/v1/jobs/{job['id']}/cancel", {})
    finally:
        server.stop()


def test_elsewhere_than_on_this_machine_a_token_is_needed(tmp_path: Path):
    server = Server(tmp_path / "runs", "--host", "0.0.0.0")
    try:
        token = server.address.partition("?token=")[2]
        assert len(token) >= 32
        for path in ("/", "/api/v1/jobs", "/api/openapi.json", "/_nicegui/3.18.0/static/nicegui.js"):
            assert server.ask(path)[0] == 401
        assert server.ask("/api/v1/jobs", Authorization="Bearer wrong")[0] == 401
        assert server.ask("/api/v1/jobs", Authorization=f"Bearer {token}")[0] == 200
        assert server.ask("/", Cookie=f"crystalsmith_token={token}")[0] == 200
        files = [p for p in (tmp_path / "runs").rglob("*") if p.is_file()]
        assert not [p for p in files if token in p.read_text(errors="replace")]
    finally:
        server.stop()
