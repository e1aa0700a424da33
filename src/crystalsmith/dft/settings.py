"""How inputs for DFT are written."""

from __future__ import annotations

from dataclasses import dataclass

from crystalsmith.runs.settings import BadValue, check_settings, option

CODES = ("vasp", "qe")


def codes(text: str) -> tuple[str, ...]:
    """Names of codes, with commas."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names or not set(names) <= set(CODES):
        raise BadValue(f"{text!r} is not vasp, qe or both with a comma")
    return names


def cutoff(text: str) -> float:
    """A cutoff of the wave functions in Ry."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e4:
        raise BadValue(f"{text!r} is not a cutoff in Ry")
    return value


@dataclass(frozen=True)
class DftSettings:
    """Which codes get inputs, and how."""

    code: tuple[str, ...] = option(CODES, "vasp, qe (default: both)", check=codes, metavar="A,B")
    ecutwfc: float = option(90.0, "cutoff of qe", check=cutoff, metavar="RY")
    potcars: str = option(
        "PBE_54", "release of VASP's potentials, for their names", choices=("PBE_54", "PBE"), metavar="NAME"
    )

    def __post_init__(self) -> None:
        check_settings(self)
