"""Make ``crystal/properties.json`` (of elements) and ``evaluation/measures/magpie.json``, their scaling.

    python tools/make_element_table.py CONSTANTS

CONSTANTS is ``cdvae/common/constants.py`` of the published CDVAE code, whose means and standard deviations
every paper since has standardised the Magpie vector with. The properties are read from an installed matminer
(``pip install matminer``), which carries the tables of Ward et al., npj Comput. Mater. 2, 16028 (2016).
"""

from __future__ import annotations

import ast
import json
import math
import sys
from pathlib import Path

from matminer.featurizers.composition import ElementProperty
from pymatgen.core import Element

SOURCE = Path(__file__).parents[1] / "src/crystalsmith"


def main() -> None:
    """Read, check, write."""
    tree = ast.parse(Path(sys.argv[1]).read_text())
    constants = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    # Gaps stay gaps, as in the published figures.
    magpie = ElementProperty.from_preset("magpie", impute_nan=False)
    rows = {}
    for name in magpie.features:
        values = [magpie.data_source.get_elemental_property(Element.from_Z(z), name) for z in range(1, 119)]
        rows[name] = [None if math.isnan(x) else round(x, 9) for x in values]
    scaling = {"mean": constants["CompScalerMeans"], "std": constants["CompScalerStds"]}
    assert len(scaling["mean"]) == len(scaling["std"]) == 6 * len(rows) == 132
    write(SOURCE / "crystal/properties.json", rows)
    write(SOURCE / "evaluation/measures/magpie.json", scaling)


def write(path: Path, data: dict[str, list[float | None]]) -> None:
    """One list a line."""
    path.write_text("{\n" + ",\n".join(f' "{k}": {json.dumps(v)}' for k, v in data.items()) + "\n}\n")


if __name__ == "__main__":
    main()
