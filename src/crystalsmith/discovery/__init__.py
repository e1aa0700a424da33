"""From a chemical system to a short list of stable new crystals."""

from crystalsmith.runs.lazy import lazily

_HOMES = {
    "settings": ("DiscoverySettings",),
    "run": ("Outcome", "discover_into"),
    "many": ("Campaign", "discover_systems_into"),
    "calculations": ("collect_run", "write_run_inputs"),
    "shortlist": ("read_shortlist",),
}

__all__ = [name for names in _HOMES.values() for name in names]

__getattr__ = lazily(__name__, _HOMES)
