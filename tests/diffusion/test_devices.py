"""Nothing in sampling or judging lies on the default device by mistake.

With "meta" as the default device, whatever is made without saying where has no data, and fails as soon as it
meets the model's tensors: as a forgotten CPU tensor would on a GPU.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_diffusion_model import REQUESTS, SEEDS, small_model

from crystalsmith.diffusion import SAMPLERS
from crystalsmith.diffusion.sampler_choice import times_of
from crystalsmith.ranking.denoising import denoising_errors


@pytest.mark.parametrize("name", SAMPLERS)
def test_sampling_says_where_its_tensors_are(name: str) -> None:
    model = small_model()
    expected = model.sample(REQUESTS, SEEDS, steps=2, sampler=name)
    with torch.device("meta"):
        assert torch.empty(0).is_meta
        assert model.sample(REQUESTS, SEEDS, steps=2, sampler=name) == expected
        assert not times_of(name, 3).is_meta


def test_judging_by_denoising_says_where_its_tensors_are() -> None:
    model = small_model()
    crystals = model.sample(REQUESTS[:4], SEEDS[:4], steps=2)
    expected = denoising_errors(model, crystals, times=(0.4, 0.7), repeats=2)
    with torch.device("meta"):
        found = denoising_errors(model, crystals, times=(0.4, 0.7), repeats=2)
    np.testing.assert_array_equal(found, expected)
