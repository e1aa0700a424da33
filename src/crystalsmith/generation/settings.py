"""How crystals are made: what people set for ``generate``."""

from __future__ import annotations

from dataclasses import dataclass

from crystalsmith.orders.settings import BATCH_ATOMS, LETTERS, MAX_TRIES
from crystalsmith.runs.engines import ENGINE_HELP, Engine
from crystalsmith.runs.settings import FORMATS, check_settings, option, positive


@dataclass(frozen=True)
class GenerateSettings:
    """How crystals are made, compared and shown; the orders say which."""

    seed: int = option(0, "seed of the run", metavar="N")
    sampler: str | None = option(
        None, "see crystalsmith info for names and the default", check=str, metavar="NAME"
    )
    steps: int | None = option(None, "sampler steps", check=positive, metavar="N")
    batch_atoms: int = option(BATCH_ATOMS, "atoms in a batch", check=positive, metavar="ATOMS", flag="batch")
    max_tries: int = option(
        MAX_TRIES, "tries for a crystal before it is given up", check=positive, metavar="N", flag="tries"
    )
    letters: str = option(
        LETTERS[0],
        "how what an order leaves open is filled in: the likeliest by the learned prior, random draws from"
        " it, or by how often each position is occupied, which is right less often and more inventive",
        choices=LETTERS,
    )
    precision: str = option(
        "single",
        "of the network's numbers: with double, which takes nearly twice the time, rounding that depends on"
        " the batch changes crystals far less",
        choices=("single", "double"),
    )
    best_of: int = option(
        1, "drafts of each crystal, of which the best one is kept", check=positive, metavar="K"
    )
    judges: str | None = option(
        None,
        "who decides: validity, denoising, agreement, and with a potential energy and relaxation (default:"
        " all that apply but relaxation, which is dear)",
        check=str,
        metavar="NAME,NAME",
    )
    potential: str | None = option(
        None,
        "judge by energies too: chgnet, 7net-0, 7net-l3i5, mace:PATH or module:factory",
        check=str,
        metavar="NAME",
    )
    sort: str = option(
        "score", "what comes first: the best score or the lowest energy", choices=("score", "energy")
    )
    known: tuple[str, ...] = option(
        (),
        "files of crystals that count as known beside the training set's and the reference phases, and whose"
        " coordinates crystals are made from",
        check=str,
        many=True,
        metavar="FILE",
    )
    prototypes: str | None = option(
        None,
        "known arrangements of atoms that crystals are made from beside the network's: a file of data"
        " prototypes in place of the model's own, aflow for those of the AFLOW library as well, or none",
        check=str,
        metavar="FILE|aflow|none",
    )
    new_only: bool = option(
        False, "make no crystal that is known already: other recipes take the places of known phases"
    )
    picture: bool = option(False, "draw the crystals on one sheet, crystals.png")
    format: str = option(
        "cif",
        "of the crystals: a CIF each and crystals.extxyz, or shards of many in crystals.parquet",
        choices=FORMATS,
    )
    workers: int = option(
        1, "processes that make crystals; they are the same with any number", check=positive, metavar="N"
    )
    engine: str | Engine = option("local", ENGINE_HELP, metavar="ENGINE")

    def __post_init__(self) -> None:
        check_settings(self)
