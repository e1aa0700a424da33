"""Batched crystals and their symmetry-reduced multigraph, on any torch device."""

from crystalsmith.graph.batch import CrystalBatch, Layout, make_layout, to_batch, to_crystals
from crystalsmith.graph.coincidence import Coincidence, find_coincidence
from crystalsmith.graph.general import GeneralBatch, operations, to_general
from crystalsmith.graph.guide import Guide
from crystalsmith.graph.image_graph import ImageGraph, build_image_graph
from crystalsmith.graph.multigraph import Multigraph, build_multigraph, scaled_cutoff
from crystalsmith.graph.site_symmetry import MergedEdges, merge_edges
from crystalsmith.graph.tables import TorchTables, torch_tables
from crystalsmith.graph.torus import mean_displacement

__all__ = [
    "Coincidence",
    "CrystalBatch",
    "GeneralBatch",
    "Guide",
    "ImageGraph",
    "Layout",
    "MergedEdges",
    "Multigraph",
    "TorchTables",
    "build_image_graph",
    "build_multigraph",
    "find_coincidence",
    "make_layout",
    "mean_displacement",
    "merge_edges",
    "operations",
    "scaled_cutoff",
    "to_batch",
    "to_crystals",
    "to_general",
    "torch_tables",
]
