"""Sites that the package ships, copied to be changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("parsl")

from crystalsmith.errors import ConfigError
from crystalsmith.runs.engines import parsl_sites
from crystalsmith.runs.engines.choice import check_engine
from crystalsmith.runs.extras import missing

SITES = sorted(parsl_sites.SHIPPED.glob("*.py"))


@pytest.mark.parametrize("shipped", SITES, ids=lambda path: path.stem)
def test_a_copy_serves_as_well(shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shipped.stem == "kubernetes" and missing(["kubernetes"]):
        pytest.skip("needs the package kubernetes")
    monkeypatch.setenv("SITE_IMAGE", "registry/crystalsmith")
    check_engine(f"parsl:{shutil.copy(shipped, tmp_path)}")


def test_a_slip_in_a_copy_is_told(tmp_path: Path) -> None:
    site = tmp_path / "site.py"
    shipped = (parsl_sites.SHIPPED / "slurm.py").read_text(encoding="utf-8")
    site.write_text(shipped.replace("walltime=", "waltime="), encoding="utf-8")
    with pytest.raises(ConfigError, match="waltime"):
        check_engine(f"parsl:{site}")


def test_pods_need_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SITE_IMAGE", raising=False)
    with pytest.raises(ConfigError, match="set SITE_IMAGE"):
        check_engine("kubernetes")
