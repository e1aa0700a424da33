"""The Dockerfile: it takes only what is there and let in, and asks for extras that there are."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from crystalsmith.cli.main import build_parser
from crystalsmith.serving.settings import ServeSettings

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
LINES = re.sub(r"\s*\\\n\s*", " ", TEXT).splitlines()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def taken() -> list[str]:
    """Files and folders of the checkout that go into the image."""
    copied = [line.split()[1:-1] for line in LINES if line.startswith("COPY ") and "--from" not in line]
    bound = re.findall(r"--mount=type=bind,source=([\w./-]+)", TEXT)
    return [*(name for names in copied for name in names), *bound]


def let_in(name: str) -> bool:
    """As docker reads .dockerignore: the last line that fits decides."""
    kept = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#") and fnmatch(name, line.removeprefix("!")):
            kept = line.startswith("!")
    return kept


@pytest.mark.parametrize("name", taken())
def test_what_is_copied_is_there_and_let_in(name: str) -> None:
    assert (ROOT / name).exists() and let_in(name)


@pytest.mark.parametrize("name", [".git", ".venv", "runs", "demo", "tests", "docs", "build"])
def test_nothing_else_is_let_in(name: str) -> None:
    assert not let_in(name) and name not in taken()


def test_the_build_takes_what_the_wheel_is_made_of() -> None:
    assert {"pyproject.toml", "src", PROJECT["readme"], *PROJECT["license-files"]} <= set(taken())


def test_arguments_are_possible() -> None:
    arguments = dict(line.removeprefix("ARG ").split("=") for line in LINES if line.startswith("ARG "))
    assert arguments.keys() == {"PYTHON", "TORCH", "EXTRAS"}
    assert set(arguments["EXTRAS"].split(",")) <= PROJECT["optional-dependencies"].keys()
    oldest = re.search(r"[\d.]+", PROJECT["requires-python"])
    assert oldest and tuple(map(int, arguments["PYTHON"].split("."))) >= tuple(map(int, oldest[0].split(".")))
    assert arguments["TORCH"] == "cpu"
    named = {extra for text in re.findall(r"EXTRAS=([\w,-]+)", TEXT) for extra in text.split(",")}
    assert named <= PROJECT["optional-dependencies"].keys()


def test_the_page_is_served_at_its_usual_port() -> None:
    port = ServeSettings().port
    assert f"EXPOSE {port}" in LINES
    served = re.search(r"-p 127\.0\.0\.1:(\d+):(\d+) .* crystalsmith (serve .*)", TEXT)
    assert served and served[1] == served[2] == str(port)
    args = build_parser().parse_args(served[3].split())
    assert args.host == "0.0.0.0" and args.token


def test_it_runs_as_nobody_special_and_is_proven_at_the_end() -> None:
    users = [n for n, line in enumerate(LINES) if line.startswith("USER ")]
    doctor = LINES.index("RUN crystalsmith doctor")
    assert len(users) == 1 and users[0] < doctor and LINES[users[0]] != "USER root"
    assert 'ENTRYPOINT ["crystalsmith"]' in LINES
