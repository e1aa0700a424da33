"""Reading back a page that a report wrote."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "link", "hr", "input", "path", "use", "rect", "image"}


class Page(HTMLParser):
    """Text, links and ids of a page; complains of tags that do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.raw = text
        self.words: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.ids: list[str] = []
        self.scripts: list[dict[str, str | None]] = []
        self.tags: list[str] = []
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "script":
            self.scripts.append(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
        for key, value in attrs:
            if key in ("href", "xlink:href"):
                self.links.append(value)
            elif key in ("src", "srcset", "data"):
                self.sources.append(value)
            elif key == "id":
                self.ids.append(value)
            assert not key.startswith("on")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if {"style", "script"} & set(self.open):
            return
        self.words.append(data)
        if self.rows and self.rows[-1] and self.open and {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def check_offline(self) -> None:
        """Nothing from elsewhere; ids once, and links within the page lead somewhere."""
        assert not {"link", "iframe", "object", "embed", "form"} & set(self.tags)
        # The viewer of crystals: one script, which the page's policy knows by its hash; the others are data.
        run = [s for s in self.scripts if s.get("type") not in ("application/json", "application/gzip")]
        assert len(run) <= 1 and all("src" not in s for s in self.scripts)
        assert ("script-src 'sha256-" in self.raw) == bool(run)
        assert all(source.startswith("data:image/png;base64,") for source in self.sources)
        assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org)", self.raw)
        assert len(self.ids) == len(set(self.ids))
        for link in self.links:
            assert not link.startswith("#") or link[1:] in self.ids, link
        for used in re.findall(r"url\(#([^)]+)\)", self.raw):
            assert used in self.ids

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())
