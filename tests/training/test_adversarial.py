import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from restorekit.backends.checkpoint import read_checkpoint
from restorekit.errors import TrainingError, UsageError
from restorekit.events import StepDone
from restorekit.training.config import parse_recipe
from restorekit.training.finetune import plan_tuning
from restorekit.training.loop import open_run, run_training, take_step
from restorekit.training.losses import build_losses
from restorekit.training.objectives import Batch
from restorekit.training.objectives.adversarial import GAMES, Adversarial
from restorekit.training.objectives.paired import Paired
from restorekit.training.state import STATE, read_state
from tests.training.processes import start_two

CPU = torch.device("cpu")
KINDS = ["vanilla", "lsgan", "relativistic"]


@pytest.fixture
def rivals(content):
    """A tiny recipe with a discriminator."""
    content["data"] |= {"patch": 24}
    return content | {
        "losses": {"l1": 1.0, "adversarial": 0.01},
        "discriminator": {"width": 2},
    }


def run(recipe, folder, resume=False):
    events = run_training(recipe, folder, resume=resume, device=CPU)
    return [event for event in events if isinstance(event, StepDone)]


def entropy(scores, label):
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, label))


@pytest.fixture
def scores():
    torch.manual_seed(0)
    return 3 * torch.randn(4, 1, 3, 3), 3 * torch.randn(4, 1, 3, 3) - 1


def test_vanilla_is_cross_entropy(scores):
    real, fake = scores
    expected = (entropy(real, 1) + entropy(fake, 0)) / 2
    torch.testing.assert_close(GAMES["vanilla"].discriminator(real, fake), expected)
    torch.testing.assert_close(GAMES["vanilla"].net(real, fake), entropy(fake, 1))


def test_least_squares_pulls_to_one_and_zero(scores):
    real, fake = scores
    expected = (F.mse_loss(real, torch.ones_like(real)) + F.mse_loss(fake, 0 * fake)) / 2
    torch.testing.assert_close(GAMES["lsgan"].discriminator(real, fake), expected)
    one, zero = torch.ones(2, 1, 1, 1), torch.zeros(2, 1, 1, 1)
    assert GAMES["lsgan"].discriminator(one, zero) == 0
    assert GAMES["lsgan"].net(zero, one) == 0
    assert GAMES["lsgan"].net(one, zero) == 0.5


def test_relativistic_compares_with_the_mean_of_the_other(scores):
    real, fake = scores
    above, below = real - fake.mean(), fake - real.mean()
    expected = (entropy(above, 1) + entropy(below, 0)) / 2
    torch.testing.assert_close(GAMES["relativistic"].discriminator(real, fake), expected)
    expected = (entropy(above, 0) + entropy(below, 1)) / 2
    torch.testing.assert_close(GAMES["relativistic"].net(real, fake), expected)


@pytest.mark.parametrize("kind", ["vanilla", "relativistic"])
def test_whoever_cannot_tell_loses_a_bit(kind):
    undecided = torch.zeros(2, 1, 3, 3)
    for side in (GAMES[kind].discriminator, GAMES[kind].net):
        assert float(side(undecided, undecided)) == pytest.approx(math.log(2))


