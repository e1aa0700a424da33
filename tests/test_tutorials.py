"""The tutorials and the script that runs them: what it lets pass, and that nothing shown goes unchecked."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [path for path in sorted((ROOT / "docs" / "tutorials").glob("*.md")) if path.name != "index.md"]


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / ".ci" / "tutorials"))


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("6 made now in 5.2 s; scored by denoising 0.2 s", "6 made now in 65 s; scored by denoising 12.2 s"),
        ("score   22 ->  8  9.8 s  134/min", "score  22 -> 8 1:09 min 1,134/min"),
        ("1.2 crystals a minute", "18.3 crystals a minute"),
        ("a 3.877 c 9.871  24 %", "a 3.879 c 9.860  21 %"),
        ("3.05", "3.06"),
        ("right < 1 %", "right 2 %"),
        ("right 97 %", "right > 99 %"),
        ("one\n...\nlast", "one\ntwo\nthree\nlast"),
        ("one\n...", "one\ntwo"),
        ("...", ""),
        ("1,234.5 eV", "1,230.1 eV"),
    ],
)
def test_times_and_last_digits_may_differ(shown: str, printed: str, script: dict[str, Any]) -> None:
    assert script["differences"](shown, printed) == ""


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("Fm-3m (225)", "Fm-3m (227)"),
        ("6 of 6 crystals", "5 of 6 crystals"),
        ("TiO2", "TiO3"),
        ("a 3.877", "a 5.877"),
        ("energy -3.67", "energy 3.67"),
        ("right 98 %", "right 12 %"),
        ("right < 1 %", "right > 99 %"),
        ("one", "one\ntwo"),
        ("one\ntwo", "one"),
        ("one\n...\nlast", "one\ntwo"),
        ("1.5 Angstrom", "1.5 degrees"),
        ("mp-1234", "mp-1235"),
    ],
)
def test_anything_else_may_not(shown: str, printed: str, script: dict[str, Any]) -> None:
    assert script["differences"](shown, printed) != ""


def test_what_is_written_into_a_page_is_what_the_check_takes(script: dict[str, Any]) -> None:
    printed = "".join(f"line {n}  \n" for n in range(9))
    for shown in ("...\n", "line 0\n...\nline 8\n", "line 0\nline 1\n...\n", "old\n"):
        written = script["shortened"](shown, printed)
        assert script["differences"](written, printed) == "" and not re.search(r" $", written, re.MULTILINE)
    assert script["shortened"]("x\n...\ny\n", printed) == "line 0\n...\nline 8\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_all_that_a_page_shows_is_run_and_compared(page: Path, script: dict[str, Any]) -> None:
    text = page.read_text(encoding="utf-8")
    found = script["blocks"](text)
    assert [b for b in found if b.kind in ("sh", "python")]
    for block in found:
        assert block.kind in ("sh", "python", "text") or (
            block.kind.startswith("{code-block}") and block.text.startswith(":caption: ")
        )
    outputs = [b for b in found if b.kind == "text"]
    before = {b.end for b in found if b.kind in ("sh", "python") and not b.said.startswith("not run")}
    assert [b.text for b in outputs if b.span[0] - len("\n```text\n") not in before] == []
    assert not [b.text for b in outputs if b.text.strip() == "..."]  # filled in
    for _, picture in re.findall(script["PICTURE"], text):
        assert (page.parent / picture).stat().st_size < 300_000


RUN = """
import runpy, sys
from pathlib import Path
script = runpy.run_path(sys.argv[1])
try:
    script["run_page"](Path(sys.argv[2]), Path("work").absolute(), Path(sys.executable), False)
except script["Failed"] as error:
    sys.exit(f"FAILED {error}")
"""


FILE = "```{code-block} text\n:caption: a/b.txt\n\nhello\n```\n\n"
ARRAY = """```{code-block} bash
:caption: j.sh

#SBATCH --array=0-1
echo $SLURM_ARRAY_TASK_ID >> out
```

"""


@pytest.mark.skipif(sys.platform == "win32", reason="the shell of POSIX")
@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("```sh\necho 2\n```\n```text\n2\n```\n", ""),
        ("```sh\necho 2\n```\n```text\n3\n```\n", "printed '2'"),
        ("```sh\nfalse\n```\n", "status 1"),
        ("% exit 1\n```sh\nfalse\n```\n", ""),
        ("% exit 1\n```sh\ntrue\n```\n", "status 0"),
        ("% not run: no network\n```sh\nfalse\n```\n", ""),
        ("```python\nprint(1 + 1)\n```\n```text\n2\n```\n", ""),
        (FILE + "```sh\ncat a/b.txt\n```\n```text\nhello\n```\n", ""),
        ("```text\n2\n```\n", "an output that is of no block"),
        ("```sh\necho 2\n```\n\nWords.\n\n```text\n2\n```\n", "an output that is of no block"),
        ("% picture: none.png\n![x](none.png)\n", "no none.png was made"),
        (ARRAY + "```sh\nsbatch j.sh\ncat out\n```\n```text\nSubmitted batch job 1\n0\n1\n```\n", ""),
    ],
)
def test_a_page_is_run_as_a_reader_would(page: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(page, encoding="utf-8")
    command = [sys.executable, "-c", RUN, str(ROOT / ".ci" / "tutorials"), str(tmp_path / "page.md")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode == 0) == (words == "") and words in done.stderr, done.stderr
