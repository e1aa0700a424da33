"""Samplers: functions of one signature, ``Sampler``, that carry a state from t = 1 to t = 0.

The score of a field is -eps / sigma; all samplers end with a step without noise (``_finish``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor

from crystalsmith.diffusion.fields import Field
from crystalsmith.graph import Layout

State = dict[str, Tensor]
Fields = Mapping[str, Field]
Denoise = Callable[[State, Tensor], State]
Normal = Callable[[], State]
Callback = Callable[[int, State], None]

EXTRAPOLATION = 0.5
"""Of ``multistep``: the share of the last change of the clean state that a step of the same length adds."""


class Sampler(Protocol):
    """The signature that all samplers share."""

    def __call__(
        self,
        denoise: Denoise,
        fields: Fields,
        layout: Layout,
        state: State,
        times: Tensor,
        normal: Normal,
        callback: Callback | None = None,
    ) -> State:
        """Carry a state through the times.

        Args:
            denoise: ``denoise(state, t)`` is the noise eps in each field at the scalar time t.
            fields: the diffused fields by name.
            layout: what the rows of the state are.
            state: field name -> tensor.
            times: (n + 1,) for n steps, from high to low.
            normal: draws standard normal numbers of the state's shapes.
            callback: called with the number of each step, from 0, and the state after it.

        Returns:
            The state at the last time, the noise that is left there taken out.
        """
        ...


def _step(fields: Fields, layout: Layout, state: State, steps: State) -> State:
    return {k: f.move(layout, state[k], steps[k]) for k, f in fields.items()}


def _sigmas(fields: Fields, t: Tensor) -> State:
    return {k: f.schedule.sigma(t) for k, f in fields.items()}


def euler(
    denoise: Denoise,
    fields: Fields,
    layout: Layout,
    state: State,
    times: Tensor,
    normal: Normal,
    callback: Callback | None = None,
) -> State:
    """First-order probability-flow steps; one network call a step."""
    for i in range(len(times) - 1):
        eps, now, then = denoise(state, times[i]), _sigmas(fields, times[i]), _sigmas(fields, times[i + 1])
        state = _step(fields, layout, state, {k: eps[k] * (then[k] - now[k]) for k in eps})
        if callback is not None:
            callback(i, state)
    return _finish(denoise, fields, layout, state, times[-1])


def heun(
    denoise: Denoise,
    fields: Fields,
    layout: Layout,
    state: State,
    times: Tensor,
    normal: Normal,
    callback: Callback | None = None,
) -> State:
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


def stochastic(
    denoise: Denoise,
    fields: Fields,
    layout: Layout,
    state: State,
    times: Tensor,
    normal: Normal,
    callback: Callback | None = None,
    churn: float = 0.5,
) -> State:
    """Ancestral steps: each goes below the next level and adds noise back up to it; one network call a step.

    ``churn`` 0 is ``euler``, 1 fully ancestral.
    """
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


def multistep(
    denoise: Denoise,
    fields: Fields,
    layout: Layout,
    state: State,
    times: Tensor,
    normal: Normal,
    callback: Callback | None = None,
) -> State:
    """Ancestral steps along the clean state that the network sees, led on from the last two calls.

    The second-order multistep solver of the reverse diffusion (Lu et al. 2022, DPM-Solver++(2M), in its
    stochastic form) in each field's orthonormal coordinates; one network call a step. On a torus the clean
    state is kept as a displacement from the state, so that its change needs no choice of an image.
    """
    before: tuple[State, State, State] | None = None  # clean, steps, lengths
    for i in range(len(times) - 1):
        eps, now, then = denoise(state, times[i]), _sigmas(fields, times[i]), _sigmas(fields, times[i + 1])
        noise = normal()
        clean = {k: -now[k] * eps[k] for k in eps}
        length = {k: torch.log(now[k] / then[k]) for k in eps}
        steps = {}
        for k in eps:
            towards = clean[k]
            if before is not None:
                # Both seen from here: what the clean state has moved by since the call before.
                change = clean[k] + before[1][k] - before[0][k]
                towards = towards + EXTRAPOLATION * length[k] / before[2][k] * change
            share = 1 - (then[k] / now[k]) ** 2
            steps[k] = share * towards + then[k] * share.clamp(min=0).sqrt() * noise[k]
        before = clean, steps, length
        state = _step(fields, layout, state, steps)
        if callback is not None:
            callback(i, state)
    return _finish(denoise, fields, layout, state, times[-1])


def predictor_corrector(
    denoise: Denoise,
    fields: Fields,
    layout: Layout,
    state: State,
    times: Tensor,
    normal: Normal,
    callback: Callback | None = None,
    step: float = 0.1,
) -> State:
    """A probability-flow step to the next level, then a Langevin step there; two network calls a step.

    Song et al. 2021; the Langevin step has the size ``step`` sigma^2.
    """
    for i in range(len(times) - 1):
        eps, now, then = denoise(state, times[i]), _sigmas(fields, times[i]), _sigmas(fields, times[i + 1])
        state = _step(fields, layout, state, {k: eps[k] * (then[k] - now[k]) for k in eps})
        state = _langevin_step(denoise, fields, layout, state, times[i + 1], normal, step)
        if callback is not None:
            callback(i, state)
    return _finish(denoise, fields, layout, state, times[-1])


def langevin(
    denoise: Denoise,
    fields: Fields,
    layout: Layout,
    state: State,
    times: Tensor,
    normal: Normal,
    callback: Callback | None = None,
    repeats: int = 5,
    step: float = 0.3,
) -> State:
    """Annealed Langevin dynamics (Song and Ermon 2019); five network calls a step.

    ``repeats`` Langevin steps of size ``step`` sigma^2 at every level below the first, which the prior is at.
    """
    for i in range(len(times) - 1):
        for _ in range(repeats):
            state = _langevin_step(denoise, fields, layout, state, times[i + 1], normal, step)
        if callback is not None:
            callback(i, state)
    return _finish(denoise, fields, layout, state, times[-1])


def _langevin_step(
    denoise: Denoise,
    fields: Fields,
    layout: Layout,
    state: State,
    t: Tensor,
    normal: Normal,
    step: float,
) -> State:
    eps, sigma, noise = denoise(state, t), _sigmas(fields, t), normal()
    steps = {k: sigma[k] * (-0.5 * step * eps[k] + step**0.5 * noise[k]) for k in eps}
    return _step(fields, layout, state, steps)


def _finish(denoise: Denoise, fields: Fields, layout: Layout, state: State, t: Tensor) -> State:
    """A last step without noise: to the mean of the clean state given this one (Tweedie's formula)."""
    eps, sigma = denoise(state, t), _sigmas(fields, t)
    return _step(fields, layout, state, {k: -sigma[k] * eps[k] for k in eps})


SAMPLERS: dict[str, Sampler] = {
    "euler": euler,
    "heun": heun,
    "stochastic": stochastic,
    "multistep": multistep,
    "predictor-corrector": predictor_corrector,
    "langevin": langevin,
}
CALLS_PER_STEP = {
    "euler": 1,
    "heun": 2,
    "stochastic": 1,
    "multistep": 1,
    "predictor-corrector": 2,
    "langevin": 5,
}
"""Network calls of each step; every sampler makes one more at the end."""
