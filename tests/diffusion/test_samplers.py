"""Every sampler carries noise to a distribution whose score is known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import count

import numpy as np
import pytest
import torch
from torch import Tensor

from crystalsmith.diffusion import SAMPLERS, Field, LatticeField, LogSchedule, PositionField, sampling_times
from crystalsmith.diffusion.samplers import CALLS_PER_STEP, Sampler, State, multistep, stochastic
from crystalsmith.graph import Layout, make_layout
from crystalsmith.symmetry import space_group

N = 3200
STEPS = {
    "euler": 120,
    "heun": 60,
    "stochastic": 120,
    "multistep": 120,
    "predictor-corrector": 80,
    "langevin": 80,
}
SIGMAS = 5.0
"""Allowed deviation in standard errors."""
BIAS = {"langevin": 0.15}
"""Allowed relative error of a variance beside that: Langevin steps are finite; 0.03 for the others."""


LINE_NOISE, LATTICE_NOISE = LogSchedule(0.02, 40.0), LogSchedule(0.02, 20.0)
"""Wide enough that the priors, centred at zero, have forgotten where the data lie."""


@dataclass(frozen=True)
class Line:
    """Plain numbers, two a crystal."""

    schedule: LogSchedule = LINE_NOISE

    def owner(self, layout: Layout) -> Tensor:
        return torch.arange(layout.size)

    def mask(self, layout: Layout) -> Tensor:
        return torch.ones(layout.size, 2, dtype=torch.bool)

    def prior(
        self, layout: Layout, normal: Tensor, uniform: Tensor, sigma: Tensor | float | None = None
    ) -> Tensor:
        return normal * (self.schedule.high if sigma is None else sigma)

    def noise(self, layout: Layout, clean: Tensor, step: Tensor) -> Tensor:
        return clean + step

    def move(self, layout: Layout, state: Tensor, step: Tensor) -> Tensor:
        return state + step

    def eps(self, layout: Layout, state: Tensor, output: Tensor, sigma: Tensor) -> Tensor:
        return output

    def residual(
        self, layout: Layout, clean: Tensor, noised: Tensor, output: Tensor, sigma: Tensor
    ) -> Tensor:
        return output - (noised - clean) / sigma


# Column 0: a normal distribution. Column 1: two narrow peaks of unequal weight.
MEAN, SPREAD = 0.7, 0.6
PEAKS, WEIGHTS, WIDTH = torch.tensor([-1.5, 2.0]).double(), torch.tensor([0.3, 0.7]).double(), 0.25


def line_eps(x: Tensor, sigma: Tensor) -> Tensor:
    normal = sigma * (x[:, 0] - MEAN) / (SPREAD**2 + sigma**2)
    variance = WIDTH**2 + sigma**2
    share = torch.softmax(WEIGHTS.log() - (x[:, 1:] - PEAKS) ** 2 / (2 * variance), 1)
    return torch.stack([normal, sigma * (share * (x[:, 1:] - PEAKS)).sum(1) / variance], 1)


# Positions: two peaks on the torus, one twice the other, for three, two, one and no free coordinates.
LETTERS = [(143, "d"), (160, "b"), (225, "e"), (2, "a")]
TORUS_WIDTH, TORUS_WEIGHTS = 0.08, torch.tensor([2 / 3, 1 / 3]).double()
CENTRES = torch.tensor([[0.2, 0.3, 0.9], [0.65, 0.8, 0.35]]).double()


@cache
def images(d: int, reach: int) -> Tensor:
    """Lattice vectors of the torus."""
    return torch.cartesian_prod(*[torch.arange(-reach, reach + 1)] * d).double().reshape(-1, d)


def torus_eps(layout: Layout, w: Tensor, sigma: Tensor) -> Tensor:
    """From sums over the images of both peaks."""
    t = layout.tables
    variance = TORUS_WIDTH**2 + float(sigma) ** 2
    result = torch.zeros_like(w)
    for y in layout.wyckoff[t.dof[layout.wyckoff] > 0].unique():
        rows = layout.wyckoff == y
        d = int(t.dof[y])
        away = w[rows, None, :d] - CENTRES[:, :d]
        z = (away - away.round())[:, :, None] + images(d, 1 if variance < 0.06 else 2)
        z = z @ t.unit_inverse[y, :d, :d].T
        log_weight = TORUS_WEIGHTS.log()[:, None] - z.square().sum(-1) / (2 * variance)
        share = torch.softmax(log_weight.flatten(1), 1)
        result[rows, :d] = float(sigma) * (share[:, :, None] * z.flatten(1, 2)).sum(1) / variance
    return result


SCALE = (0.1, 0.5, 0.4, 0.2, 0.3, 0.3)
LATTICE = LatticeField(SCALE, LATTICE_NOISE)
LATTICE_MEAN, LATTICE_SPREAD = torch.tensor([0.5, -0.3, 0.2, 0.0, 0.4, -0.6]).double(), 0.8


def lattice_eps(layout: Layout, strain: Tensor, sigma: Tensor) -> Tensor:
    y = strain / LATTICE.unit(layout)
    return sigma * (y - LATTICE_MEAN) / (LATTICE_SPREAD**2 + sigma**2) * layout.strain_mask


FIELDS: Mapping[str, Field] = {"line": Line(), "position": PositionField(), "lattice": LATTICE}


@cache
def layout() -> Layout:
    positions = [space_group(n).wyckoff[x] for n, x in LETTERS] * (N // len(LETTERS))
    return make_layout(
        torch.tensor([p.space_group for p in positions]),
        torch.arange(N),
        torch.tensor([p.index for p in positions]),
        torch.full((N,), 11),
        torch.full((N,), 20.0, dtype=torch.float64),
    )


@cache
def samples(name: str) -> tuple[State, int, list[int]]:
    """Final states, number of calls, and what the callback was told."""
    generator, lay = torch.Generator().manual_seed(0), layout()
    widths = {"line": 2, "position": 3, "lattice": 6}
    calls, told = 0, []

    def normal() -> State:
        return {k: torch.randn(N, n, generator=generator, dtype=torch.float64) for k, n in widths.items()}

    def denoise(state: State, t: Tensor) -> State:
        nonlocal calls
        calls += 1
        sigma = {k: f.schedule.sigma(t) for k, f in FIELDS.items()}
        return {
            "line": line_eps(state["line"], sigma["line"]),
            "position": torus_eps(lay, state["position"], sigma["position"]),
            "lattice": lattice_eps(lay, state["lattice"], sigma["lattice"]),
        }

    noise = normal()
    uniform = {k: torch.rand(N, n, generator=generator, dtype=torch.float64) for k, n in widths.items()}
    state = {k: f.prior(lay, noise[k], uniform[k]) for k, f in FIELDS.items()}

    def callback(step: int, now: State) -> None:
        told.append(step)
        assert now.keys() == state.keys()

    end = SAMPLERS[name](denoise, FIELDS, lay, state, sampling_times(STEPS[name]), normal, callback)
    return end, calls, told


def assert_normal(name: str, values: Tensor, mean: float, spread: float) -> None:
    n = len(values)
    assert float(values.mean()) == pytest.approx(mean, abs=SIGMAS * spread / math.sqrt(n) + 0.01 * spread)
    assert float(values.var()) / spread**2 == pytest.approx(
        1, abs=SIGMAS * math.sqrt(2 / n) + BIAS.get(name, 0.03)
    )
    kurtosis = float(((values - values.mean()) / values.std()).pow(4).mean())
    assert kurtosis == pytest.approx(3, abs=SIGMAS * math.sqrt(24 / n) + 0.1)


@pytest.mark.parametrize("name", SAMPLERS)
def test_calls_and_callback(name: str) -> None:
    _, calls, told = samples(name)
    assert calls == CALLS_PER_STEP[name] * STEPS[name] + 1
    assert told == list(range(STEPS[name]))


@pytest.mark.parametrize("name", SAMPLERS)
def test_normal_distribution(name: str) -> None:
    assert_normal(name, samples(name)[0]["line"][:, 0], MEAN, SPREAD)


@pytest.mark.parametrize(("ancestral", "order"), [(partial(stochastic, churn=1.0), 1), (multistep, 2)])
def test_error_falls_with_the_order_of_the_solver(ancestral: Sampler, order: int) -> None:
    """The variance of what comes of a normal distribution, to which every noise on the way adds its part."""
    schedule = LogSchedule(0.1, 5.0)

    def error(steps: int) -> float:
        # Row 0 has no noise, row 1 that of the start, row 2 that of the first step, ...
        turns = count(2)
        begin = torch.full((steps + 2, 2), MEAN, dtype=torch.float64)
        begin[1, 0] += math.hypot(SPREAD, schedule.high)

        def normal() -> State:
            noise = torch.zeros_like(begin)
            noise[next(turns), 0] = 1.0
            return {"line": noise}

        end = ancestral(
            lambda state, t: {"line": line_eps(state["line"], schedule.sigma(t))},
            {"line": Line(schedule)},
            layout(),
            {"line": begin},
            sampling_times(steps),
            normal,
        )["line"][:, 0]
        variance = float((end[1:] - end[0]).square().sum())
        return variance / (SPREAD**4 / (SPREAD**2 + schedule.low**2)) - 1

    assert error(40) / error(80) == pytest.approx(2**order, rel=0.15)
    assert abs(error(20)) < 0.2**order


@pytest.mark.parametrize("name", SAMPLERS)
def test_two_peaks(name: str) -> None:
    x = samples(name)[0]["line"][:, 1]
    right = x > float(PEAKS.mean())
    weight = float(WEIGHTS[1])
    assert float(right.double().mean()) == pytest.approx(
        weight, abs=SIGMAS * math.sqrt(weight * (1 - weight) / N) + 0.01
    )
    for peak, rows in zip(PEAKS.tolist(), (~right, right), strict=True):
        assert_normal(name, x[rows], peak, WIDTH)


@pytest.mark.parametrize("letters", LETTERS[:3])
@pytest.mark.parametrize("name", SAMPLERS)
def test_two_peaks_on_the_torus(name: str, letters: tuple[int, str]) -> None:
    """Fourier coefficients, the characteristic function of a wrapped distribution."""
    lay = layout()
    position = space_group(letters[0]).wyckoff[letters[1]]
    d = position.dof
    state = samples(name)[0]["position"]
    w = state[lay.wyckoff == position.index]
    assert ((w >= 0) & (w < 1)).all()
    assert (w[:, d:] == 0).all()
    unit = lay.tables.unit[position.index][:d, :d]
    covariance = (TORUS_WIDTH**2 * unit @ unit.T).numpy()
    for h in [np.array(h) for h in np.ndindex(3, 3, 3)][1:]:
        if h[d:].any():
            continue
        wave = np.exp(2j * np.pi * w[:, :d].numpy() @ h[:d]).mean()
        peaks = np.exp(2j * np.pi * CENTRES[:, :d].numpy() @ h[:d]) @ TORUS_WEIGHTS.numpy()
        damping = np.exp(-2 * np.pi**2 * h[:d] @ covariance @ h[:d])
        error = math.sqrt((1 - abs(peaks * damping) ** 2) / len(w))
        assert (
            abs(wave - peaks * damping) < 3.5 * error + 0.015
        )  # of complex numbers: the tail is exp(-3.5^2)


@pytest.mark.parametrize("name", SAMPLERS)
def test_lattice(name: str) -> None:
    lay, y = layout(), samples(name)[0]["lattice"] / LATTICE.unit(layout())
    assert (y[~lay.strain_mask] == 0).all()
    for k in range(6):
        assert_normal(name, y[lay.strain_mask[:, k], k], float(LATTICE_MEAN[k]), LATTICE_SPREAD)
