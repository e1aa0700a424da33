"""How quick the page is: start, load, first crystal, replies while crystals are made, memory.

    python benchmarks/serving.py -o serving.json
    python benchmarks/serving.py --browser /usr/bin/chromium -o serving.json

A server of its own is started over an empty folder. Seconds are of the wall clock, so the machine should
have nothing else to do; memory is the resident set of each process (Linux). ``--browser`` loads the page in
Chromium too, empty cache and full, and counts requests that leave the machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

ORDER = {"formula": "BaTiO3", "count": 100}


class Server:
    """``crystalsmith serve`` in a process of its own."""

    def __init__(self, runs: Path) -> None:
        began = time.monotonic()
        command = [sys.executable, "-m", "crystalsmith", "serve", "--port", "0", "--runs", str(runs)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[1].rstrip("/")
        self.started = time.monotonic() - began

    def ask(self, path: str, body: Any = None) -> bytes:
        """The content of an answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=300) as answer:
            return bytes(answer.read())

    def json(self, path: str, body: Any = None) -> Any:
        """The same, read."""
        return json.loads(self.ask(f"/api/v1{path}", body))

    def wait(self, job: str) -> dict[str, Any]:
        """Wait for the end of a job."""
        while True:
            found = self.json(f"/jobs/{job}")
            if found["state"] in ("done", "failed", "cancelled"):
                assert found["state"] == "done", found
                return dict(found)
            time.sleep(0.05)

    def memory(self) -> dict[str, float]:
        """MB of the server and of the processes that it started."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_text().split("\0")
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                rss = next(line for line in (folder / "status").read_text().splitlines() if "VmRSS" in line)
            except (OSError, StopIteration):
                continue
            if int(folder.name) == self.process.pid:
                found["server"] = int(rss.split()[1]) / 1024
            elif parent == self.process.pid:
                name = next((w.rpartition(".")[2] for w in words if "serving." in w), "other")
                name += " without model" if "null" in words else ""
                found[name] = found.get(name, 0.0) + int(rss.split()[1]) / 1024
        return {name: round(value, 1) for name, value in sorted(found.items())}


def timed(function: Callable[[], Any]) -> float:
    """Seconds of a call."""
    began = time.monotonic()
    function()
    return time.monotonic() - began


def figures(seconds: list[float]) -> dict[str, float]:
    """Milliseconds: median, that of one of twenty, the longest."""
    ordered = sorted(seconds)
    return {
        "requests": len(ordered),
        "median_ms": round(1e3 * statistics.median(ordered), 1),
        "p95_ms": round(1e3 * ordered[int(0.95 * (len(ordered) - 1))], 1),
        "most_ms": round(1e3 * ordered[-1], 1),
    }


def first_crystal(server: Server, seed: int) -> dict[str, float]:
    """Seconds from an order to its first crystal, and to the end of a job of four."""
    began = time.monotonic()
    job = server.json("/jobs/generate", {"orders": {"formula": "NaCl", "count": 4}, "seed": seed})["id"]
    while server.json(f"/jobs/{job}")["progress"]["done"] < 1:
        time.sleep(0.02)
    first = time.monotonic() - began
    server.wait(job)
    return {"first": round(first, 2), "four": round(time.monotonic() - began, 2)}


def replies(server: Server, looked_at: str, most: int) -> dict[str, Any]:
    """Times of replies while a long job is at work, and of the same requests when it is over."""
    job = server.json("/jobs/generate", {"orders": ORDER, "seed": 3})["id"]
    while server.json(f"/jobs/{job}")["progress"]["done"] <= 0:
        time.sleep(0.02)
    kinds = {
        "page": lambda: server.ask("/"),
        "job": lambda: server.json(f"/jobs/{job}"),
        "jobs": lambda: server.json("/jobs"),
        "runs": lambda: server.json("/runs"),
        "crystals": lambda: server.json(f"/runs/{looked_at}/crystals"),
        "one crystal": lambda: server.json(f"/runs/{looked_at}/crystals/1"),
        "help": lambda: server.json("/help", {"formula": "CaTiO3"}),
    }
    found: dict[str, Any] = {}
    for when in ("during", "after"):
        seconds: dict[str, list[float]] = {name: [] for name in kinds}
        for _ in range(most):
            if when == "during" and server.json(f"/jobs/{job}")["state"] != "running":
                break
            for name, ask in kinds.items():
                seconds[name].append(timed(ask))
        if when == "during" and server.json(f"/jobs/{job}")["state"] == "running":
            server.json(f"/jobs/{job}/cancel", {})
        while server.json(f"/jobs/{job}")["state"] == "running":
            time.sleep(0.1)
        everything = [s for values in seconds.values() for s in values]
        found[when] = {"all": figures(everything), **{k: figures(v) for k, v in seconds.items() if v}}
    return found


def in_browser(server: Server, executable: str) -> dict[str, Any]:
    """Loads of the page in Chromium: seconds until it can be used, bytes, requests elsewhere."""
    from playwright.sync_api import sync_playwright

    found: dict[str, Any] = {"elsewhere": 0, "complaints": 0}
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page()
        asked: list[str] = []

        def count(response: Any) -> None:
            found["elsewhere"] += not response.url.startswith((server.url, "data:", "blob:"))
            asked.append(response.url)

        page.on("response", count)
        page.on(
            "console", lambda m: found.__setitem__("complaints", found["complaints"] + (m.type == "error"))
        )
        for name in ("empty cache", "full cache"):
            asked.clear()
            began = time.monotonic()
            page.goto(server.url)
            page.wait_for_selector("h1")
            found[name] = {
                "seconds": round(time.monotonic() - began, 2),
                "requests": len(asked),
            }
            page.goto("about:blank")
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="all figures as JSON")
    parser.add_argument("--browser", metavar="FILE", help="Chromium, to load the page with")
    parser.add_argument("--rounds", type=int, default=40, help="of requests while crystals are made")
    parser.add_argument("--requests", type=int, default=1000, help="between two looks at the memory")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "runs")
        try:
            found: dict[str, Any] = {"start_seconds": round(server.started, 2)}
            found["help_cold_seconds"] = round(timed(lambda: server.json("/help", {"formula": "NaCl"})), 2)
            time.sleep(20)  # the worker has loaded the model by then
            found["first_crystal_seconds"] = first_crystal(server, 1)
            time.sleep(20)
            found["first_crystal_again_seconds"] = first_crystal(server, 2)
            job = server.json("/jobs")[0]["id"]
            found["replies"] = replies(server, job, args.rounds)
            if args.browser:
                found["page"] = in_browser(server, args.browser)
            found["memory_before_MB"] = server.memory()
            paths = ("/", "/api/v1/jobs", f"/api/v1/runs/{job}/crystals", f"/api/v1/runs/{job}/crystals/1")
            found["turned_away"] = 0
            for times in ("once", "twice"):
                for n in range(args.requests):
                    try:
                        server.ask(paths[n % len(paths)])
                    except urllib.error.HTTPError:  # pages that no browser opened wait already
                        found["turned_away"] += 1
                found[f"memory_after_{times}_MB"] = server.memory()
            time.sleep(90)  # pages that nobody opened a websocket for are forgotten
            found["memory_at_rest_MB"] = server.memory()
        finally:
            server.process.terminate()
            server.process.wait()
    text = json.dumps(found, indent=1)
    print(text)
    if args.output:
        Path(args.output).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
