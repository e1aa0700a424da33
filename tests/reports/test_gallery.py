"""``show -o page.html``: crystals of files on one page."""

from __future__ import annotations

import pytest

from crystalsmith.cli.main import main
from pages import Page


def test_a_page_of_crystals_opens_offline_and_escapes_names(tmp_path, known, monkeypatch):
    pytest.importorskip("nicegui", reason="three.js comes with the extra web")
    monkeypatch.chdir(tmp_path)
    for name in ("quartz", "spinel"):
        (tmp_path / f"<i>{name}.cif").write_text(known[name].to_cif(), encoding="utf-8")
    names = sorted(str(p.name) for p in tmp_path.glob("*.cif"))
    assert main(["show", *names, "-o", "page.html"]) == 0
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.tags.count("figure") == 2 and page.tags.count("svg") == 2
    assert "script-src 'sha256-" in text and "<i>quartz" not in text
    assert not page.sources and not any(link.startswith("http") for link in page.links)
