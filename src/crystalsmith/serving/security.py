"""Who may speak to the server, and how much: hosts, origins, the token, sizes, headers.

An ASGI layer around everything, pages and websockets included:

* ``Host`` must be a name of this server or an address, so that no foreign name can be pointed at it (DNS
  rebinding).
* What changes something, and every websocket, must come from a page of this server (``Origin``,
  ``Sec-Fetch-Site``), so that no other site can use a visitor's browser.
* With a token, every request brings it: ``Authorization: Bearer``, or the cookie that a link with
  ``?token=`` sets.
* Bodies are limited in size and time.
* Answers carry a content security policy: scripts come from the server itself, or bear the nonce of this
  answer; nothing is loaded from elsewhere. NiceGUI's client evaluates code that the server sends through
  its websocket, which needs 'unsafe-eval'; its elements have inline styles.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import re
import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from fastapi import HTTPException

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "crystalsmith_token"
NONCE = "csp_nonce"
"""Key of the scope; NiceGUI's template puts it on its own scripts."""

BODY_SECONDS = 60.0
"""In which a body must have come."""

LINGER_SECONDS = 5.0
"""For which the rest of a refused body is read and thrown away."""

SMALL = 1 << 20
"""Bytes of a body that is no upload."""

MOST_WAITING, WAITING_SECONDS = 200, 5.0
"""Pages that wait for a browser to open their websocket, and how long they do where there are so many."""

_NO_PAGES = ("/api/", "/_nicegui", "/assets/")

PAGE_POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; media-src 'self' blob:;"
    " worker-src 'self' blob:; frame-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none';"
    " frame-ancestors 'none'"
)
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
REPORT_POLICY = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline' data: blob:;"
    " style-src 'unsafe-inline'; img-src data: blob:; font-src data:; frame-ancestors 'self'"
)
"""Of a report of a run: it opens in an origin of its own, from which it reaches nothing here."""

_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


@dataclass(frozen=True)
class Policy:
    """What is let through.

    Attributes:
        hosts: names under which the server is reached, beside addresses, in lower case.
        token: that every request must bring; None for none.
        upload: most bytes of an upload.
    """

    hosts: frozenset[str]
    token: str | None = None
    upload: int = 16 << 20

    @staticmethod
    def hosts_of(bound: str, more: tuple[str, ...] = ()) -> frozenset[str]:
        """Names of a server that listens at an address."""
        own = {"localhost", bound.lower(), *(name.lower() for name in more)}
        return frozenset(own if bound in ("127.0.0.1", "::1", "localhost") else own | {_hostname()})


def _hostname() -> str:
    return socket.gethostname().lower()


