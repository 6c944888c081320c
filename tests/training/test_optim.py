import math

import pytest
import torch
from torch import nn

from restorekit.errors import UsageError
from restorekit.training.config import OptimRecipe
from restorekit.training.optim import (
    Length,
    build_optimizer,
    clip,
    freeze,
    learning_rate,
    parameter_groups,
    set_learning_rate,
    set_training_mode,
)

RECIPE = OptimRecipe(lr=1e-3, final_lr=1e-6, warmup=10)


def rates(recipe, length):
    return [learning_rate(step, length, recipe) for step in range(1, length.steps + 1)]


def test_the_rate_rises_then_falls_to_the_final_rate():
    seen = rates(RECIPE, Length(100))
    assert seen[0] == pytest.approx(1e-4)
    assert seen[9] == max(seen) == pytest.approx(1e-3)
    assert seen[54] == pytest.approx((1e-3 + 1e-6) / 2)
    assert seen[-1] == pytest.approx(1e-6)
    assert seen[9:] == sorted(seen[9:], reverse=True)


def test_without_warm_up_the_first_step_has_the_full_rate():
    recipe = RECIPE.model_copy(update={"warmup": 0})
    assert learning_rate(1, Length(1000), recipe) == pytest.approx(1e-3, rel=1e-3)


def test_epochs_have_the_rates_of_torchs_schedulers():
    epochs, warmup = 30, 3
    recipe = OptimRecipe(lr=1e-4, final_lr=1e-6, warmup=warmup)
    ours = rates(recipe, Length(4 * epochs, epoch=4))[::4]
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=1e-4)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs - warmup, 1e-6)
    theirs = [1e-4 * epoch / warmup for epoch in range(1, warmup + 1)]
    for _ in range(epochs - warmup):
        theirs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        cosine.step()
    assert ours == pytest.approx(theirs, rel=3e-3)


def test_the_rate_is_the_same_within_an_epoch():
    seen = rates(RECIPE, Length(100, epoch=5))
    assert all(len(set(seen[at : at + 5])) == 1 for at in range(0, 100, 5))


def test_milestones_halve_the_rate_behind_them():
    recipe = OptimRecipe(
        lr=5e-5, warmup=0, schedule="milestones", milestones=(400, 500, 600), factor=0.5
    )
    seen = rates(recipe, Length(2000, epoch=2))[::2]
    assert seen[:400] == [5e-5] * 400
    assert seen[400:500] == [2.5e-5] * 100
    assert seen[-1] == 5e-5 / 8


def test_periods_hold_and_restart():
    recipe = OptimRecipe(
        lr=3e-4, warmup=0, schedule="restarts", periods=(92, 208), floors=(3e-4, 1e-6)
    )
    seen = rates(recipe, Length(300))
    assert seen[:92] == [3e-4] * 92
    assert seen[92 + 104 - 1] == pytest.approx((3e-4 + 1e-6) / 2)
    assert seen[-1] == pytest.approx(1e-6)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(3, 4, 3)
        self.body = nn.ModuleList([nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)])
        self.tail = nn.Conv2d(4, 3, 3)


def scales(recipe):
    net = Small()
    names = {parameter: name for name, parameter in net.named_parameters()}
    groups = parameter_groups(net, recipe)
    return {names[p]: group["scale"] for group in groups for p in group["params"]}


def test_one_group_holds_all_where_nothing_else_is_said():
    (group,) = build_optimizer(Small(), RECIPE).param_groups
    assert len(group["params"]) == 8


def test_the_first_group_that_matches_counts():
    recipe = OptimRecipe(
        groups=[{"match": "head.bias", "lr_scale": 2}, {"match": "head*", "lr_scale": 10}]
    )
    found = scales(recipe)
    assert (found["head.weight"], found["head.bias"], found["tail.bias"]) == (10, 2, 1)


def test_layers_further_from_the_end_learn_slower():
    found = scales(OptimRecipe(layer_decay=0.5))
    names = ("head.weight", "body.0.weight", "body.1.weight", "tail.weight")
    assert [found[name] for name in names] == [1 / 8, 1 / 4, 1 / 2, 1]


def test_a_groups_factor_multiplies_the_scheduled_rate():
    recipe = OptimRecipe(groups=[{"match": "tail*", "lr_scale": 10}])
    optimizer = build_optimizer(Small(), recipe)
    set_learning_rate(optimizer, 1e-3)
    assert sorted(group["lr"] for group in optimizer.param_groups) == [1e-3, 1e-2]


def test_frozen_parameters_are_not_trained_and_their_batch_norms_stay():
    net = Small()
    freeze(net, ["body*"])
    set_training_mode(net)
    assert not net.body[1].training
    assert net.tail.training
    assert len(build_optimizer(net, RECIPE).param_groups[0]["params"]) == 4


@pytest.mark.parametrize(("pattern", "said"), [("haed*", "head"), ("*", "no parameter to train")])
def test_a_pattern_that_freezes_nothing_or_all_is_refused(pattern, said):
    with pytest.raises(UsageError, match=said):
        freeze(Small(), [pattern])


def with_gradients(*values):
    parameters = [nn.Parameter(torch.zeros(1)) for _ in values]
    for parameter, value in zip(parameters, values, strict=True):
        parameter.grad = torch.tensor([value])
    return parameters


@pytest.mark.parametrize(
    ("clip_by", "left"),
    [("norm", [0.3, -0.4]), ("value", [0.5, -0.5]), ("none", [3.0, -4.0])],
)
def test_gradients_are_clipped_as_asked(clip_by, left):
    parameters = with_gradients(3.0, -4.0)
    assert clip(parameters, OptimRecipe(clip=0.5, clip_by=clip_by))
    assert [float(p.grad) for p in parameters] == pytest.approx(left, rel=1e-4)


@pytest.mark.parametrize("clip_by", ["norm", "value", "none"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_gradients_that_are_not_finite_are_told(clip_by, value):
    assert not clip(with_gradients(1.0, value), OptimRecipe(clip_by=clip_by))
