"""The judges of the ladder, cheapest first, and which of them a run asks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from crystalsmith.errors import ConfigError

if TYPE_CHECKING:
    from crystalsmith.diffusion import AnyModel

JUDGES = ("validity", "denoising", "agreement", "energy", "relaxation")
"""Names of the judges. Validity is what every try must pass in any run, so naming it changes nothing."""

NEED_POTENTIAL = ("energy", "relaxation")


def resolve_judges(
    model: AnyModel,
    judges: str | Iterable[str] | None = None,
    potential: str | None = None,
    best_of: int = 1,
    sorts: bool = False,
) -> tuple[str, ...]:
    """The judges of a run, in the order of ``JUDGES``; none where nothing is to be judged.

    The paper's method has no denoising judge: its crystals are judged by their agreement and energies.

    Args:
        model: of any method.
        judges: names, or a text with commas between them. By default all that the model and the potential
            allow; none for single drafts without a potential that nobody sorts.
        potential: as ``relaxation.load_calculator`` takes it.
        best_of: drafts of each crystal.
        sorts: whether the crystals of an order are sorted.

    Raises:
        ConfigError: an unknown judge, one without its potential or its model, or a potential without a judge
            for it.
        RelaxationError: an unknown potential, or one that is not installed.
    """
    from crystalsmith.diffusion import Model
    from crystalsmith.potentials import check_potential

    if potential is not None:
        check_potential(potential)
    can_denoise = isinstance(model, Model)
    alone = best_of == 1 and not sorts
    if judges is None:
        if best_of == 1 and potential is None and not (sorts and can_denoise):
            return ()
        left_out = {
            "denoising": not can_denoise,
            "agreement": alone,
            "energy": potential is None,
            "relaxation": potential is None or alone,
        }
        return tuple(name for name in JUDGES if not left_out.get(name, False))
    names = [n.strip() for n in judges.split(",")] if isinstance(judges, str) else list(judges)
    for name in names:
        if name not in JUDGES:
            raise ConfigError(f"unknown judge {name!r}; known are {', '.join(JUDGES)}")
        if name in NEED_POTENTIAL and potential is None:
            raise ConfigError(f"judge {name} needs a potential; add --potential chgnet or leave it out")
        if name == "denoising" and not can_denoise:
            raise ConfigError(f"the {model.method} method has no denoising judge; leave denoising out")
        if name == "agreement" and alone:
            raise ConfigError("judge agreement compares drafts; add --best-of 8 or leave it out")
    if potential is not None and not set(names) & set(NEED_POTENTIAL):
        raise ConfigError(
            f"no judge asks potential {potential}; add energy to --judges or leave --potential out"
        )
    return tuple(name for name in JUDGES if name in {*names, "validity"})
