"""The layers of the package: who may import whom, and what no source may hold."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import crystalsmith

SOURCE = Path(crystalsmith.__file__).parent
# From the ground up; a layer may import those that stand above it in this table, of which it needs few.
MAY_IMPORT: dict[str, set[str]] = {
    "runs": set(),
    "symmetry": set(),
    "crystal": {"runs", "symmetry"},
    "pictures": {"runs", "symmetry", "crystal"},
    "viewing": {"runs", "symmetry", "crystal", "pictures"},
    "reports": {"runs", "symmetry", "crystal", "pictures"},
    "potentials": {"runs", "symmetry", "crystal"},
    "assignments": {"runs", "symmetry", "crystal"},
    "data": {"runs", "symmetry", "crystal", "pictures"},
    "graph": {"runs", "symmetry", "crystal", "assignments", "data"},
    "networks": {"runs", "symmetry", "crystal", "assignments", "data", "graph"},
    "prior": {"runs", "symmetry", "crystal", "assignments", "data", "graph", "networks"},
    "prototypes": {"runs", "symmetry", "crystal", "assignments", "data", "graph", "networks", "prior"},
}
MAY_IMPORT["conditions"] = {*MAY_IMPORT["networks"], "potentials"}
MAY_IMPORT["diffraction"] = {
    "runs",
    "symmetry",
    "crystal",
    "pictures",
    "reports",
    "assignments",
    "data",
    "graph",
}
MAY_IMPORT["diffusion"] = {*MAY_IMPORT["prototypes"], "potentials", "prototypes", "conditions"}
MAY_IMPORT["training"] = {*MAY_IMPORT["diffusion"], "diffusion"}
MAY_IMPORT["ranking"] = {*MAY_IMPORT["training"], "potentials"}
MAY_IMPORT["orders"] = {*MAY_IMPORT["diffusion"], "diffusion"}
MAY_IMPORT["hull"] = {"runs", "symmetry", "crystal", "pictures", "reports", "data", "potentials"}
MAY_IMPORT["generation"] = {*MAY_IMPORT["ranking"], "ranking", "orders", "pictures", "reports", "hull"}
MAY_IMPORT["solving"] = {*MAY_IMPORT["generation"], "generation", "diffraction", "hull"}
MAY_IMPORT["phonons"] = {"runs", "symmetry", "crystal", "pictures", "reports", "potentials"}
MAY_IMPORT["evaluation"] = {
    *("runs", "symmetry", "crystal", "pictures", "reports"),
    *("assignments", "data", "conditions", "orders", "generation", "potentials"),
}
MAY_IMPORT["rediscovery"] = {*MAY_IMPORT["generation"], "generation", "evaluation"}
MAY_IMPORT["dft"] = {"runs", "symmetry", "crystal", "pictures", "reports", "potentials", "hull"}
MAY_IMPORT["discovery"] = set(MAY_IMPORT) - {"rediscovery"}
MAY_IMPORT["api"] = set(MAY_IMPORT)
MAY_IMPORT["serving"] = set(MAY_IMPORT)
MAY_IMPORT["cli"] = set(MAY_IMPORT)
for below in MAY_IMPORT.values():
    if below >= {"reports"} or below is MAY_IMPORT["reports"]:
        below.add("viewing")
LAYERS = list(MAY_IMPORT)
SHOWN_BY = {("crystal", "reports")}  # the methods with which a crystal shows itself, when they are called
QUICK = {"runs", "symmetry"}  # layers that the command line may import before it knows the command
HEAVY = ("torch", "pymatgen", "matplotlib", "ase", "spglib", "moyopy", "scipy")
EAGER_NAMES = {"__version__"}  # of the package itself; its other names load a layer on first use


class Reference(NamedTuple):
    """One mention of the package or of a name in it."""

    names: tuple[str, ...]  # ("data", "Dataset") of ``from crystalsmith.data import Dataset``
    line: int
    eager: bool  # runs when the module is imported

    @property
    def target(self) -> str:
        return self.names[0] if self.names else ""


def references(path: Path, root: Path) -> Iterator[Reference]:
    """Imports of the package in a file, and layers in strings: ``import_module("crystalsmith.data")``."""
    package = ("crystalsmith", *path.relative_to(root).parent.parts)
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }

    def visit(node: ast.AST, eager: bool) -> Iterator[Reference]:
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            names = [".".join((*base, *filter(None, [node.module]), alias.name)) for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            is_module = re.fullmatch(rf"crystalsmith\.({'|'.join(LAYERS)})(\.\w+)*", node.value)
            names = [node.value] if is_module else []
            eager = False  # a name, imported when someone asks
        for name in names:
            first, *rest = name.split(".")
            if first == "crystalsmith":
                yield Reference(tuple(rest), node.lineno, eager)
        deferred = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for child in node.body:
                yield from visit(child, False)
            for child in node.orelse:
                yield from visit(child, eager)
        else:
            for child in ast.iter_child_nodes(node):
                yield from visit(child, eager and not deferred)

    yield from visit(tree, True)


def sources(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.py") if "__pycache__" not in path.parts)


def layer_of(path: Path, root: Path) -> str:
    """A layer, "" for the package itself, or the name of a module that stands beside the layers."""
    first = path.relative_to(root).parts[0]
    if first == "__init__.py":
        return ""
    return "cli" if first == "__main__.py" else first.removesuffix(".py")


def layering_faults(root: Path) -> list[str]:
    faults = []
    beside = {path.stem for path in root.glob("*.py")} - {
        "__init__",
        "__main__",
    }  # such as errors: below all layers
    for path in sources(root):
        layer = layer_of(path, root)
        if layer and layer not in LAYERS and layer not in beside:
            faults.append(f"{path.relative_to(root).as_posix()}: {layer} has no place among the layers")
            continue
        for reference in references(path, root):
            target = reference.target
            where = f"{path.relative_to(root).as_posix()}:{reference.line}"
            if layer == "":
                if reference.eager and target in LAYERS:
                    faults.append(f"{where}: importing the package must not import {target}")
            elif target in LAYERS:
                is_late = not reference.eager and (layer, target) in SHOWN_BY
                if target != layer and target not in MAY_IMPORT.get(layer, set()) and not is_late:
                    faults.append(f"{where}: {layer} must not import {target}")
            elif target not in beside | EAGER_NAMES:
                faults.append(
                    f"{where}: {layer} must import from the module that holds {target or 'the name'}"
                )
    return list(dict.fromkeys(faults + slow_start_faults(root)))


def slow_start_faults(root: Path) -> list[str]:
    """Layers that the command line imports before it knows the command: follows its entry's eager imports."""
    faults: list[str] = []
    waiting = [root / "__main__.py", root / "cli" / "main.py"]
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in seen or not path.exists():
            continue
        seen |= {path}
        for reference in references(path, root):
            if not reference.eager:
                continue
            if reference.target in set(LAYERS) - QUICK - {"cli"}:
                where = f"{path.relative_to(root).as_posix()}:{reference.line}"
                faults.append(
                    f"{where}: cli must import {reference.target} inside the function that needs it"
                )
            for k in range(1, len(reference.names) + 1):  # importing a module runs the packages that hold it
                module = root.joinpath(*reference.names[:k])
                waiting += [module.with_suffix(".py"), module / "__init__.py"]
    return faults


