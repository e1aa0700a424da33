"""The database of a run: every crystal at every point of its way, through ASE's db.

One row is one ``State`` of one candidate. Rows of a candidate share the key ``candidate``; ``parent`` is the
id of the row that a row came from. What was found out about a candidate stands in its last row, as keys where
one would search for it and whole in the row's data. Tries that failed are rows without atoms.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.crystal import Crystal
from crystalsmith.discovery.candidate import Candidate, State
from crystalsmith.discovery.server import open_server
from crystalsmith.errors import CrystalsmithError, DiscoveryError
from crystalsmith.runs.addresses import FORM, is_server, shown, split_address
from crystalsmith.runs.atomic import writing
from crystalsmith.runs.extras import install_command

if TYPE_CHECKING:
    from ase import Atoms

    from crystalsmith.generation import Generated

DATABASE = "crystals.db"
"""Name of the file in a run's folder."""

FAILED = "failed"
"""Stage of rows that hold no crystal: tries of the generator that came to nothing."""

BACKENDS = ("ase_db_backends",)
"""Modules that databases on a server need; they bring their drivers."""

_FINDINGS = (
    "score",
    "above_hull",
    "formation",
    "decomposition",
    "novelty",
    "phonons",
    "elastic",
    "dropped",
    "dft",
)


