"""``crystalsmith film``: how a crystal comes out of noise, as a film."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from crystalsmith.cli import options
from crystalsmith.cli.output import emit
from crystalsmith.errors import OutputError

_EXAMPLES = """\
examples:
  crystalsmith film CaCO3 -o calcite.gif
  crystalsmith film crystals/cif/001_order_0.cif -o film.html -o film.gif
  crystalsmith film quartz.cif --seed 3 --steps 90 -o quartz.mp4 -o quartz.extxyz
"""
_FILMS, _STRIPS, _DATA, _PAGE = (".gif", ".mp4"), (".png", ".svg", ".pdf"), (".extxyz", ".json"), ".html"


def add_parser(commands: Any) -> None:
    """Add the command."""
    commands.add_parser(
        "film",
        help="film how a crystal comes out of noise",
        description="Denoise a crystal anew, keep every step, and write a film, a page with a film that can"
        " be turned, a strip of pictures or the frames. Of a file the space group and the Wyckoff letters are"
        " given; cell and coordinates come out of noise. Of a formula the best of 4 crystals is made first.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        fill=_options,
    )


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("crystal", metavar="FILE|FORMULA", help="a crystal in any form, or a formula")
    parser.add_argument(
        "-o",
        "--output",
        action="append",
        metavar="FILE",
        help=".gif, .mp4 (ffmpeg or extra film), .html (extra web), .png, .svg or .pdf (some frames), .extxyz"
        " or .json (all frames); repeatable (default: film.gif)",
    )
    parser.add_argument(
        "--seed", type=options.whole, default=0, metavar="N", help="of the noise (default: 0)"
    )
    parser.add_argument(
        "--steps", type=options.positive, default=60, metavar="N", help="of the denoising (default: 60)"
    )
    parser.add_argument(
        "--fps", type=options.positive_number, default=12.0, metavar="N", help="frames a second (default: 12)"
    )
    parser.add_argument(
        "--size", type=options.positive, default=420, metavar="N", help="width in pixels (default: 420)"
    )
    options.add_model_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status."""
    from crystalsmith.runs.extras import need

    outputs = [Path(name) for name in args.output or ["film.gif"]]
    for path in outputs:
        known = (*_FILMS, *_STRIPS, *_DATA, _PAGE)
        if path.suffix.lower() not in known:
            raise OutputError(
                f"cannot write {path}: its name must end in {', '.join(known[:-1])} or {known[-1]}"
            )
        options.check_writable(path)
        if path.suffix.lower() == _PAGE:
            need("a page with a film", "nicegui")
    model = options.load(args)
    from crystalsmith.api import trajectory

    made = trajectory(args.crystal, seed=args.seed, steps=args.steps, model=model)
    for path in outputs:
        if path.suffix.lower() in _DATA:
            made.write(path)
        elif path.suffix.lower() == _PAGE:
            made.view(fps=args.fps).save(path)
        else:
            made.plot(path, fps=args.fps, size=args.size)
    crystal = made.crystal
    words = f"{crystal.formula} {crystal.group.symbol} out of noise in {len(made) - 1} steps"
    if not made.matches:
        words += "; it ends in another crystal of the same letters"
    document = {
        "formula": crystal.formula,
        "space_group": crystal.space_group,
        "frames": len(made),
        "seed": made.seed,
        "matches": made.matches,
        "files": outputs,
    }
    emit(document, f"{words}: {', '.join(map(str, outputs))}")
    return 0
