"""The known arrangements of a run: the model's own or a file's in their place, and files of crystals."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from crystalsmith.generation.templates import Templates
from crystalsmith.orders.order import Order

if TYPE_CHECKING:
    from crystalsmith.diffusion import AnyModel
    from crystalsmith.prototypes import KnownFile, Library

NONE, AFLOW = "none", "aflow"
"""In place of a file of prototypes: no known arrangement is made use of, those of files neither; and AFLOW's
beside the model's own."""

Place = str | os.PathLike[str]


def library_of(
    model: AnyModel, prototypes: Place | None = None, known: Sequence[Place] = ()
) -> Library | None:
    """The known arrangements that a model's crystals are made from.

    Args:
        model: its own prototypes serve where no others are named.
        prototypes: file of prototypes, ``NONE`` or ``AFLOW``.
        known: files of crystals, whose coordinates serve as they are.

    Returns:
        None where there is nothing to begin with, and for the paper's method, which begins with noise.

    Raises:
        DataError: a file that cannot be read, or is of another version.
    """
    own = getattr(getattr(model, "statistics", None), "prototypes", None)
    nothing = prototypes is None and own is None and not known
    if nothing or prototypes == NONE or model.method == "paper":
        return None
    from crystalsmith.prototypes import Library, PrototypeTable

    table = own if prototypes in (None, AFLOW) else PrototypeTable.open(str(prototypes))
    return Library.of(table, known, aflow=prototypes == AFLOW) or None


def with_known(model: AnyModel, templates: Templates | None) -> AnyModel:
    """A model whose prior knows the crystals of a library's files beside those of its training."""
    from crystalsmith.diffusion import Model

    files = _files(templates)
    if not files or not isinstance(model, Model):
        return model
    from crystalsmith.data.wyckoff import both_occupations, occupations

    found = model.occupations
    for file in files:
        found = both_occupations(found, occupations(file.dataset))
    return replace(model, statistics=replace(model.statistics, occupations=found))


def strangers(library: Library | None, orders: Iterable[Order]) -> list[str]:
    """What is to be said of files of crystals that hold none of any order's elements, one line each."""
    wanted = {frozenset(order.content.elements) for order in orders}
    shown = sorted("-".join(sorted(elements)) for elements in wanted)
    words = shown[0] if len(shown) == 1 else f"the {len(shown)} chemical systems asked for"
    return [
        f"{file.name} holds no crystal of {words}; its crystals of other elements lend their arrangements"
        for file in _files(library)
        if not wanted & file.systems
    ]


def _files(templates: Templates | None) -> list[KnownFile]:
    """The files of crystals among known arrangements."""
    sources = getattr(templates, "sources", ())
    return [source for source in sources if source.kind == "file"]
