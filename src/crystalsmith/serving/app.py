"""The application: API, pages and guard around them, and the server that runs it."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from crystalsmith import __version__
from crystalsmith.errors import ConfigError
from crystalsmith.serving import api
from crystalsmith.serving.jobs import STATE
from crystalsmith.serving.security import NONCE, Crowd, Guard, Policy
from crystalsmith.serving.service import Service
from crystalsmith.serving.settings import LOOPBACK, ModelChoice, ServeSettings

HEADER_SECONDS = 10.0
"""In which a request must have begun and its headers have come."""

MOST_CONNECTIONS = 400
"""At a time; more are turned away at once."""

RECONNECT = 30.0
"""Seconds for which a page is kept whose browser is gone: a phone that sleeps, a machine that is busy."""

_KEEP_ALIVE = 10  # seconds


def make_app(service: Service, *, pages: bool = True) -> FastAPI:
    """The application.

    Args:
        service: what it shows and does.
        pages: with the pages, of which a process can have one set only; else the API alone.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(service.warm)
        yield
        await asyncio.to_thread(service.close)

    app = FastAPI(
        title="crystalsmith",
        version=__version__,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=lifespan,
    )
    settings = service.settings
    policy = Policy(
        Policy.hosts_of(settings.host, settings.allow_host), settings.token, settings.upload << 20
    )
    api.register(app, service)
    if pages:
        _add_pages(app, service)
    app.add_middleware(Guard, policy=policy)  # the last one is the outermost
    return app


def _add_pages(app: FastAPI, service: Service) -> None:
    # Where NiceGUI would keep what pages store; read when it is imported.
    os.environ["NICEGUI_STORAGE_PATH"] = str(service.settings.runs.absolute() / STATE / "pages")
    from nicegui import app as nicegui
    from nicegui import client, ui

    from crystalsmith.serving import pages

    def waiting() -> int:
        return sum(not one.has_socket_connection for one in client.Client.instances.values())

    def forget(age: float) -> None:
        client.Client.prune_instances(client_age_threshold=age)

    app.add_middleware(Crowd, waiting=waiting, forget=forget)
    _with_nonces(client.templates.env)
    # No bar of Quasar's at the top whenever a page asks for something: no screen reader can name it.
    nicegui.config.quasar_config["loadingBar"]["skipHijack"] = True
    pages.register(service)
    ui.run_with(
        app,
        title="crystalsmith",
        dark=None,
        language="en-US",
        tailwind=False,
        reconnect_timeout=RECONNECT,
        show_welcome_message=False,
    )


def _with_nonces(environment: Any) -> None:
    """Let the scripts of NiceGUI's own template bear the nonce of the answer; no other text is touched."""
    load = environment.loader.get_source

    def get_source(env: Any, name: str) -> tuple[str, Any, Any]:
        text, file, fresh = load(env, name)
        text = re.sub(r"<script\b", f"<script nonce=\"{{{{ request.scope['{NONCE}'] }}}}\"", text)
        return text, file, fresh

    environment.loader.get_source = get_source


class _Impatient(H11Protocol):
    """Closes a connection on which no request comes: slow clients must not hold all places."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.loop.call_later(HEADER_SECONDS, self._close_idle)

    def _close_idle(self) -> None:
        if vars(self)["scope"] is None and not self.transport.is_closing():
            self.transport.close()


class _Server(uvicorn.Server):
    """Says where it is once it can be reached."""

    def __init__(self, config: uvicorn.Config, address: str) -> None:
        super().__init__(config)
        self._address = address

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(f"crystalsmith: {self._address}", flush=True)


def serve(settings: ServeSettings, model: ModelChoice | None = None) -> str:
    """Serve until a signal comes.

    Returns:
        Where it was.

    Raises:
        ConfigError: the address cannot be listened at.
        OutputError: the folder of the runs cannot be used.
    """
    settings = with_token(settings)
    service = Service(settings, model)
    try:
        config = uvicorn.Config(
            make_app(service),
            host=settings.host,
            port=settings.port,
            http=_Impatient,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=3,
            ws_max_size=1 << 22,
        )
        try:
            socket = config.bind_socket()
        except SystemExit:
            raise ConfigError(
                f"port {settings.port} of {settings.host} cannot be used; choose another one with --port"
            ) from None
        where = address(settings, socket.getsockname()[1])
        _Server(config, where).run(sockets=[socket])
        return where
    finally:
        service.close()


def with_token(settings: ServeSettings) -> ServeSettings:
    """The settings, with a token made up where one is needed and none was given."""
    from dataclasses import replace

    if settings.host in LOOPBACK or settings.token is not None:
        return settings
    return replace(settings, token=secrets.token_urlsafe(24))


def address(settings: ServeSettings, port: int) -> str:
    """What to open, the token with it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(settings.host, settings.host)
    return f"http://{host}:{port}/" + (f"?token={settings.token}" if settings.token else "")


logging.getLogger("nicegui").setLevel(logging.ERROR)
