"""The commands of the page about the server, run as they stand there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from served import Server

import crystalsmith

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "serve.md"


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="needs curl and bash")
def test_the_commands_of_the_documentation_do_what_it_says(server: Server, tmp_path: Path):
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 4
    script = "".join(blocks).replace("http://127.0.0.1:8421", server.url)
    script = script.replace("curl -s", "curl -sS --fail").replace("python -c", f"{sys.executable} -c")
    before = {job["id"] for job in server.ask("/api/v1/jobs")[1]}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert '"possible":true' in done.stdout and '"formula":"NaCl"' in done.stdout
    assert (len(crystalsmith.read(tmp_path / "best.cif")), len(crystalsmith.read(tmp_path / "all.zip"))) == (
        1,
        6,
    )
    assert "<html" in (tmp_path / "report.html").read_text(encoding="utf-8")
    jobs = [job for job in server.ask("/api/v1/jobs")[1] if job["id"] not in before]
    states = {job["kind"]: server.wait(job["id"])["state"] for job in jobs}
    assert states == {"generate": "done", "relax": "done", "hull": "done"}


def test_the_page_names_every_kind_of_job(server: Server):
    from crystalsmith.serving.kinds import KINDS

    text = PAGE.read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f"| `{kind}` |" not in text] == []
