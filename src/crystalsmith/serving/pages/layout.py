"""What every page shares: navigation, light and dark, one style, and where its own content goes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from nicegui import app, ui

from crystalsmith import __version__
from crystalsmith.serving.pages.parts import button, element, html, text

SECTIONS = (
    ("make", "Make", "/"),
    ("solve", "Solve", "/solve"),
    ("discover", "Discover", "/discover"),
    ("runs", "Runs", "/runs"),
)
"""Name, words and address of what the navigation shows."""

STYLE = "/assets/style.css"
"""Address of the style sheet."""

THEMES = {"auto": "Light or dark: as the system", "light": "Light", "dark": "Dark"}
"""What can be chosen, in the order in which the button goes through them."""

_HERE = Path(__file__).parent
_YEAR = 365 * 24 * 3600
_LOGO = (
    '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 1.5 21.5 7v10L12 22.5 2.5 17V7z" fill="none"'
    ' stroke="currentColor" stroke-width="1.5"/><path d="M2.5 7 12 12.5 21.5 7M12 12.5v10" fill="none"'
    ' stroke="currentColor" stroke-width="1.5"/><circle cx="12" cy="12.5" r="3.1" fill="var(--accent)"/>'
    "</svg>"
)


def register(service: object = None) -> None:
    """Serve the style sheet."""
    app.add_static_file(local_file=_HERE / "style.css", url_path=STYLE)


@contextmanager
def frame(title: str, *, active: str = "", lead: str = "", heading: bool = True) -> Iterator[None]:
    """The page around its content.

    Args:
        title: of the window, and the page's heading.
        active: the section it belongs to, of ``SECTIONS``.
        lead: a sentence below the heading.
        heading: whether the heading is written here; else the page writes its own ``h1``.
    """
    ui.page_title(f"{title} · crystalsmith")
    ui.add_head_html(f'<link rel="stylesheet" href="{STYLE}?{_style_hash()}">')
    with ui.header(fixed=False, wrap=False).classes("top"), element("div", "bar"):
        with element("a", "name", href="/"):
            html(_LOGO, tag="span")
            text("span", "crystalsmith")
        with element("nav", **{"aria-label": "Main"}):
            for name, words, address in SECTIONS:
                link = text("a", words, href=address)
                if name == active:
                    link.props["aria-current"] = "page"
        _theme_button()
    content = ui.context.client.content
    ui.skip_link(target=content)
    if heading:
        with element("div", "stack tight"):
            text("h1", title)
            if lead:
                text("p", lead, "quiet")
    yield
    with element("footer", "foot"):
        text("span", f"crystalsmith {__version__} · everything stays on this machine")


def _theme_button() -> None:
    """From the system's choice to light, dark and back; in a cookie, so that pages begin with it."""
    request = ui.context.client.request
    chosen = request.cookies.get("theme", "auto")
    chosen = chosen if chosen in THEMES else "auto"
    dark = {"auto": None, "light": False, "dark": True}
    mode = ui.dark_mode(dark[chosen])
    state = {"theme": chosen}

    def turn() -> None:
        names = list(THEMES)
        state["theme"] = names[(names.index(state["theme"]) + 1) % len(names)]
        mode.set_value(dark[state["theme"]])
        own.set_text(_short(state["theme"]))
        own.props["aria-label"] = f"Colours: {THEMES[state['theme']]}"
        ui.run_javascript(
            f"document.cookie = 'theme={state['theme']}; path=/; max-age={_YEAR}; SameSite=Strict'"
        )

    own = button(_short(chosen), turn, "plain theme")
    own.props["aria-label"] = f"Colours: {THEMES[chosen]}"


def _short(theme: str) -> str:
    return {"auto": "◐ Auto", "light": "○ Light", "dark": "● Dark"}[theme]


@lru_cache
def _style_hash() -> str:
    return hashlib.sha256((_HERE / "style.css").read_bytes()).hexdigest()[:12]
