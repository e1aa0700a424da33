"""What the figures of an evaluation depend on, besides the crystals."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from crystalsmith.errors import EvaluationError
from crystalsmith.evaluation.figures import METRICS
from crystalsmith.evaluation.measures.coverage import COMPOSITION_CUTOFF, STRUCTURE_CUTOFF
from crystalsmith.runs.settings import group_range, option, positive, positive_number

VARIANTS = ("cdvae", "paper")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


@dataclass(frozen=True)
class Settings:
    """Which figures, and how.

    Attributes:
        metrics: names out of ``METRICS``; all that apply if None.
        variant: "cdvae": every crystal asked for counts, failures as misses. "paper": coverage and
            CrystalNN distance as the code of Sultanov et al. has them, which leaves out what cannot be read
            and what is not valid in structure.
        structure_cutoff, composition_cutoff: of the coverage.
        space_groups: smallest and largest number of the reference's crystals that are used.
        max_atoms: largest primitive cell of the reference's crystals that are used.
        seed: of the bootstrap.

    Raises:
        EvaluationError: an unknown metric or variant, or a cut-off that is not positive.
    """

    metrics: Collection[str] | None = option(
        None, "only these (default: all that apply)", check=_names, metavar="A,B,..."
    )
    variant: str = option(
        "cdvae",
        "cdvae: every crystal counts; paper: as Sultanov et al., whose code leaves invalid ones out",
        check=str,
        choices=VARIANTS,
    )
    structure_cutoff: float = option(STRUCTURE_CUTOFF, "of COV", check=positive_number, metavar="X")
    composition_cutoff: float = option(COMPOSITION_CUTOFF, "of COV", check=positive_number, metavar="X")
    space_groups: tuple[int, int] = option(
        (1, 230), "keep only these of the reference", check=group_range, metavar="16-230"
    )
    max_atoms: int | None = option(
        None, "keep only such primitive cells of the reference", check=positive, metavar="N"
    )
    seed: int = option(0, "of bootstrap and controls", metavar="N")

    def __post_init__(self) -> None:
        for name in self.metrics or ():
            if name not in METRICS:
                raise EvaluationError(f"unknown metric {name!r}; known are {', '.join(METRICS)}")
        if self.metrics is not None and not self.metrics:
            raise EvaluationError(f"no metric asked for; known are {', '.join(METRICS)}")
        if self.variant not in VARIANTS:
            raise EvaluationError(f"unknown variant {self.variant!r}; known are {', '.join(VARIANTS)}")
        for name in ("structure_cutoff", "composition_cutoff"):
            if not getattr(self, name) > 0:
                raise EvaluationError(f"{name.replace('_', ' ')} must be positive")

    def wants(self, metric: str) -> bool:
        """Whether a metric is to be measured."""
        return self.metrics is None or metric in self.metrics