@pytest.mark.parametrize("kind", ["vanilla", "relativistic"])
def test_the_sides_want_the_opposite(kind, scores):
    real, fake = (score.requires_grad_() for score in scores)
    told = torch.autograd.grad(GAMES[kind].discriminator(real, fake).sum(), fake)[0]
    fooled = torch.autograd.grad(GAMES[kind].net(real, fake).sum(), fake)[0]
    assert (told > 0).all()
    assert (fooled < 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_is_the_net_then_the_discriminator(rivals, kind):
    recipe = parse_recipe(rivals | {"discriminator": {"kind": kind, "width": 2}}, "tiny")
    objective = open_run(recipe, CPU).objective
    judge = objective.others["discriminator"]
    batch = Batch(torch.rand(2, 3, 24, 24), torch.rand(2, 3, 24, 24))
    restored = objective.net(batch.degraded).detach()
    real, fake = judge(batch.reference), judge(restored)
    first, second = objective.step(batch)
    assert first.optimizer is objective.optimizers["net"]
    assert second.optimizer is objective.optimizers["discriminator"]
    assert {*first.losses} == {"l1", "adversarial"}
    torch.testing.assert_close(first.losses["l1"], F.l1_loss(restored, batch.reference))
    expected = 0.01 * GAMES[kind].net(real, fake)
    torch.testing.assert_close(first.losses["adversarial"], expected)
    torch.testing.assert_close(
        second.losses["discriminator"], GAMES[kind].discriminator(real, fake)
    )


class Scales(nn.Module):
    """Gives back its picture at two sizes, the larger one first, and a brighter one."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return [x * self.gain, x * self.gain * 2, x[..., ::2, ::2] * self.gain]


def test_the_discriminator_sees_the_last_of_the_finest_scale():
    net, seen = Scales(), []

    class Judge(nn.Module):
        def forward(self, pictures):
            seen.append(pictures)
            return pictures.mean((1, 2, 3), keepdim=True)

    def exact():
        return torch.autocast("cpu", enabled=False)

    paired = Paired(
        net, torch.optim.Adam(net.parameters()), build_losses({"l1": 1.0}, None, CPU), exact
    )
    unused = torch.optim.Adam([nn.Parameter(torch.ones(1))])
    objective = Adversarial(paired, Judge(), unused, GAMES["vanilla"], 1.0, exact)
    x, reference = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    list(objective.step(Batch(x, reference)))
    judged = [pictures for pictures in seen if pictures is not reference]
    assert all(torch.equal(pictures, 2 * x) for pictures in judged)
    assert [pictures.requires_grad for pictures in judged] == [True, False]


def test_a_run_trains_both_and_resumes_bit_for_bit(rivals, tmp_path):
    recipe = parse_recipe(rivals, "tiny")
    steps = run(recipe, tmp_path / "whole")
    assert all([*step.losses] == ["l1", "adversarial", "discriminator"] for step in steps)
    events = run_training(recipe, tmp_path / "halves", resume=False, device=CPU)
    for event in events:
        if isinstance(event, StepDone) and event.step == 10:
            events.close()
    assert len(run(recipe, tmp_path / "halves", resume=True)) == 10
    a, b = (read_state(tmp_path / name / STATE) for name in ("whole", "halves"))
    assert [*a["others"]] == ["discriminator"]
    assert [*a["optimizers"]] == ["net", "discriminator"]
    for part in ("net", "average", "others", "optimizers"):
        torch.testing.assert_close(a[part], b[part], rtol=0, atol=0)
    untrained = open_run(recipe, CPU).objective.others["discriminator"].state_dict()
    trained = a["others"]["discriminator"]
    assert not any(torch.equal(untrained[key], trained[key]) for key in trained)


def test_the_checkpoint_has_the_net_alone(rivals, tmp_path):
    recipe = parse_recipe(rivals | {"steps": 10}, "tiny")
    run(recipe, tmp_path)
    shipped = read_checkpoint(tmp_path / "tiny.safetensors").state
    assert {*shipped} == {*open_run(recipe, CPU).objective.net.state_dict()}


def test_the_net_starts_as_without_a_discriminator(content, rivals):
    nets = [
        open_run(parse_recipe(said, "tiny"), CPU).objective.net.state_dict()
        for said in (content, rivals)
    ]
    assert all(torch.equal(nets[0][key], nets[1][key]) for key in nets[0])


def test_the_discriminator_moves_the_net_and_learns_to_tell(rivals):
    said = {"losses": {"l1": 1e-6, "adversarial": 1.0}, "optim": {"clip_by": "none"}}
    opened = open_run(parse_recipe(rivals | said, "tiny"), CPU)
    objective = opened.objective
    before = [p.detach().clone() for p in objective.net.parameters()]
    batch = Batch(torch.rand(2, 3, 24, 24) / 4, torch.rand(2, 3, 24, 24))
    first, _ = take_step(opened, batch, 1e-3)
    assert any(
        (p.detach() - q).abs().max() > 5e-4
        for p, q in zip(objective.net.parameters(), before, strict=True)
    )
    objective.optimizers["net"].param_groups[0]["scale"] = 0.0
    for _ in range(60):
        last, _ = take_step(opened, batch, 3e-3)
    assert last["discriminator"] < 0.5 * first["discriminator"]
    assert last["adversarial"] > first["adversarial"]


@pytest.mark.parametrize(
    ("change", "tolerance"),
    [
        ({"speed": {"accumulate": 2}}, 1e-4),
        ({"speed": {"recompute": True}}, 1e-4),
        ({"precision": "bfloat16"}, 0.05),
        ({"precision": "float16"}, 0.05),
    ],
)
def test_what_makes_a_step_faster_or_smaller_leaves_the_losses(rivals, tmp_path, change, tolerance):
    rivals |= {"steps": 6}
    plain = run(parse_recipe(rivals, "tiny"), tmp_path / "plain")
    changed = run(parse_recipe(rivals | change, "tiny"), tmp_path / "changed")
    for one, other in zip(plain, changed, strict=True):
        assert other.losses == pytest.approx(one.losses, rel=tolerance)


def test_two_processes_play_as_one(rivals, tmp_path):
    rivals |= {"steps": 4}
    recipe = parse_recipe(rivals, "tiny")
    run(recipe, tmp_path / "one")
    path = tmp_path / "tiny.json"
    path.write_text(recipe.model_dump_json())
    arguments = ["train", path, "-o", tmp_path / "two", "--device", "cpu"]
    for process in start_two(arguments, tmp_path / "said"):
        process.join()
        assert process.exitcode == 0, (tmp_path / "said.0").read_text()
    one, two = (read_state(tmp_path / name / STATE)["others"] for name in ("one", "two"))
    torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-5)


def test_its_rate_is_that_of_the_recipe_times_its_own_factor(rivals):
    said = {
        "discriminator": {"width": 2, "lr_scale": 4.0},
        "optim": {"layer_decay": 0.5, "groups": [{"match": "m_head*", "lr_scale": 0.1}]},
    }
    opened = open_run(parse_recipe(rivals | said, "tiny"), CPU)
    batch = Batch(torch.rand(2, 3, 24, 24), torch.rand(2, 3, 24, 24))
    take_step(opened, batch, 1e-3)
    groups = opened.objective.optimizers["discriminator"].param_groups
    assert [group["lr"] for group in groups] == [4e-3]


def test_patches_smaller_than_it_can_score_are_refused(rivals):
    rivals["data"] |= {"patch": 32, "stages": [{"until": 5, "patch": 16, "batch": 2}]}
    with pytest.raises(UsageError, match=r"24 pixels a side .* gives 16; .* to 24 or more"):
        open_run(parse_recipe(rivals, "tiny"), CPU)


def test_the_size_that_counts_is_that_of_the_reference(rivals, tmp_path):
    rivals |= {"task": "sr", "steps": 2, "losses": {"l1": 1.0, "adversarial": 0.01}}
    rivals["net"] = {"backend": "srvgg", "config": {"channels": 4, "convs": 1, "scale": 2}}
    rivals["data"] |= {"degradation": "classical-x2", "patch": 11}
    with pytest.raises(UsageError, match=r"gives 22; set data\.patch .* to 12 or more"):
        open_run(parse_recipe(rivals, "tiny"), CPU)
    rivals["data"] |= {"patch": 12}
    assert len(run(parse_recipe(rivals, "tiny"), tmp_path)) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"losses": {"adversarial": 1.0}}, "needs another loss, as l1, beside it"),
        ({"losses": {"l1": 1.0}}, "discriminator has no effect without"),
        ({"discriminator": {"kind": "wgan"}}, r"discriminator\.kind: .*\(got 'wgan'\)"),
        ({"discriminator": {"widht": 2}}, "did you mean width"),
    ],
)
def test_what_cannot_work_is_refused(rivals, change, said):
    with pytest.raises(UsageError, match=said):
        parse_recipe(rivals | change, "tiny")


def test_a_run_without_a_discriminator_does_not_go_on_with_one(content, rivals, tmp_path):
    run(parse_recipe(content | {"steps": 1}, "tiny"), tmp_path)
    overrides = {"steps": 2, "losses.adversarial": 0.1, "data.patch": 24}
    with pytest.raises(TrainingError, match=r"has no discriminator .*; take the weights"):
        plan_tuning(tmp_path / STATE, None, data=None, overrides=overrides)
