"""Small pieces of pages: elements of plain HTML, buttons, facts and tables."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from markupsafe import Markup, escape
from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

R = TypeVar("R")

PATIENCE = 60.0
"""Seconds in which a browser that has got a page must have connected to it."""

_THREADS = ThreadPoolExecutor(24, thread_name_prefix="pages")


async def answer(function: Callable[..., R], *words: Any) -> R:
    """What a function of the service gives, which may take a while; the pages go on meanwhile.

    Raises:
        CrystalsmithError: what the function raises.
    """
    return await asyncio.get_running_loop().run_in_executor(_THREADS, lambda: function(*words))


def element(tag: str, classes: str = "", **props: Any) -> ui.element:
    """An element of HTML; ``props`` are its attributes."""
    made = ui.element(tag)
    if classes:
        made.classes(classes)
    made.props.update({name: value for name, value in props.items() if value is not None})
    return made


def text(tag: str, words: str, classes: str = "", **props: Any) -> TextElement:
    """An element that holds text, which is never taken for HTML."""
    made = TextElement(tag=tag, text=words)
    if classes:
        made.classes(classes)
    made.props.update(props)
    return made


def html(markup: str, *, tag: str = "div", classes: str = "") -> ui.html:
    """HTML that this package has made, with all foreign text in it escaped.

    Args:
        markup: such as ``Markup`` of ``reports.words``; plain text is escaped.
        tag: of the element around it.
        classes: of that element.
    """
    made = ui.html(str(markup), sanitize=True, tag=tag)
    return made.classes(classes) if classes else made


def button(
    words: str,
    on_click: Callable[[], Awaitable[object] | object] | None = None,
    classes: str = "",
    **props: Any,
) -> TextElement:
    """A button; ``classes`` may be ``main`` for the one that the page is about, or ``plain``."""
    made = text("button", words, f"cs {classes}", type="button", **props)
    return made if on_click is None else made.on("click", lambda _: on_click(), [])


def link(words: str, address: str, classes: str = "cs", **props: Any) -> TextElement:
    """A link, which looks like a button unless its classes say otherwise."""
    return text("a", words, classes, href=address, **props)


def facts(pairs: Iterable[tuple[str, object]]) -> ui.html:
    """Names and values; values may be ``Markup``."""
    rows = (Markup("<dt>{}</dt><dd>{}</dd>").format(name, value) for name, value in pairs)
    return html(Markup().join(rows), tag="dl", classes="facts")


def table(
    head: Sequence[object],
    rows: Iterable[Sequence[object]],
    *,
    texts: int = 1,
    caption: str = "",
    wrap: bool = False,
) -> ui.html:
    """A table; cells may be ``Markup``.

    Args:
        head: of its columns.
        rows: cells of each row.
        texts: columns from the left that hold text, the others hold numbers.
        caption: what a screen reader says of it.
        wrap: whether long texts may take several lines.
    """

    def cells(values: Sequence[object], tag: str) -> Markup:
        made = []
        for place, value in enumerate(values):
            scope = Markup(' scope="col"') if tag == "th" else ""
            kind = Markup(' class="text"') if place < texts else ""
            made.append(
                Markup("<{tag}{scope}{kind}>{value}</{tag}>").format(
                    tag=Markup(tag), scope=scope, kind=kind, value=value
                )
            )
        return Markup().join(made)

    words = Markup('<caption class="unseen">{}</caption>').format(caption) if caption else Markup()
    body = Markup().join(Markup("<tr>{}</tr>").format(cells(row, "td")) for row in rows)
    whole = Markup('<table class="cs{}">{}<thead><tr>{}</tr></thead><tbody>{}</tbody></table>')
    made = html(whole.format(" wrap" if wrap else "", words, cells(head, "th"), body), classes="scroll")
    made.props.update({"tabindex": "0", "role": "region", "aria-label": caption or "Table"})
    return made


def tag(words: str, classes: str = "") -> Markup:
    """A word in a frame."""
    return Markup('<span class="tag {}">{}</span>').format(classes, escape(words))
