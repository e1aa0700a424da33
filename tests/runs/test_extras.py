"""Messages about packages that are missing."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from crystalsmith.errors import ConfigError, PhononError
from crystalsmith.runs import extras
from crystalsmith.runs.extras import EXTRAS, install_command, missing, need, package_of

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.fixture
def wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """As installed from a wheel into an environment of pip."""
    monkeypatch.setattr(extras, "checkout", lambda: None)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    return tmp_path


@pytest.fixture
def checkout(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As installed with ``pip install -e``."""
    folder = wheel / "their clone"
    folder.mkdir()
    monkeypatch.setattr(extras, "checkout", lambda: folder)
    return folder


def test_extras_are_those_of_pyproject():
    listed = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    names = {extra: {re.split(r"[><=]", line)[0] for line in lines} for extra, lines in listed.items()}
    for extra, modules in EXTRAS.items():
        assert names[extra] == {package_of(module) for module in modules}
    everything = set().union(*(names[extra] for extra in EXTRAS))
    assert names["all"] == everything
    # Whatever the tests cannot do without comes with dev; ffmpeg is large, and machines often have one.
    assert everything - names["dev"] <= {"mp-api", "tensorboard", "imageio-ffmpeg"}


def test_all_that_is_missing_is_named_at_once(wheel):
    with pytest.raises(PhononError) as caught:
        need("phonons", "nophonopy", "numpy", "noseekpath", error=PhononError)
    message = "phonons needs nophonopy and noseekpath, not installed here: pip install nophonopy noseekpath"
    assert str(caught.value) == message
    need("all", "numpy", "json")


@pytest.mark.parametrize("module", ["nothing", "nothing.within", "numpy.nothing", "a b", ""])
def test_names_that_are_no_module(module):
    assert missing([module, module, "numpy"]) == [module]
    with pytest.raises(ConfigError):
        need("x", module)


@pytest.mark.parametrize(
    ("modules", "command"),
    [
        (["phonopy"], "pip install phonopy"),
        (["phonopy", "seekpath"], "pip install phonopy seekpath"),
        (["mp_api", "mace"], "pip install mp-api mace-torch"),
    ],
)
def test_of_a_wheel_the_packages_themselves_are_named(wheel, modules, command):
    assert install_command(modules) == command


@pytest.mark.parametrize(
    ("modules", "wanted"),
    [
        (["phonopy"], "[phonons]"),
        (["seekpath", "phonopy"], "[phonons]"),
        (["chgnet"], "[relax]"),
        (["chgnet", "smact"], "[evaluate]"),
        (["chgnet", "phonopy"], "[relax,phonons]"),
        (["mp_api"], "[materials-project]"),
    ],
)
def test_of_a_checkout_the_extras_are_named(checkout, modules, wanted, monkeypatch):
    assert install_command(modules) == f"pip install -e '{checkout}{wanted}'"
    monkeypatch.chdir(checkout)
    assert install_command(modules) == f"pip install -e '.{wanted}'"


def test_of_a_checkout_packages_that_are_in_no_extra(checkout):
    assert install_command(["mace", "phonopy"]) == "pip install mace-torch phonopy"


def test_environments_of_uv_and_pipx(wheel):
    (wheel / "pyvenv.cfg").write_text("home = there\nuv = 0.9.1\n")
    assert install_command(["phonopy"]) == "uv pip install phonopy"
    (wheel / "pipx_metadata.json").write_text("{}")
    assert install_command(["phonopy"]) == "pipx inject crystalsmith phonopy"


def test_a_checkout_is_known_by_its_pyproject(tmp_path, monkeypatch):
    monkeypatch.setattr(extras, "_HERE", tmp_path / "src" / "crystalsmith" / "runs" / "extras.py")
    assert extras.checkout() is None
    (tmp_path / "pyproject.toml").write_text("")
    assert extras.checkout() == tmp_path
