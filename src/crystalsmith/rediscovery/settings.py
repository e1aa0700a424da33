"""How known crystals are looked for."""

from __future__ import annotations

from dataclasses import dataclass

from crystalsmith.errors import ConfigError
from crystalsmith.runs.engines import ENGINE_HELP, Engine
from crystalsmith.runs.settings import check_settings, option, positive

SETTINGS = {
    "sites": "space group and number of inequivalent sites of each element",
    "wyckoff": "space group and Wyckoff letters",
    "formula": "formula alone",
    "formula+group": "formula and space group",
}
"""What an order can tell of its target; ``sites`` is the setting of Sultanov et al. 2023, section 5.3."""


def names(text: str) -> tuple[str, ...]:
    """Words with commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def potential(text: str) -> str | None:
    """A potential, or ``none``."""
    return None if text == "none" else text


@dataclass(frozen=True)
class RediscoverySettings:
    """How targets are looked for."""

    settings: tuple[str, ...] = option(
        ("sites", "formula"),
        "what is told of the targets (default: sites,formula)",
        check=names,
        metavar="A,B",
    )
    count: int = option(50, "crystals for each target and setting", check=positive, metavar="N", short="n")
    seed: int = option(0, "of the generation", metavar="N")
    best_of: int = option(
        1, "drafts of each crystal, of which the best one is kept", check=positive, metavar="K"
    )
    potential: str | None = option(
        "chgnet",
        "ranks and relaxes: chgnet, 7net-0, 7net-l3i5, mace:PATH, module:factory, or none",
        check=potential,
        metavar="NAME",
    )
    relax: int | None = option(
        None,
        "relax the N best of the target's composition (default: all of them)",
        check=positive,
        metavar="N",
    )
    calls: int = option(60, "calls of the potential for each crystal at most", check=positive, metavar="N")
    max_atoms: int | None = option(
        None,
        "largest primitive cell (default: the largest that the model was trained on)",
        check=positive,
        metavar="N",
    )
    workers: int | None = option(
        None, "processes that relax (default: one for each core)", check=positive, metavar="N"
    )
    engine: str | Engine = option("local", ENGINE_HELP, metavar="ENGINE")

    def __post_init__(self) -> None:
        check_settings(self)
        for name in self.settings:
            if name not in SETTINGS:
                raise ConfigError(f"unknown setting {name!r}; known are {', '.join(SETTINGS)}")
        if not self.settings or len(set(self.settings)) < len(self.settings):
            raise ConfigError("name at least one setting, and each of them once")
