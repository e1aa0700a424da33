"""The worked example of the documentation, run."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from analytic import known_model

from crystalsmith.assignments import Request
from crystalsmith.conditions import FixedCell

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "conditions.md"


def example() -> dict[str, Any]:
    text = PAGE.read_text(encoding="utf-8")
    code = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    own = next(block for block in code if "class Slab" in block)
    names: dict[str, Any] = {"Request": Request, "__name__": __name__}
    exec(compile(own, str(PAGE), "exec"), names)
    return names


def test_the_slab_of_the_documentation() -> None:
    names = example()
    request: Request = names["request"]
    (slab,) = request.conditions
    cell = FixedCell((3.2, 3.2, 12.0, 90, 90, 120))
    model = known_model()
    wanted = replace(request, conditions=(slab, cell))
    made = model.sample([wanted] * 40, range(40), steps=14)
    free = model.sample([replace(request, conditions=(cell,))] * 40, range(40), steps=14)
    heights = [[abs(c.sites[1].free[0] % 1 - 0.5) * 12.0 for c in crystals] for crystals in (made, free)]
    assert np.mean(np.array(heights[0]) < slab.half + 0.25) > 0.9
    assert np.mean(np.array(heights[1]) < slab.half + 0.25) < 0.6
    assert all(
        (slab.fault(c) is None) == (h <= slab.half + 0.1) for c, h in zip(made, heights[0], strict=True)
    )
