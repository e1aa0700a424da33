"""Make ``evaluation/magpie.json``: elemental properties of the Magpie composition vector, and its scaling.

    python tools/make_magpie_table.py CONSTANTS

CONSTANTS is ``cdvae/common/constants.py`` of the published CDVAE code, whose means and standard deviations
every paper since has standardised the vector with. The properties are read from an installed matminer
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

OUT = Path(__file__).parents[1] / "src/crystalsmith/evaluation/magpie.json"


def main() -> None:
    """Read, check, write."""
    tree = ast.parse(Path(sys.argv[1]).read_text())
    constants = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    # As in the published figures: gaps stay gaps, and count as average after scaling.
    magpie = ElementProperty.from_preset("magpie", impute_nan=False)
    rows = []
    for name in magpie.features:
        values = [magpie.data_source.get_elemental_property(Element.from_Z(z), name) for z in range(1, 119)]
        rows.append([None if math.isnan(x) else round(x, 9) for x in values])
    data = {
        "source": "Ward et al., npj Comput. Mater. 2, 16028 (2016), as in matminer; scaling of CDVAE",
        "properties": dict(zip(magpie.features, rows, strict=True)),
        "mean": constants["CompScalerMeans"],
        "std": constants["CompScalerStds"],
    }
    assert len(data["mean"]) == len(data["std"]) == 6 * len(rows) == 132
    lines = [f' "{k}": {json.dumps(v)}' for k, v in data.items() if k != "properties"]
    table = ",\n".join(f'  "{k}": {json.dumps(v)}' for k, v in data["properties"].items())
    OUT.write_text("{\n" + ",\n".join(lines) + f',\n "properties": {{\n{table}\n }}\n}}\n')


if __name__ == "__main__":
    main()
