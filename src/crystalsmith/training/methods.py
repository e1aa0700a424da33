"""What differs in training between the methods: the model, its losses, and how it is judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from crystalsmith.data import Dataset
from crystalsmith.data.volumes import compositions, fit_atomic_volumes, strains
from crystalsmith.data.wyckoff import both_occupations, count_wyckoff, occupations
from crystalsmith.diffusion import (
    AnyModel,
    LatticeField,
    Levels,
    Model,
    PaperModel,
    PositionField,
    Statistics,
    load_model,
)
from crystalsmith.diffusion.schedules import focus
from crystalsmith.errors import ConfigError
from crystalsmith.graph import CrystalBatch, Guide, to_general
from crystalsmith.graph.general import FIRST_GROUP
from crystalsmith.networks import Denoiser, DimeNet
from crystalsmith.symmetry import strain_mask
from crystalsmith.training.config import TrainConfig
from crystalsmith.training.examples import Examples, equivalent_with
from crystalsmith.training.loss import denoising_losses
from crystalsmith.training.paper_loss import levels_of, paper_losses
from crystalsmith.training.unseen import neighbours, stand_in_for_unseen
from crystalsmith.training.validate import validate, validate_paper


def stratified(number: int, generator: torch.Generator) -> Tensor:
    """(number,) random numbers in [0, 1), one in each interval of 1 / number, in random order."""
    order = torch.randperm(number, generator=generator)
    return (order + torch.rand(number, generator=generator)) / number


class Method(Protocol):
    """What the training loop needs of a method."""

    least_group: int

    def make_model(self, c: TrainConfig, dataset: Dataset) -> AnyModel:
        """A fresh model for a data set, or the starting weights; their statistics with the data set's."""
        ...

    def atomic_volume(self, model: Any) -> np.ndarray:
        """(119,) Angstrom^3 by atomic number: what reference cells are made of."""
        ...

    def losses(
        self,
        c: TrainConfig,
        model: Any,
        clean: CrystalBatch,
        generator: torch.Generator,
        guide: Guide | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Position and lattice loss of a batch at random noise levels; the generator is on the CPU."""
        ...

    def validate(self, model: Any, examples: Examples) -> dict[str, float]:
        """Losses on held-out crystals by name."""
        ...

    def compile(self, model: Any) -> None:
        """Compile what the network spends its time in."""
        ...

    def averaged(self, model: Any, average: dict[str, Tensor]) -> AnyModel:
        """The model with averaged weights, fit to be saved."""
        ...


def _seen(dataset: Dataset, elements: np.ndarray, max_atoms: int) -> tuple[np.ndarray, int]:
    """Crystals with each element, and the largest number of atoms, with those seen before."""
    now = (compositions(dataset) > 0).sum(0)
    return now + np.asarray(elements), max(int(dataset.arrays["atoms"].max()), max_atoms)


class DefaultMethod:
    """The default: free coordinates and strains diffused together, an equivariant network."""

    least_group = 1

    def make_model(self, c: TrainConfig, dataset: Dataset) -> Model:
        device = torch.device(c.device)
        if c.start_from:
            model = load_model(None if c.start_from == "default" else c.start_from, device)
            if not isinstance(model, Model):
                raise ConfigError(
                    f"{c.start_from} is a checkpoint of the paper's method; name one of the default"
                )
            if model.network.config != c.network:
                torch.manual_seed(c.seed)
                model.network = model.network.grown(c.network)
            volume, lattice, position = model.statistics.atomic_volume, model.lattice, model.position
        else:
            volume = fit_atomic_volumes(dataset)
            y = strains(dataset, compositions(dataset) @ volume)
            mask = np.stack([strain_mask(g) for g in dataset.arrays["space_group"]])
            scale = [
                float(np.sqrt((y[mask[:, k], k] ** 2).mean())) if mask[:, k].any() else 0.2 for k in range(6)
            ]
            scale[4] = scale[5] = max(scale[4], scale[5])
            lattice = LatticeField(tuple(round(max(s, 0.1), 4) for s in scale))
            position = PositionField()
            torch.manual_seed(c.seed)
            model = Model(
                Denoiser(c.network).to(device),
                position,
                lattice,
                Statistics(volume, np.zeros((1731, 1), int), np.zeros(119, int), 0),
            )
        before = model.statistics  # what the starting weights were trained on is not forgotten
        new, old = count_wyckoff(dataset), before.wyckoff_counts
        counts = np.zeros((len(new), max(new.shape[1], old.shape[1])), new.dtype)
        for part in (new, old):
            counts[:, : part.shape[1]] += part
        present, largest = _seen(dataset, before.elements, before.max_atoms)
        known = both_occupations(before.occupations, occupations(dataset))
        model.statistics = Statistics(volume, counts, present, largest, known, before.prototypes)
        return model

    def atomic_volume(self, model: Model) -> np.ndarray:
        return model.statistics.atomic_volume

    def losses(
        self,
        c: TrainConfig,
        model: Model,
        clean: CrystalBatch,
        generator: torch.Generator,
        guide: Guide | None = None,
    ) -> tuple[Tensor, Tensor]:
        clean, guide = equivalent_with(clean, guide, generator)
        time = focus(stratified(clean.layout.size, generator), c.focus).to(clean.w.device)
        return denoising_losses(model, clean, time, generator, c.forget, guide).mean()

    def validate(self, model: Model, examples: Examples) -> dict[str, float]:
        return validate(model, examples)

    def compile(self, model: Model) -> None:
        for layer in model.network.layers:
            layer.compile(dynamic=True)

    def averaged(self, model: Model, average: dict[str, Tensor]) -> Model:
        network = Denoiser(model.network.config)
        network.load_state_dict({**network.state_dict(), **average})
        return stand_in_for_unseen(replace(model, network=network))


class PaperMethod:
    """The paper's: general points and lengths, two scores, DimeNet++."""

    least_group = FIRST_GROUP

    def make_model(self, c: TrainConfig, dataset: Dataset) -> PaperModel:
        device = torch.device(c.device)
        if c.start_from:
            model = load_model("paper" if c.start_from == "default" else c.start_from, device)
            if not isinstance(model, PaperModel) or model.network.config != c.dimenet:
                raise ConfigError(
                    f"{c.start_from} has the network {model.network.config}, the run asks for {c.dimenet}"
                )
            present, largest = _seen(dataset, model.elements_seen, model.max_atoms)
            return replace(model, joint=c.joint, elements_seen=present, max_atoms=largest)
        torch.manual_seed(c.seed)
        levels = Levels(c.dimenet.levels)
        present, largest = _seen(dataset, np.zeros(119, int), 0)
        return PaperModel(DimeNet(c.dimenet).to(device), levels, c.joint, present, largest)

    def atomic_volume(self, model: PaperModel) -> np.ndarray:
        return np.full(119, 20.0)  # of no effect: cells are described by their lengths

    def losses(
        self,
        c: TrainConfig,
        model: PaperModel,
        clean: CrystalBatch,
        generator: torch.Generator,
        guide: Guide | None = None,
    ) -> tuple[Tensor, Tensor]:
        spread = stratified(clean.layout.size, generator)
        level = levels_of(spread, model.levels.number).to(clean.w.device)
        losses = paper_losses(model, to_general(clean), level, generator, c.wrapped_target)
        return losses.position.mean(), losses.lattice.mean()

    def validate(self, model: PaperModel, examples: Examples) -> dict[str, float]:
        return validate_paper(model, examples)

    def compile(self, model: PaperModel) -> None:
        for block in (*model.network.interactions, *model.network.outputs):
            block.compile(dynamic=True)

    def averaged(self, model: PaperModel, average: dict[str, Tensor]) -> PaperModel:
        network = DimeNet(model.network.config)
        network.load_state_dict({**network.state_dict(), **average})
        seen = np.asarray(model.elements_seen) > 0
        with torch.no_grad():
            for z in range(1, len(seen)):
                if not seen[z] and seen.any():
                    near = neighbours(z, seen)
                    network.element.weight[z] = network.element.weight[near].mean(0)
        return replace(model, network=network)


METHODS: dict[str, Method] = {"default": cast(Method, DefaultMethod()), "paper": cast(Method, PaperMethod())}
