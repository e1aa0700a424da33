"""Index arithmetic for ragged batches, without Python loops."""

from __future__ import annotations

import torch
from torch import Tensor


def expand(counts: Tensor) -> tuple[Tensor, Tensor]:
    """For counts (n,), the owner (total,) of each of their items, and its rank (total,) within the owner."""
    owner = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    first = torch.cumsum(counts, 0) - counts
    rank = torch.arange(len(owner), device=counts.device) - first[owner]
    return owner, rank


def segment_sum(values: Tensor, index: Tensor, size: int) -> Tensor:
    """Sum rows of values (n, ...) by index (n,) into (size, ...)."""
    if values.dtype in (torch.bfloat16, torch.float16):  # sums of many terms need more digits than the terms
        values = values.float()
    return values.new_zeros((size, *values.shape[1:])).index_add_(0, index, values)
