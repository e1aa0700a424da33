"""Where the tasks of a long command are done: processes of this machine, or workers of an executor anywhere.

Every command hands a function and its items to ``Engine.each``, which is all that it knows of engines.
"""

from crystalsmith.runs.engines.choice import ENGINE_HELP, check_engine, engine_of
from crystalsmith.runs.engines.engine import Engine, mapped
from crystalsmith.runs.engines.local import Local

__all__ = ["ENGINE_HELP", "Engine", "Local", "check_engine", "engine_of", "mapped"]
