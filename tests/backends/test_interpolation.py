from dataclasses import replace

import pytest
import torch

from restorekit.backends.card import Card, Measured
from restorekit.backends.checkpoint import Checkpoint
from restorekit.backends.interpolation import interpolate
from restorekit.errors import CheckpointError, UsageError
from restorekit.types import Task


def checkpoint(seed, **changes):
    generator = torch.Generator().manual_seed(seed)
    card = Card(name=f"net-{seed}", backend="prenet", config={"channels": 4}, task=Task.DERAIN)
    measured = (Measured(dataset="x", protocol="rgb", values={"psnr": 1.0}),)
    card = card.model_copy(update={"source": f"run {seed}", "measured": measured, **changes})
    state = {"a.weight": torch.rand(4, 3, generator=generator), "a.bias": torch.zeros(4) + seed}
    return Checkpoint(card, state)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
def test_every_weight_lies_between_those_of_the_two(alpha):
    first, second = checkpoint(0), checkpoint(1)
    state = interpolate(first, second, alpha).state
    assert state.keys() == first.state.keys()
    for key, value in state.items():
        expected = (1 - alpha) * first.state[key] + alpha * second.state[key]
        torch.testing.assert_close(value, expected)


def test_the_ends_are_the_two_themselves():
    first, second = checkpoint(0), checkpoint(1)
    for alpha, end in ((0, first), (1, second)):
        state = interpolate(first, second, alpha).state
        assert all(torch.equal(value, end.state[key]) for key, value in state.items())


def test_counters_are_those_of_the_second():
    first, second = (
        replace(checkpoint(seed), state={"count": torch.tensor(seed)}) for seed in (3, 8)
    )
    assert interpolate(first, second, 0.5).state["count"] == 8


def test_the_card_names_both_and_has_no_numbers_of_either():
    card = interpolate(checkpoint(0), checkpoint(1), 0.25).card
    assert card.source == "0.75 of net-0 (run 0) and 0.25 of net-1 (run 1)"
    assert card.measured == ()
    assert card.task is Task.DERAIN


@pytest.mark.parametrize(("licence", "both"), [("MIT", "MIT"), ("unknown", "MIT and unknown")])
def test_the_licences_of_both_hold(licence, both):
    card = interpolate(checkpoint(0, licence="MIT"), checkpoint(1, licence=licence), 0.5).card
    assert card.licence == both


@pytest.mark.parametrize("alpha", [-0.1, 1.5, float("nan")])
def test_an_alpha_beyond_the_two_is_refused(alpha):
    with pytest.raises(UsageError, match=r"alpha must lie from 0 \(the first\) to 1"):
        interpolate(checkpoint(0), checkpoint(1), alpha)


@pytest.mark.parametrize(
    "changes", [{"task": Task.DENOISE}, {"config": {"channels": 8}}, {"backend": "drunet"}]
)
def test_two_of_different_kinds_are_refused(changes):
    with pytest.raises(CheckpointError, match=f"net-0 and net-1 differ in {next(iter(changes))}"):
        interpolate(checkpoint(0), checkpoint(1, **changes), 0.5)
