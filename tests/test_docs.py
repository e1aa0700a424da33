"""The documentation: commands that exist, links that lead somewhere, layers that are those of the package."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import pytest
import yaml

from crystalsmith.cli.main import build_parser
from test_architecture import LAYERS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def blocks(page: Path, language: str) -> list[str]:
    """Fenced blocks of a language."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """The words of our commands in a page's shell blocks."""
    lines = "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [w[1:] for w in words if w[:1] == ["crystalsmith"]]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_can_be_parsed(page):
    for words in commands(page):
        build_parser().parse_args(words)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    local = [t.partition("#")[0] for t in targets if "://" not in t and not t.startswith("#")]
    assert [t for t in local if not (page.parent / t).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_python_can_be_parsed(page):
    for code in blocks(page, "python"):
        compile(code, page.name, "exec")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_files_of_the_repository_that_are_named_are_there(page):
    named = re.findall(
        r"(?<![\w/.-])((?:tests|benchmarks|tools|docs|\.ci)/[\w./-]*\w)", page.read_text("utf-8")
    )
    made = {"benchmarks/benchmark.safetensors"}  # left out of archives of the source
    assert [name for name in named if name not in made and not (ROOT / name).exists()] == []


def entries(page: Path) -> set[Path]:
    """The pages that the toctrees of a page name."""
    found: set[Path] = set()
    for block in blocks(page, r"\{toctree\}"):
        names = [line for line in block.splitlines() if line and not line.startswith(":")]
        patterns = [f"{name.rpartition('<')[2].rstrip('>')}.md" for name in names]  # or: Title <name>
        found |= {path for pattern in patterns for path in page.parent.glob(pattern)}
    return found


def test_all_pages_are_in_the_navigation():
    pages = set((ROOT / "docs").rglob("*.md"))
    named = set().union(*map(entries, pages))
    assert pages - named == {ROOT / "docs" / "index.md"}


MADE = runpy.run_path(str(ROOT / "docs" / "_extensions" / "from_code.py"))
"""What of the pages is made from the code."""


@pytest.mark.parametrize("part", sorted(MADE["PARTS"]))
def test_what_is_made_from_the_code_has_a_page_and_leaves_nothing_undescribed(part):
    marks = [name for page in PAGES for name in MADE["MARK"].findall(page.read_text(encoding="utf-8"))]
    assert marks.count(part) == 1
    rows = [line for line in MADE["PARTS"][part]().splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]
    described = 1 if part == "orders" else -1
    assert cells and [row[0] for row in cells if not row[described]] == []


def test_the_reference_has_all_commands_and_options():
    shown = MADE["commands"]()
    for parser in MADE["subparsers"](build_parser()):
        assert f"\n## {parser.prog.split()[-1]}\n" in shown
        for inner in MADE["subparsers"](parser) or [parser]:
            options = {option for action in inner._actions for option in action.option_strings}
            assert [option for option in options - {"-h", "--help"} if f"`{option}`" not in shown] == []


def test_the_figures_of_the_method_are_those_that_the_script_draws(tmp_path):
    script = runpy.run_path(str(ROOT / "docs" / "figures.py"))
    drawn = {path.stem for path in (ROOT / "docs" / "images" / "method").glob("*.png")}
    shown = {
        name for page in PAGES for name in re.findall(r"images/method/(\w+)\.png", page.read_text("utf-8"))
    }
    assert drawn == shown == set(script["FIGURES"])
    script["main"].__globals__["FOLDER"] = tmp_path
    assert script["main"](["orbits", "noise", "merging"]) == 0  # those that need no model
    assert {path.stem for path in tmp_path.glob("*.png")} == {"orbits", "noise", "merging"}


def test_the_graph_shows_the_layers():
    graph = next(
        b for b in blocks(ROOT / "docs" / "contribute" / "architecture.md", "") if b.startswith("errors")
    )
    names = re.findall(r"^(?:[ │]*[├└]─ )?(\w+(?:, \w+)*)  ", graph, flags=re.MULTILINE)
    names = [name for group in names for name in group.split(", ")]
    shown = set(names) | set(re.findall(r"─ (\w+)$", graph, flags=re.MULTILINE))
    assert shown - {"errors"} == set(LAYERS)


def test_all_pages_together_stay_short():
    pages = [page for page in PAGES if ROOT / "docs" in page.parents]
    words = {page: len(re.findall(r"[A-Za-z][A-Za-z-]*", page.read_text("utf-8"))) for page in pages}
    longest = sorted(words, key=words.__getitem__)[-3:]
    assert sum(words.values()) <= 25_000, f"shorten pages; the longest are {[p.name for p in longest]}"


def test_the_readme_is_short_and_the_tables_of_its_script_fit_it():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 100
    script = runpy.run_path(str(ROOT / ".ci" / "readme"))
    assert {*script["LEFT_OUT"], *script["REDUCED"]} <= set(script["commands"](text))
    for line in script["REDUCED"].values():
        build_parser().parse_args(shlex.split(line)[1:])


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda p: p.stem)
def test_workflows_can_be_read_and_ask_for_few_rights(path):
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert content["permissions"] == {"contents": "read"}
    for job in content["jobs"].values():
        assert "steps" in job or (path.parent / Path(job["uses"]).name).exists()


def test_the_tests_run_on_all_versions_that_the_package_allows():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))
    versions = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert versions == ["3.11", "3.12", "3.13"]
    assert f'requires-python = ">={versions[0]}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
