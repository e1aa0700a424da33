"""The guard around the application, on an application that lets everything pass."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi import HTTPException

from crystalsmith.serving import security
from crystalsmith.serving.security import COOKIE, NONCE, Crowd, Guard, Policy

OPEN = Policy(Policy.hosts_of("127.0.0.1"), upload=1 << 20)
LOCKED = Policy(Policy.hosts_of("0.0.0.0", ("lab.example",)), token="correct-horse", upload=1 << 20)
TOKEN = {"authorization": "Bearer correct-horse"}


def run(work: Coroutine[Any, Any, Any]) -> None:
    """To its end, in a thread of its own: a browser that tests share keeps a loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


async def plain(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body and says how long it was."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    length = 0
    try:
        while True:
            message = await receive()
            length += len(message.get("body", b""))
            if not message.get("more_body"):
                break
    except HTTPException as error:
        await send({"type": "http.response.start", "status": error.status_code, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return
    headers = [(b"content-type", scope.get("kind", b"application/json"))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": f"{length} {scope['headers']}".encode()})


def asked(
    policy: Policy,
    headers: dict[str, str] | None = None,
    *,
    method: str = "GET",
    path: str = "/",
    query: str = "",
    kind: str = "http",
    body: list[bytes] | None = None,
    content: bytes = b"application/json",
) -> tuple[Any, dict[str, str], bytes]:
    """Status (or what became of a websocket), headers and body of the answer."""
    pieces = list(body or [b""])
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if not pieces:
            await asyncio.sleep(3600)
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    async def send(message: Any) -> None:
        sent.append(message)

    given = {"host": "127.0.0.1:8421", **(headers or {})}
    scope = {
        "type": kind,
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(k.encode(), v.encode()) for k, v in given.items()],
        "kind": content,
    }
    run(Guard(plain, policy)(scope, receive, send))
    if kind == "websocket":
        return sent[0]["type"], {}, b""
    found = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
    return sent[0]["status"], found, sent[1]["body"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8421", "localhost", "LOCALHOST:9", "[::1]:80", "192.168.1.7:8421", "localhost.:1"]
)
def test_addresses_and_own_names_are_let_through(host):
    assert asked(OPEN, {"host": host})[0] == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8421", "", "a@localhost", "[::1"],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_foreign_names_are_refused_however_they_got_here(host, kind):
    assert asked(OPEN, {"host": host}, kind=kind)[0] in (421, "websocket.close")


def test_two_hosts_are_none():
    scope = {"headers": [(b"host", b"localhost"), (b"host", b"evil.example")]}
    assert security._headers(scope) == {}


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "http://localhost:8421"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_other_sites_cannot_change_anything_nor_open_a_websocket(headers):
    for method in ("POST", "DELETE", "PUT", "OPTIONS"):
        assert asked(OPEN, headers, method=method)[0] == 403
    assert asked(OPEN, headers, kind="websocket")[0] == "websocket.close"


@pytest.mark.parametrize(
    "headers",
    [{}, {"origin": "http://127.0.0.1:8421", "sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}],
)
def test_own_pages_and_programs_can(headers):
    assert asked(OPEN, headers, method="POST")[0] == 200
    assert asked(OPEN, headers, kind="websocket")[0] == "websocket.accept"


def test_without_the_token_there_is_nothing():
    for headers in (
        {},
        {"authorization": "Bearer wrong"},
        {"cookie": f"{COOKIE}=wrong"},
        {"cookie": "é=;;="},
    ):
        for kind in ("http", "websocket"):
            assert asked(LOCKED, headers, kind=kind)[0] in (401, "websocket.close")
    assert asked(LOCKED, {}, method="POST", query="token=correct-horse")[0] == 401


def test_the_token_comes_by_header_or_cookie():
    for headers in (TOKEN, {"cookie": f"a=b; {COOKIE}=correct-horse"}):
        assert asked(LOCKED, headers)[0] == 200
        assert asked(LOCKED, headers, kind="websocket")[0] == "websocket.accept"


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/", "/?a=1"),
        ("/runs/x y", "/runs/x%20y?a=1"),
        ("//evil.example/", "/evil.example/?a=1"),
        ("/\\evil", "/evil?a=1"),
    ],
)
def test_a_link_with_the_token_leaves_a_cookie_and_no_token_in_the_address(path, place):
    status, headers, _ = asked(LOCKED, path=path, query="token=correct-horse&a=1")
    assert (status, headers["location"]) == (303, place)
    assert "HttpOnly" in headers["set-cookie"] and "SameSite=Strict" in headers["set-cookie"]


def test_bodies_are_limited_whatever_their_headers_say():
    half = b"x" * (1 << 19)
    assert asked(OPEN, method="POST", body=[half, b""])[0] == 200
    assert asked(OPEN, {"content-length": str(1 << 30)}, method="POST")[0] == 413
    assert asked(OPEN, {"content-length": "5"}, method="POST", body=[half, half, half, b""])[0] == 413


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(security, "BODY_SECONDS", 0.01)
    assert asked(OPEN, method="POST", body=[b"x"])[0] == 408


def test_what_a_proxy_would_say_is_not_passed_on():
    _, _, body = asked(OPEN, {"x-forwarded-prefix": "/evil", "X-Forwarded-Host": "evil"})
    assert b"evil" not in body


def test_pages_get_a_new_nonce_each_and_data_may_run_nothing():
    policies = [
        asked(OPEN, content=b"text/html; charset=utf-8")[1]["content-security-policy"] for _ in range(2)
    ]
    assert policies[0] != policies[1] and "default-src 'none'" in policies[0]
    assert "unsafe-inline" not in policies[0].partition("style-src")[0]
    headers = asked(OPEN)[1]
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["x-content-type-options"] == "nosniff"


def test_the_nonce_of_the_scope_is_that_of_the_policy():
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope[NONCE])
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]}
        )

    async def send(message: Any) -> None:
        seen.append(dict(message["headers"])[b"content-security-policy"].decode())

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")]}
    run(Guard(app, OPEN)(scope, None, send))
    assert f"'nonce-{seen[0]}'" in seen[1]


def test_pages_that_nobody_opens_are_bounded():
    ages = [0.0] * security.MOST_WAITING
    served = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        served.append(scope["path"])

    def forget(age: float) -> None:
        ages[:] = [one for one in ages if one < age]

    def ask(path: str) -> Any:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": path, "headers": []}
        run(Crowd(app, lambda: len(ages), forget)(scope, None, send))
        return sent[0]["status"] if sent else None

    assert ask("/") == 503 and ask("/api/v1/jobs") is None
    ages[0] = 60.0
    assert ask("/") is None and served == ["/api/v1/jobs", "/"]
