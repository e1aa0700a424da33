"""Batched crystals and their symmetry-reduced multigraph, on any torch device."""

from crystalsmith.graph.batch import CrystalBatch, Layout, make_layout, to_batch, to_crystals
from crystalsmith.graph.multigraph import Multigraph, build_multigraph, scaled_cutoff
from crystalsmith.graph.site_symmetry import MergedEdges, merge_edges
from crystalsmith.graph.tables import TorchTables, torch_tables

__all__ = [
    "CrystalBatch",
    "Layout",
    "MergedEdges",
    "Multigraph",
    "TorchTables",
    "build_multigraph",
    "make_layout",
    "merge_edges",
    "scaled_cutoff",
    "to_batch",
    "to_crystals",
    "torch_tables",
]
