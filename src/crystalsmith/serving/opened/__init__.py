"""Run folders opened for a page: any kind and age, half finished, damaged or at work; nothing is written.

``open_run`` gives rows, funnel and facts; ``list_runs`` says what there is below a folder.
"""

from crystalsmith.serving.opened.kinds import Listed, list_runs, open_run, solution_in
from crystalsmith.serving.opened.record import Column, Opened, Series, Step
from crystalsmith.serving.opened.solution import Curves, Solution, Verdict

__all__ = [
    "Column",
    "Curves",
    "Listed",
    "Opened",
    "Series",
    "Solution",
    "Step",
    "Verdict",
    "list_runs",
    "open_run",
    "solution_in",
]