PICKLERS = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
PICKLING_CALLS = re.compile(
    r"(torch(\.jit)?\.(load|save)|torch\.package\..*|(pd|pandas)\.read_pickle|.*\.to_pickle)"
)
ABSOLUTE_PATH = re.compile(
    r"(?<![\w.:/}])/(home|root|work|tmp|mnt|data|opt|usr|var|etc|srv|scratch|workspace|Users|content)/\w"
    r"|\b[A-Za-z]:\\\\?\w+\\"
)


def unsafe_faults(root: Path) -> list[str]:
    """Pickles under any name, and absolute paths, comments included."""
    faults = []
    for path in sources(root):
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(root).as_posix()
        for number, line in enumerate(text.splitlines(), 1):
            if ABSOLUTE_PATH.search(line):
                faults.append(f"{name}:{number}: absolute path")
        tree = ast.parse(text)
        # torch's restricted reader, for weights that others published as pickles; it runs no code.
        restricted = {
            id(node.func)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords)
        }
        for node in ast.walk(tree):
            if id(node) in restricted:
                continue
            if isinstance(node, ast.Import):
                used = {alias.name.partition(".")[0] for alias in node.names} & PICKLERS
            elif isinstance(node, ast.ImportFrom):
                module = node.module or ""
                used = {module.partition(".")[0]} & PICKLERS
                used |= {
                    f"{module}.{a.name}" for a in node.names if PICKLING_CALLS.fullmatch(f"{module}.{a.name}")
                }
            elif isinstance(node, ast.Attribute):
                used = {ast.unparse(node)} if PICKLING_CALLS.fullmatch(ast.unparse(node)) else set()
            elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                used = set() if ast.unparse(node.value) == "False" else {"allow_pickle"}
            else:
                continue
            faults += [f"{name}:{getattr(node, 'lineno', 0)}: {what}" for what in sorted(used)]
    return faults


