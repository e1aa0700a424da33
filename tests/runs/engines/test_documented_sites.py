"""The sites that the documentation gives to copy."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from crystalsmith.errors import ConfigError
from crystalsmith.runs.engines.choice import check_engine

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "clusters.md"
SITES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("number", range(4))
def test_sites_can_be_loaded(number: int, tmp_path: Path) -> None:
    pytest.importorskip("parsl")
    if "Kubernetes" in SITES[number] and importlib.util.find_spec("kubernetes") is None:
        pytest.skip("needs the package kubernetes")
    site = tmp_path / "site.py"
    site.write_text(SITES[number], encoding="utf-8")
    check_engine(f"parsl:{site}")


def test_a_slip_in_a_site_is_found(tmp_path: Path) -> None:
    pytest.importorskip("parsl")
    site = tmp_path / "site.py"
    site.write_text(SITES[0].replace("walltime=", "waltime="), encoding="utf-8")
    with pytest.raises(ConfigError, match="waltime"):
        check_engine(f"parsl:{site}")