class CrystalDatabase:
    """Candidates of one run in a database that ``ase db`` reads.

    Args:
        url: a file, or the URL of a PostgreSQL server; several runs may share one.
        run: name of the run; rows of others are left alone.
        system: that it searches, a key of its rows.

    Raises:
        DiscoveryError: it cannot be opened or read.
    """

    def __init__(self, url: str, run: str, system: str = "") -> None:
        self.url, self.run = url, run
        self._keys = {"run": run, **({"system": system} if system else {})}
        self._rows: dict[str, list[int]] = {}  # ids of each candidate's states
        with self._told():
            from ase.db import connect

            if "://" not in url:
                Path(url).touch()  # SQLite does not say which file it cannot open
                self._db = connect(url, type="db", use_lock_file=False)
            elif is_server(url) and (split_address(url) or ("", "x"))[1] == "":
                self._db = open_server(url)
            else:
                raise DiscoveryError(f"{shown(url)} is no database; give {FORM}")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what databases raise into one line."""
        try:
            with writing(Path(shown(self.url))):
                yield
        except CrystalsmithError:
            raise
        except sqlite3.DatabaseError as error:
            if "locked" in str(error) or "busy" in str(error):
                raise DiscoveryError(
                    f"another process is at work in {shown(self.url)}; wait until it has finished"
                ) from None
            if "disk" in str(error) or "readonly" in str(error):
                raise DiscoveryError(
                    f"cannot write {shown(self.url)}: {error}; free space, or mend its rights"
                ) from None
            raise DiscoveryError(
                f"{shown(self.url)} is damaged ({error}); put a copy in its place, or begin anew with"
                " --overwrite"
            ) from None
        except (ImportError, ModuleNotFoundError) as error:
            raise DiscoveryError(
                f"database {shown(self.url)} needs a package that is not installed ({error});"
                f" {install_command(BACKENDS)}"
            ) from None
        except Exception as error:
            reason = shown(" ".join(f"{type(error).__name__}: {error}".split())[:200])
            raise DiscoveryError(f"cannot use database {shown(self.url)} ({reason})") from None

    def load(self) -> tuple[dict[str, Candidate], list[tuple[str, int, int, str]]]:
        """Everything of the run.

        Returns:
            Candidates by name, in the order in which they came; (order id, index, try, failure) of the tries
            that failed.

        Raises:
            DiscoveryError: a row that cannot be understood.
        """
        candidates: dict[str, Candidate] = {}
        failures: list[tuple[str, int, int, str]] = []
        self._rows.clear()
        with self._told():
            for row in self._db.select(run=self.run, sort="id"):
                try:
                    if row.stage == FAILED:
                        failures.append((row.order, row.number, row.attempt, row.reason))
                    else:
                        self._take(candidates, row)
                except (KeyError, TypeError, ValueError, AttributeError) as error:
                    raise DiscoveryError(
                        f"{shown(self.url)}: row {row.id} is damaged ({error}); put a copy in its place,"
                        " or begin anew with --overwrite"
                    ) from None
        return candidates, failures

    def _take(self, candidates: dict[str, Candidate], row: Any) -> None:
        name, data = row.candidate, row.data
        state = State(**{**data["state"], "crystal": Crystal.from_dict(data["state"]["crystal"])})
        found = {key: value for key, value in data.get("findings", {}).items() if key in _FINDINGS}
        if name not in candidates:
            candidates[name] = Candidate(
                name, data["order"], int(data["seed"]), (state,), log_prior=data.get("log_prior")
            )
        else:
            candidates[name] = replace(candidates[name], states=(*candidates[name].states, state))
        if found:
            candidates[name] = _with_findings(candidates[name], found)
        self._rows.setdefault(name, []).append(row.id)

    def add_generated(self, records: Sequence[tuple[Generated, Candidate | None]]) -> None:
        """Add tries of the generator, those with a crystal as candidates; all of them or none.

        Raises:
            DiscoveryError: they cannot be written.
        """
        from ase import Atoms

        with self._told(), self._db as db:
            for record, candidate in records:
                keys = {
                    **self._keys,
                    "order": record.order_id,
                    "number": record.index,
                    "attempt": record.tries,
                }
                if candidate is None:
                    db.write(
                        Atoms(), key_value_pairs={**keys, "stage": FAILED, "reason": record.failure or ""}
                    )
                    continue
                data = {
                    "state": _state_data(candidate.states[0]),
                    "order": dict(candidate.order),
                    "seed": candidate.seed,
                    "log_prior": candidate.log_prior,
                }
                keys |= _state_keys(candidate.name, candidate.states[0])
                row = db.write(_atoms(candidate.states[0]), key_value_pairs=keys, data=data)
                self._rows[candidate.name] = [row]

    def update(self, changed: Iterable[tuple[Candidate, Candidate]]) -> None:
        """Write what is new of candidates (before, after): further states, energies, findings.

        Raises:
            DiscoveryError: they cannot be written.
        """
        with self._told(), self._db as db:
            for before, after in changed:
                self._update(db, before, after)

    def _update(self, db: Any, before: Candidate, after: Candidate) -> None:
        name = after.name
        rows = self._rows[name]
        for k, state in enumerate(after.states):
            if k >= len(rows):
                keys = {**self._keys, "parent": rows[-1], **_state_keys(name, state)}
                data = {"state": _state_data(state)}
                rows.append(db.write(_atoms(state), key_value_pairs=keys, data=data))
            elif k < len(before.states) and state != before.states[k]:
                db.update(
                    rows[k],
                    atoms=_atoms(state),
                    data={"state": _state_data(state)},
                    **_state_keys(name, state),
                )
        found = {key: getattr(after, key) for key in _FINDINGS}
        if len(after.states) > len(before.states) or any(
            getattr(before, key) != value for key, value in found.items()
        ):
            keys, gone = _finding_keys(after)
            data = {"findings": _plain(after)}
            db.update(rows[-1], delete_keys=gone, data=data, **keys)


def _with_findings(candidate: Candidate, found: Mapping[str, Any]) -> Candidate:
    """A candidate with findings given as plain JSON."""
    whole = {**candidate.to_dict(), **found}
    return replace(Candidate.from_dict(whole), states=candidate.states)


def _plain(candidate: Candidate) -> dict[str, Any]:
    data = candidate.to_dict()
    return {key: data[key] for key in _FINDINGS if data[key] not in (None, {})}


def _state_data(state: State) -> dict[str, Any]:
    return {
        "stage": state.stage,
        "crystal": state.crystal.to_dict(),
        "energy": state.energy,
        "converged": state.converged,
        "reason": state.reason,
        "calls": state.calls,
    }


def _state_keys(name: str, state: State) -> dict[str, Any]:
    keys: dict[str, Any] = {
        "candidate": name,
        "stage": state.stage,
        "space_group": state.crystal.space_group,
        "wyckoff": state.crystal.wyckoff.replace(" ", "_"),
    }
    if state.energy is not None:
        keys["energy_per_atom"] = state.energy
    if state.converged is not None:
        keys["converged"] = state.converged
    return keys


def _finding_keys(candidate: Candidate) -> tuple[dict[str, Any], list[str]]:
    """What ``ase db`` can search for, and the keys that are there no more."""
    phonons, elastic = candidate.phonons or {}, candidate.elastic or {}
    keys: dict[str, Any] = {
        "score": candidate.score,
        "above_hull": candidate.above_hull,
        "formation": candidate.formation,
        "novelty": candidate.novelty.verdict if candidate.novelty is not None else None,
        "min_frequency": phonons.get("min_frequency"),
        "phonons_stable": phonons.get("stable"),
        "elastic_stable": elastic.get("stable"),
        "dropped_at": candidate.dropped[0] if candidate.dropped is not None else None,
        "why": candidate.dropped[1] if candidate.dropped is not None else None,
    }
    return {k: v for k, v in keys.items() if v is not None}, [k for k, v in keys.items() if v is None]


def _atoms(state: State) -> Atoms:
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms = state.crystal.to_atoms(primitive=True)
    if state.energy is not None:
        atoms.calc = SinglePointCalculator(atoms, energy=state.energy * len(atoms))
    return atoms