def test_layers_import_only_what_lies_below_them():
    assert layering_faults(SOURCE) == []


def test_no_pickles_and_no_absolute_paths():
    assert unsafe_faults(SOURCE) == []


IMPORT_EACH_ALONE = """
import importlib, json, pkgutil, sys
loaded = {}
for layer in json.loads(sys.argv[1]):
    for name in [n for n in sys.modules if n.partition(".")[0] == "crystalsmith"]:
        del sys.modules[name]
    package = importlib.import_module("crystalsmith." + layer)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    names = [n.split(".")[1] for n in sys.modules if n.startswith("crystalsmith.")]
    loaded[layer] = sorted(set(names))
print(json.dumps(loaded))
"""


def run(*arguments: str) -> str:
    command = [sys.executable, "-c", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_each_layer_imports_without_those_above_it():
    """One process, so that torch is loaded once; the package's own modules are forgotten between layers."""
    present = [layer for layer in LAYERS if (SOURCE / layer / "__init__.py").exists()]
    assert "symmetry" in present
    beside = {path.stem for path in SOURCE.glob("*.py")}
    loaded = json.loads(run(IMPORT_EACH_ALONE, json.dumps(present)))
    assert list(loaded) == present
    for layer, names in loaded.items():
        allowed = beside | {layer} | MAY_IMPORT[layer]
        assert layer in names and set(names) <= allowed, (layer, names)


def test_importing_the_package_and_its_command_line_loads_nothing_heavy():
    modules = ["crystalsmith", *(["crystalsmith.cli.main"] if (SOURCE / "cli" / "main.py").exists() else [])]
    code = "import importlib, json, sys\nfor m in json.loads(sys.argv[1]): importlib.import_module(m)\n"
    code += "print(json.dumps([m for m in json.loads(sys.argv[2]) if m in sys.modules]))"
    assert json.loads(run(code, json.dumps(modules), json.dumps(HEAVY))) == []


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("symmetry/x.py", "from crystalsmith.crystal import Crystal"),
        ("symmetry/x.py", "def f():\n    import crystalsmith.graph.batch"),
        ("crystal/x.py", "from crystalsmith import data"),
        ("crystal/x.py", "from crystalsmith.reports import render"),
        ("crystal/x.py", "def f():\n    from crystalsmith.viewing import scene"),
        ("crystal/x.py", "from ..data import Dataset"),
        ("crystal/x.py", "from .. import graph"),
        ("crystal/x.py", "if TYPE_CHECKING:\n    from crystalsmith.data import Dataset"),
        ("networks/x.py", "import_module('crystalsmith.diffusion')"),
        ("training/x.py", "from crystalsmith.generation import generate"),
        ("generation/x.py", "from crystalsmith.training.config import TrainConfig"),
        ("generation/x.py", "from crystalsmith import load_model"),
        ("generation/x.py", "from crystalsmith.phonons import study_crystal"),
        ("pictures/x.py", "from crystalsmith.generation import generate"),
        ("potentials/x.py", "from crystalsmith.data import Dataset"),
        ("data/x.py", "from crystalsmith.cli.main import main"),
        ("generation/x.py", "from crystalsmith.evaluation import read_samples"),
        ("evaluation/x.py", "from crystalsmith.training import train"),
        ("errors.py", "from crystalsmith.symmetry import tables"),
        ("helpers/x.py", "import math"),
        ("cli/main.py", "from crystalsmith.diffusion import load_model"),
        ("cli/main.py", "class C:\n    from crystalsmith.training import train"),
        ("cli/main.py", "try:\n    import crystalsmith.pictures\nexcept ImportError:\n    pass"),
        ("cli/helper.py", "from crystalsmith.generation import generate"),
        ("cli/__init__.py", "from crystalsmith.data import Dataset"),
        ("__main__.py", "from crystalsmith.generation import generate"),
        ("__init__.py", "from crystalsmith.crystal import Crystal"),
        ("__init__.py", "from .crystal import Crystal"),
    ],
)
def test_the_test_sees_a_wrong_import(tmp_path, name, text):
    entry = {"__init__.py": "", "cli/main.py": "from crystalsmith.cli import helper", "cli/helper.py": ""}
    assert len(layering_faults(write(tmp_path, entry | {name: text}))) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "crystal/x.py",
            "from crystalsmith.symmetry import tables\nfrom crystalsmith.errors import DataError",
        ),
        ("crystal/x.py", "from . import y\nfrom .y import z\nfrom ..errors import DataError"),
        ("crystal/x.py", "from crystalsmith import errors"),
        ("data/x.py", "def f():\n    from crystalsmith.crystal import Crystal"),
        ("crystal/x.py", "def f():\n    from crystalsmith.reports import render"),
        ("generation/x.py", "from crystalsmith import __version__"),
        ("cli/main.py", "from crystalsmith.cli import y\nfrom crystalsmith.symmetry import space_group"),
        ("cli/main.py", "def f():\n    from crystalsmith.training import train"),
        ("cli/main.py", "if TYPE_CHECKING:\n    from crystalsmith.crystal import Crystal"),
        ("cli/slow.py", "from crystalsmith.generation import generate"),
        ("__init__.py", "HOMES = {\n'Crystal': 'crystalsmith.crystal',\n}"),
        ("symmetry/x.py", '"""crystalsmith.graph"""\nimport crystalsmith_other.graph'),
    ],
)
def test_the_test_lets_a_right_import_pass(tmp_path, name, text):
    assert layering_faults(write(tmp_path, {"__init__.py": "", "errors.py": "", name: text})) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "def f():\n    from dill import dumps",
        "import torch\ntorch.load('x')",
        "import torch\ntorch.load('x', weights_only=flag)",
        "import torch\ntorch.load('x', weights_only=False)",
        "import torch\ntorch.save({}, 'x')",
        "from torch import load",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import numpy as np\nnp.load('x', allow_pickle=flag)",
        "table.to_pickle('x')",
        "X = '/home/me/x'",
        "# see /srv/here/x",
        '"""Writes /tmp/x."""',
        r"X = 'C:\\Users\\me'",
        r"X = r'C:\Users\me'",
    ],
)
def test_the_test_sees_pickles_and_absolute_paths(tmp_path, text):
    assert len(unsafe_faults(write(tmp_path, {"x.py": text}))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "import numpy as np\nnp.load('x', allow_pickle=False)",
        "import torch\ntorch.load('x', weights_only=True)",
        "from safetensors.torch import load_file, save_file\nsave_file({}, 'x')",
        "X = 'https://example.org/data/file'\nY = 'a/tmp/b'\nZ = {'x': 1}\nW = f'{folder}/data/x'",
        "model.load('x')",
        "X = 'P2_1/c'\nY = r'\\d:\\s'",
    ],
)
def test_the_test_lets_the_rest_pass(tmp_path, text):
    assert unsafe_faults(write(tmp_path, {"x.py": text})) == []
