"""Make ``crystal/chemistry.json``: oxidation states and ionic radii of the elements, from pymatgen.

python tools/make_chemistry_table.py
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path

from pymatgen.core import Element

TARGET = Path(__file__).parents[1] / "src/crystalsmith/crystal/chemistry.json"


def main() -> None:
    """One entry an element, hydrogen first; null where pymatgen knows nothing."""
    warnings.simplefilter("ignore")
    elements = [Element.from_Z(z) for z in range(1, 119)]
    rows = {
        "common_oxidation_states": [sorted(e.common_oxidation_states) for e in elements],
        "ionic_radius": [round(float(e.average_ionic_radius), 4) or None for e in elements],
        "atomic_radius": [
            None if e.atomic_radius is None else round(float(e.atomic_radius), 4) for e in elements
        ],
    }
    TARGET.write_text("{\n" + ",\n".join(f' "{k}": {json.dumps(v)}' for k, v in rows.items()) + "\n}\n")


if __name__ == "__main__":
    main()