class Guard:
    """The layer.

    Args:
        app: what is guarded.
        policy: what is let through.
    """

    def __init__(self, app: App, policy: Policy) -> None:
        self.app, self._policy = app, policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = _headers(scope)
        if (refusal := self._refusal(scope, headers)) is not None:
            await _refuse(scope, send, *refusal)
            return
        if scope["type"] == "http" and self._brings_token(scope):
            await self._keep_token(scope, send)
            return
        # What a proxy would say is not believed: it goes into pages and links.
        scope["headers"] = [(k, v) for k, v in scope["headers"] if not k.lower().startswith(b"x-forwarded-")]
        nonce = scope[NONCE] = secrets.token_urlsafe(18)
        if scope["type"] == "websocket":
            await self.app(scope, receive, send)
            return
        most = self._policy.upload if "/upload" in scope["path"] else SMALL
        if _length(headers) > most:
            await _refuse(scope, _lingering(receive, send), 413, f"at most {most >> 10:,} kB")
            return
        await self.app(scope, _limited(receive, most), _with_headers(_lingering(receive, send), nonce))

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self._is_own(host):
            return 421, "this server is not reached under that name; start it with --allow-host NAME"
        changes = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD")
        origin = headers.get("origin")
        if changes and origin is not None and origin.partition("://")[2].lower() != host.lower():
            return 403, "only pages of this server may ask for this"
        site = headers.get("sec-fetch-site", "same-origin")
        if changes and site not in ("same-origin", "none"):
            return 403, "only pages of this server may ask for this"
        if self._policy.token is not None and not self._is_known(scope, headers):
            return 401, "the token is missing or wrong; open the address that the server printed"
        return None

    def _is_own(self, host: str) -> bool:
        name = _name_of(host)
        if name in self._policy.hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _is_known(self, scope: Scope, headers: dict[str, str]) -> bool:
        given = [headers.get("authorization", "").removeprefix("Bearer ").strip(), _cookie(headers)]
        if scope["type"] == "http" and scope["method"] == "GET":
            given += [value for key, value in _query(scope) if key == "token"]
        token = (self._policy.token or "").encode()
        return any([hmac.compare_digest(one.encode("utf-8", "replace"), token) for one in given])

    def _brings_token(self, scope: Scope) -> bool:
        keys = [key for key, _ in _query(scope)]
        return self._policy.token is not None and scope["method"] == "GET" and "token" in keys

    async def _keep_token(self, scope: Scope, send: Send) -> None:
        """Into a cookie, and out of the address."""
        rest = urlencode([(k, v) for k, v in _query(scope) if k != "token"])
        # One slash: two would name another server.
        path = "/" + scope["path"].lstrip("/\\").replace("\\", "")
        place = quote(path, safe="/-_.~") + (f"?{rest}" if rest else "")
        cookie = f"{COOKIE}={self._policy.token}; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000"
        headers = [
            (b"location", place.encode()),
            (b"set-cookie", cookie.encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": 303, "headers": [*headers, *_HEADERS.items()]})
        await send({"type": "http.response.body", "body": b""})


class Crowd:
    """Turns pages away where too many were asked for that no browser then opened: each holds memory.

    Args:
        app: whose pages they are.
        waiting: how many there are.
        forget: lets go of those that are older than so many seconds.
    """

    def __init__(self, app: App, waiting: Callable[[], int], forget: Callable[[float], None]) -> None:
        self.app, self._waiting, self._forget = app, waiting, forget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or turn it away."""
        if scope["type"] == "http" and not scope["path"].startswith(_NO_PAGES):
            if self._waiting() >= MOST_WAITING:
                self._forget(WAITING_SECONDS)
            if self._waiting() >= MOST_WAITING:
                await _refuse(scope, send, 503, "too many pages are being opened; try again in a moment")
                return
        await self.app(scope, receive, send)


def _headers(scope: Scope) -> dict[str, str]:
    """The first of each; a second ``Host`` is refused by the HTTP parser or counts as none."""
    found: dict[str, str] = {}
    for key, value in scope["headers"]:
        name = key.decode("latin-1").lower()
        if name == "host" and name in found:
            return {}
        found.setdefault(name, value.decode("latin-1"))
    return found


_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\s:@/\[\]]+?))\.?(?::\d{1,5})?", re.ASCII)


def _name_of(host: str) -> str:
    """A host without its port, in lower case; empty for what is none."""
    found = _HOST.fullmatch(host.lower())
    return "" if found is None else found[1] or found[2]


def _query(scope: Scope) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True, max_num_fields=50
        )
    except ValueError:
        return []


def _cookie(headers: dict[str, str]) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _length(headers: dict[str, str]) -> int:
    text = headers.get("content-length", "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


async def _refuse(scope: Scope, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4403, "reason": why})
        return
    body = json.dumps({"error": why}).encode() + b"\n"
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"content-security-policy", DATA_POLICY.encode()),
        (b"connection", b"close"),
        *_HEADERS.items(),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _limited(receive: Receive, most: int) -> Receive:
    """A body in pieces, of so many bytes at most, in so much time."""
    got = 0
    ended = False
    until = asyncio.get_running_loop().time() + BODY_SECONDS

    async def limited() -> Message:
        nonlocal got, ended
        if ended:
            return await receive()
        left = until - asyncio.get_running_loop().time()
        try:
            message = await asyncio.wait_for(receive(), max(left, 0.0))
        except TimeoutError:
            ended = True
            raise HTTPException(408, "the body did not come in time") from None
        got += len(message.get("body", b""))
        ended = message["type"] != "http.request" or not message.get("more_body", False)
        if got > most:
            ended = True
            raise HTTPException(413, f"at most {most >> 10:,} kB")
        return message

    return limited


def _lingering(receive: Receive, send: Send) -> Send:
    """Who is refused in the middle of a body is read a while longer, else the answer never gets there.

    A connection that is closed with bytes unread is reset, and what was sent may be lost on the way.
    """
    refused = False

    async def sending(message: Message) -> None:
        nonlocal refused
        if message["type"] == "http.response.start":
            refused = message["status"] == 413
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if not (refused and last):
            await send(message)
            return
        await send({**message, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while (rest := await receive())["type"] == "http.request" and rest.get("more_body", False):
                    pass
        await send({"type": "http.response.body", "body": b""})

    return sending


def _with_headers(send: Send, nonce: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", []))
            present = {key.lower() for key, _ in headers}
            kind = next((value for key, value in headers if key.lower() == b"content-type"), b"")
            if b"content-security-policy" not in present:
                policy = PAGE_POLICY.format(nonce=nonce) if kind.startswith(b"text/html") else DATA_POLICY
                headers.append((b"content-security-policy", policy.encode()))
            headers += [(key, value) for key, value in _HEADERS.items() if key not in present]
            message["headers"] = headers
        await send(message)

    return sending
