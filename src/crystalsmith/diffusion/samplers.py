"""Samplers: functions of one signature that carry a state from t = 1 to t = 0.

``sampler(denoise, fields, layout, state, times, normal, callback) -> state`` where state maps field names to tensors, ``denoise(state, t)`` gives the
noise eps in each field at the scalar time t, and ``normal()`` draws standard normal numbers of the state's shapes. The score of a field is -eps / sigma.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor

from crystalsmith.diffusion.fields import Field
from crystalsmith.graph import Layout

State = dict[str, Tensor]
Denoise = Callable[[State, Tensor], State]
Callback = Callable[[int, State], None]


class Sampler(Protocol):
    """The signature that all samplers share."""

    def __call__(
        self,
        denoise: Denoise,
        fields: Mapping[str, Field],
        layout: Layout,
        state: State,
        times: Tensor,
        normal: Callable[[], State],
        callback: Callback | None = None,
    ) -> State:
        """Carry the state through the times (n + 1,), from times[0] to times[-1]."""
        ...


def _step(fields: Mapping[str, Field], layout: Layout, state: State, steps: State) -> State:
    return {k: f.move(layout, state[k], steps[k]) for k, f in fields.items()}


def _sigmas(fields: Mapping[str, Field], t: Tensor) -> dict[str, Tensor]:
    return {k: f.schedule.sigma(t) for k, f in fields.items()}


def euler(denoise, fields, layout, state, times, normal, callback=None):  # type: ignore[no-untyped-def]
    """First-order probability-flow steps; one network call a step, and a last one that removes what noise is left."""
    for i in range(len(times) - 1):
        eps, now, then = denoise(state, times[i]), _sigmas(fields, times[i]), _sigmas(fields, times[i + 1])
        state = _step(fields, layout, state, {k: eps[k] * (then[k] - now[k]) for k in eps})
        if callback is not None:
            callback(i, state)
    return _finish(denoise, fields, layout, state, times[-1])


def heun(denoise, fields, layout, state, times, normal, callback=None):  # type: ignore[no-untyped-def]
    """Second-order deterministic steps (Karras et al. 2022, algorithm 1); two network calls a step."""
    for i in range(len(times) - 1):
        now, then = _sigmas(fields, times[i]), _sigmas(fields, times[i + 1])
        eps = denoise(state, times[i])
        trial = _step(fields, layout, state, {k: eps[k] * (then[k] - now[k]) for k in eps})
        eps2 = denoise(trial, times[i + 1])
        state = _step(fields, layout, state, {k: 0.5 * (eps[k] + eps2[k]) * (then[k] - now[k]) for k in eps})
        if callback is not None:
            callback(i, state)
    return _finish(denoise, fields, layout, state, times[-1])


def stochastic(denoise, fields, layout, state, times, normal, callback=None, churn=0.5):  # type: ignore[no-untyped-def]
    """Ancestral steps: each goes below the next level and adds noise back up to it; ``churn`` 0 is ``euler``, 1 fully ancestral."""
    for i in range(len(times) - 1):
        eps, now, then = denoise(state, times[i]), _sigmas(fields, times[i]), _sigmas(fields, times[i + 1])
        steps, noise = {}, normal()
        for k in eps:
            up = churn * then[k] * torch.sqrt((1 - (then[k] / now[k]) ** 2).clamp(min=0))
            down = torch.sqrt((then[k] ** 2 - up**2).clamp(min=0))
            steps[k] = eps[k] * (down - now[k]) + noise[k] * up
        state = _step(fields, layout, state, steps)
        if callback is not None:
            callback(i, state)
    return _finish(denoise, fields, layout, state, times[-1])


def predictor_corrector(denoise, fields, layout, state, times, normal, callback=None, step=0.1):  # type: ignore[no-untyped-def]
    """A probability-flow step to the next level, then one Langevin step there (Song et al. 2021); two network calls a step."""
    for i in range(len(times) - 1):
        eps, now, then = denoise(state, times[i]), _sigmas(fields, times[i]), _sigmas(fields, times[i + 1])
        state = _step(fields, layout, state, {k: eps[k] * (then[k] - now[k]) for k in eps})
        state = _langevin_step(denoise, fields, layout, state, times[i + 1], normal, step)
        if callback is not None:
            callback(i, state)
    return _finish(denoise, fields, layout, state, times[-1])


def langevin(denoise, fields, layout, state, times, normal, callback=None, repeats=5, step=0.3):  # type: ignore[no-untyped-def]
    """Annealed Langevin dynamics (Song and Ermon 2019): ``repeats`` steps of size ``step`` sigma^2 at every level."""
    for i in range(len(times)):
        for _ in range(repeats):
            state = _langevin_step(denoise, fields, layout, state, times[i], normal, step)
        if callback is not None:
            callback(i, state)
    return _finish(denoise, fields, layout, state, times[-1])


def _langevin_step(denoise, fields, layout, state, t, normal, step):  # type: ignore[no-untyped-def]
    eps, sigma, noise = denoise(state, t), _sigmas(fields, t), normal()
    return _step(fields, layout, state, {k: sigma[k] * (-0.5 * step * eps[k] + step**0.5 * noise[k]) for k in eps})


def _finish(denoise, fields, layout, state, t):  # type: ignore[no-untyped-def]
    """A last step without noise: to the mean of the clean state given this one (Tweedie's formula)."""
    eps, sigma = denoise(state, t), _sigmas(fields, t)
    return _step(fields, layout, state, {k: -sigma[k] * eps[k] for k in eps})


SAMPLERS: dict[str, Sampler] = {
    "euler": euler,
    "heun": heun,
    "stochastic": stochastic,
    "predictor-corrector": predictor_corrector,
    "langevin": langevin,
}
CALLS_PER_STEP = {"euler": 1, "heun": 2, "stochastic": 1, "predictor-corrector": 2, "langevin": 5}
"""Network calls of each step; every sampler makes one more at the end."""
