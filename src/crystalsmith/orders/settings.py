"""Settings that orders and runs share; nothing heavy is imported for them."""

from __future__ import annotations

BATCH_ATOMS = 512
"""Atoms in the primitive cells of one batch, about 40 crystals; larger ones are hardly faster."""

MAX_TRIES = 10
"""Tries for one crystal before it is given up."""

LETTERS = ("likely", "drawn", "frequencies")
"""How what an order leaves open is filled in: with what the learned prior finds likeliest, with random draws
from it, or with letters drawn by how often each position is occupied. The first is right most often, the
others are more inventive."""
