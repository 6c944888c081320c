"""That objectives of other kinds fit the loop: here two nets that play against each other."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from restorekit.events import StepDone
from restorekit.nets.deepdeblur import bicubic_pyramid
from restorekit.training import loop
from restorekit.training.config import parse_recipe
from restorekit.training.loop import run_training
from restorekit.training.objectives import Batch, Phase
from restorekit.training.objectives.paired import Paired
from restorekit.training.state import STATE, read_state

CPU = torch.device("cpu")


class Rivals:
    """A generator that is close and believed, and a discriminator; least squares."""

    def __init__(self, net, recipe, _device):
        torch.manual_seed(recipe.seed)
        self.net = net
        self.critic = nn.Conv2d(3, 1, 4, stride=4)
        self.others = {"critic": self.critic}
        self.optimizers = {
            "net": torch.optim.Adam(net.parameters()),
            "critic": torch.optim.Adam([{"params": [*self.critic.parameters()], "scale": 0.5}]),
        }
        self.seen: list[torch.Tensor] = []

    def step(self, batch: Batch) -> Iterator[Phase]:
        restored = self.net(batch.degraded)
        believed = (self.critic(restored) - 1).square().mean()
        yield Phase(
            self.optimizers["net"],
            {"l1": F.l1_loss(restored, batch.reference), "believed": believed},
        )
        self.seen.append(next(self.net.parameters()).detach().clone())
        fake, real = self.critic(restored.detach()), self.critic(batch.reference)
        yield Phase(
            self.optimizers["critic"],
            {"critic": (fake.square().mean() + (real - 1).square().mean()) / 2},
        )


@pytest.fixture
def rivals(monkeypatch):
    made = []

    def build(*arguments):
        made.append(Rivals(*arguments))
        return made[-1]

    monkeypatch.setattr(loop, "build_objective", build)
    return made


def run(recipe, folder, resume=False):
    return list(run_training(recipe, folder, resume=resume, device=CPU))


def test_two_optimisers_take_turns_in_the_loop(content, tmp_path, rivals):
    recipe = parse_recipe(content | {"ema": 0.0}, "tiny")
    events = run(recipe, tmp_path)
    steps = [event for event in events if isinstance(event, StepDone)]
    assert {name for step in steps for name in step.losses} == {"l1", "believed", "critic"}
    assert len(steps) == 20
    (objective,) = rivals
    # Each generator was already updated when the discriminator had its turn.
    assert len({tuple(weights.flatten().tolist()) for weights in objective.seen}) == 20
    rates = [o.param_groups[0]["lr"] for o in objective.optimizers.values()]
    assert rates[0] == pytest.approx(2 * rates[1])


def test_both_nets_and_optimisers_survive_a_resume(content, tmp_path, rivals):
    whole = parse_recipe(content, "tiny")
    run(whole, tmp_path / "whole")
    events = run_training(whole, tmp_path / "halves", resume=False, device=CPU)
    for event in events:
        if isinstance(event, StepDone) and event.step == 10:
            events.close()
    run(whole, tmp_path / "halves", resume=True)
    a, b = (read_state(tmp_path / name / STATE) for name in ("whole", "halves"))
    for part in ("net", "average"):
        assert all(torch.equal(a[part][key], b[part][key]) for key in a[part])
    critics = [state["others"]["critic"] for state in (a, b)]
    assert all(torch.equal(critics[0][key], critics[1][key]) for key in critics[0])
    moments = [state["optimizers"]["critic"]["state"][0]["exp_avg"] for state in (a, b)]
    assert torch.equal(*moments)


def test_a_phase_reaches_the_parameters_of_its_optimiser_alone(content, rivals):
    recipe = parse_recipe(content | {"optim": {"clip_by": "none"}}, "tiny")
    opened = loop.open_run(recipe, CPU)
    (objective,) = rivals
    batch = Batch(torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16))
    expected = list(objective.step(batch))[1].losses["critic"]
    gradients = torch.autograd.grad(expected, list(objective.critic.parameters()))
    loop.take_step(opened, batch, 1e-12)
    for parameter, gradient in zip(objective.critic.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-6)


class Scales(nn.Module):
    """Gives back its picture at three sizes."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return [y * self.gain for y in (x, *bicubic_pyramid(x, 2))]


def test_bicubic_scales_are_those_of_matlab():
    net = Scales()
    measured = []

    def measure(restored, reference, _degraded):
        measured.append((restored.detach(), reference))
        return (restored - reference).square().mean()

    autocast = torch.autocast("cpu", enabled=False)
    objective = Paired(
        net, torch.optim.Adam(net.parameters()), {"mse": measure}, lambda: autocast, "bicubic"
    )
    picture = torch.rand(1, 3, 32, 48)
    (phase,) = objective.step(Batch(picture, picture))
    assert [tuple(b.shape[-2:]) for _, b in measured] == [(32, 48), (16, 24), (8, 12)]
    assert float(phase.losses["mse"].detach()) < 1e-12
