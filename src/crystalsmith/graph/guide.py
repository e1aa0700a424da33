"""A known arrangement beside a batch: where the orbits of similar crystals sit, for the network to go by."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Guide:
    """One guide for each crystal of a batch of B crystals with S orbits, in the batch's own description.

    Attributes:
        w: (S, 3) torus coordinates, of any point of each orbit.
        strain: (B, 6) log-strain around the guide's own reference cell.
        present: (B,) 1 where there is a guide, 0 where what the others say is of no meaning.
        weight: (B,) similarity of the guide's elements to the crystal's, in (0, 1].
    """

    w: Tensor
    strain: Tensor
    present: Tensor
    weight: Tensor
