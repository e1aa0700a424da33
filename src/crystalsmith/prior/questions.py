"""Questions to the prior's network, answered many at once.

What is asked about one order hangs on the answers before; what is asked about different orders does not. So
whoever asks is a generator, a ``Talk``: it yields the questions that it has now and is sent their answers.
``each`` lets many talk in lock-step, and ``hear`` answers all that is asked at one time with few calls of the
network.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from crystalsmith.networks.assignment_network import ATOMS, RATIO, SITES, AssignmentNetwork, Elements
from crystalsmith.prior.filling import PLACES, Filling, allowed_of, candidates_of, padded, steps_of

BATCH = 512

Key = tuple[int, ...]
T = TypeVar("T")


@dataclass(frozen=True)
class AskUnits:
    """The logarithms of the probabilities (most,) of 1, 2, ... formula units in the primitive cell.

    Attributes:
        elements: atomic numbers, cations first; ratio: atoms of each in the smallest formula unit.
        most: largest number of units that may be.
    """

    elements: Key
    ratio: Key
    most: int


@dataclass(frozen=True)
class AskGroups:
    """The logarithms of the probabilities (231,) of the space groups.

    Attributes:
        elements: atomic numbers; counts: atoms of each in the primitive cell.
        possible: (231,) boolean: groups that can hold them.
    """

    elements: Key
    counts: Key
    possible: np.ndarray


@dataclass(frozen=True)
class AskPositions:
    """About n fillings: logarithms of the probabilities (n, PLACES) of what comes at their last steps, -inf
    where that is not allowed, or (n,) of the whole of each.

    Attributes:
        elements: atomic numbers; numbers: atoms of each, or sites where ``by_sites``.
        by_sites: what the numbers are of.
        groups: (n,) space groups.
        fillings: (n,) how far they are.
        whole: whether they are finished, and asked about as wholes.
    """

    elements: Key
    numbers: Key
    by_sites: bool
    groups: Sequence[int]
    fillings: Sequence[Filling]
    whole: bool


Question = AskUnits | AskGroups | AskPositions
Talk = Generator[list[Question], list[np.ndarray], T]
"""Yields questions and is sent as many answers; what it returns is what was to be found out."""


def each(talks: Iterable[Talk[T]]) -> Talk[list[T]]:
    """What each of the talks finds out; they ask at the same time."""
    talks = list(talks)
    results: dict[int, T] = {}
    waiting: dict[int, list[Question]] = {}

    def go_on(k: int, step: Callable[[], list[Question]]) -> None:
        try:
            waiting[k] = step()
        except StopIteration as end:
            waiting.pop(k, None)
            results[k] = end.value

    for k, talk in enumerate(talks):
        go_on(k, partial(next, talk))
    while waiting:
        now = dict(waiting)
        answers = iter((yield [question for asked in now.values() for question in asked]))
        for k, asked in now.items():
            own = [next(answers) for _ in asked]
            go_on(k, partial(talks[k].send, own))
    return [results[k] for k in range(len(talks))]


def remembered(known: dict[Hashable, np.ndarray], question: Question, key: Hashable) -> Talk[np.ndarray]:
    """The answer to one question, from what is known where it was asked before."""
    if key not in known:
        (answer,) = yield [question]
        if len(known) >= _REMEMBERED:
            known.clear()
        known[key] = answer
        return answer
    return known[key]


_REMEMBERED = 4096


def hear(network: AssignmentNetwork, talk: Talk[T]) -> T:
    """Answer a talk to its end.

    A network in double precision gives answers that do not hang on what else is asked with them: what is left
    of that is too small to change an order of likeliness.
    """
    try:
        questions = next(talk)
        while True:
            questions = talk.send(answered(network, questions))
    except StopIteration as end:
        result: T = end.value
        return result


@torch.no_grad()
def answered(network: AssignmentNetwork, questions: Sequence[Question]) -> list[np.ndarray]:
    """Answers to questions, float64."""
    answers: dict[int, np.ndarray] = {}
    units = [(k, q) for k, q in enumerate(questions) if isinstance(q, AskUnits)]
    for about_units in _parts(units):
        most = max(q.most for _, q in about_units)
        logits = network.units(_told([(q.elements, q.ratio, RATIO) for _, q in about_units]), most)
        for (k, unit), row in zip(about_units, logits, strict=True):
            answers[k] = _numbers(row[: unit.most].log_softmax(0))
    groups = [(k, q) for k, q in enumerate(questions) if isinstance(q, AskGroups)]
    for about_groups in _parts(groups):
        logits = network.groups(_told([(q.elements, q.counts, ATOMS) for _, q in about_groups]))
        possible = torch.from_numpy(np.stack([q.possible for _, q in about_groups]))
        logs = _numbers(logits.masked_fill(~possible, -torch.inf).log_softmax(1))
        answers.update((k, log) for (k, _), log in zip(about_groups, logs, strict=True))
    positions = [(k, q) for k, q in enumerate(questions) if isinstance(q, AskPositions)]
    rows = [_Row(k, n, q, filling) for k, q in positions for n, filling in enumerate(q.fillings)]
    for k, asked in positions:
        answers[k] = np.empty(len(asked.fillings) if asked.whole else (len(asked.fillings), PLACES))
    # Rows of one length together: what is padded costs as much as what is not.
    rows.sort(key=lambda r: (len(r.filling.element), len(r.question.elements)))
    for filled in _parts(rows):
        for r, log in zip(filled, _positions(network, filled), strict=True):
            answers[r.asked][r.place] = log
    return [answers[k] for k in range(len(questions))]


@dataclass(frozen=True)
class _Row:
    """A filling of a question, and where its answer belongs."""

    asked: int
    place: int
    question: AskPositions
    filling: Filling


def _positions(network: AssignmentNetwork, rows: Sequence[_Row]) -> list[np.ndarray]:
    groups = [r.question.groups[r.place] for r in rows]
    fillings = [r.filling for r in rows]
    told = [(r.question.elements, r.question.numbers, SITES if r.question.by_sites else ATOMS) for r in rows]
    logits = network.positions(
        _told(told), torch.tensor(groups), steps_of(fillings, groups), candidates_of(groups)
    )
    allowed = allowed_of(fillings)
    length = torch.tensor([len(f.element) for f in fillings])
    here = torch.arange(len(rows))
    last = logits[here, length - 1].masked_fill(~allowed[here, length - 1], -torch.inf).log_softmax(1)
    result: list[np.ndarray] = list(_numbers(last))
    wholes = [k for k, r in enumerate(rows) if r.question.whole]
    if wholes:
        real = (torch.arange(logits.shape[1]) < length[:, None])[wholes]
        free = allowed[wholes] | ~real[:, :, None]
        taken = padded([fillings[k].taken for k in wholes], logits.shape[1])
        logs = logits[wholes].masked_fill(~free, -torch.inf).log_softmax(2)
        chosen = logs.gather(2, taken[:, :, None])[:, :, 0]
        total = _numbers(torch.where(real, chosen, 0.0).sum(1))
        for k, log in zip(wholes, total, strict=True):
            result[k] = np.asarray(log)
    return result


def _parts(rows: Sequence[T]) -> Iterable[Sequence[T]]:
    return (rows[begin : begin + BATCH] for begin in range(0, len(rows), BATCH))


def _numbers(logs: Tensor) -> np.ndarray:
    return np.asarray(logs.double().numpy())


def _told(compositions: Sequence[tuple[Key, Key, int]]) -> Elements:
    """Compositions (elements, numbers, what these are of) for the network."""
    most = max(len(elements) for elements, _, _ in compositions)
    return Elements(
        padded([elements for elements, _, _ in compositions], most),
        padded([numbers for _, numbers, _ in compositions], most),
        torch.tensor([kind for _, _, kind in compositions]),
    )
