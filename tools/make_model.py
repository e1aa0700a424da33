"""Put a model together: weights, prior, prototypes, and the known phases and statistics of data files.

    python tools/make_model.py WEIGHTS.safetensors -o benchmarks/benchmark.safetensors --name benchmark \\
        --data train.safetensors [--prior PRIOR.safetensors] [--prototypes TABLE.safetensors]

WEIGHTS is a checkpoint of ``crystalsmith train``. What it says of the crystals that its network has seen
(elements, largest cell, atomic volumes) stays. The frequencies of Wyckoff positions and the known phases
(space group, composition, occupied positions, id, distance to the hull, whether they were observed) become
those of the files of ``crystalsmith data build`` given with ``--data``; the prior comes from another
checkpoint where one is given, and prototypes are those of a table of ``crystalsmith data prototypes``, none
where none is given.

``--name`` says which of the two models it is: ``benchmark`` (trained without a crystal of the benchmarks;
all published figures) or ``released`` (everything; ships with the package). The record of the checkpoint
names all files and how many crystals each holds; ``crystalsmith info`` shows it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

from crystalsmith.data import Dataset, concatenate
from crystalsmith.data.wyckoff import count_wyckoff, occupations
from crystalsmith.diffusion import Model, load_model, save_model
from crystalsmith.errors import CheckpointError, CrystalsmithError
from crystalsmith.prototypes.table import PrototypeTable

NAMES = ("benchmark", "released")
PROTOTYPES = "prototypes."
DROPPED = ("format", "config", "model", "known_phases", "prior_data", "prototypes")


def main(arguments: list[str] | None = None) -> int:
    """Read, put together, write; exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", metavar="WEIGHTS")
    parser.add_argument("-o", "--output", required=True, metavar="FILE")
    parser.add_argument("--name", required=True, choices=NAMES)
    parser.add_argument("--data", required=True, nargs="+", metavar="FILE")
    parser.add_argument("--prior", metavar="CHECKPOINT")
    parser.add_argument("--prototypes", metavar="TABLE")
    parser.add_argument("--full", action="store_true", help="keep single precision; half is the rule")
    args = parser.parse_args(arguments)
    try:
        make(args)
    except CrystalsmithError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    size = Path(args.output).stat().st_size
    print(f"{args.output}: the {args.name} model, {size / 1e6:.1f} MB")
    return 0


def make(args: argparse.Namespace) -> None:
    """Put the model together and write it."""
    model = default_model(args.weights)
    prior = model if args.prior is None else default_model(args.prior)
    parts = {Path(name).name: Dataset.open(name) for name in args.data}
    dataset = concatenate(list(parts.values()))
    known = occupations(dataset)
    table = None if args.prototypes is None else PrototypeTable.open(args.prototypes)
    statistics = replace(
        model.statistics, wyckoff_counts=count_wyckoff(dataset), occupations=known, prototypes=table
    )
    record = {k: v for k, v in model.metadata.items() if k not in DROPPED and not k.startswith(PROTOTYPES)}
    files = {name: len(part) for name, part in parts.items()}
    record |= {
        "model": args.name,
        "known_phases": json.dumps(
            {
                "crystals": len(dataset),
                "distinct": len(known),
                "observed": int((known.seen == 1).sum()),
                "computed": int((known.seen == 0).sum()),
                "files": files,
            }
        ),
    }
    if args.prior is not None:
        record["prior_data"] = Path(args.prior).name
        record["prior_training"] = prior.metadata.get("prior_training", "unknown")
    if args.prototypes is not None:
        digest = hashlib.sha256(Path(args.prototypes).read_bytes()).hexdigest()
        record["prototypes"] = json.dumps({"file": Path(args.prototypes).name, "sha256": digest[:16]})
    path = save_model(
        replace(model, statistics=statistics, prior=prior.prior), args.output, record, half=not args.full
    )
    load_model(path)  # what is written is read


def default_model(path: str) -> Model:
    """A checkpoint of the default method.

    Raises:
        CheckpointError: it is none.
    """
    model = load_model(path)
    if not isinstance(model, Model):
        raise CheckpointError(f"{path} is of the {model.method} method; give one of the default method")
    return model


if __name__ == "__main__":
    sys.exit(main())
