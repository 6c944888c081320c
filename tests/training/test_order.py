from collections import Counter

import pytest

from restorekit.errors import UsageError
from restorekit.training.config import parse_recipe
from restorekit.training.distributed import Group
from restorekit.training.order import plan_order, require_shares


def planned(content, pictures, **changes):
    data = content["data"] | changes.pop("data", {})
    kept = {
        key: value for key, value in content.items() if key != "steps" or "epochs" not in changes
    }
    return plan_order(parse_recipe(kept | changes | {"data": data}, "tiny"), pictures)


def test_an_epoch_takes_every_picture_once_and_fills_the_last_batch(content):
    order, length = planned(content, 7, epochs=2, data={"batch": 3})
    assert (length.steps, length.epoch) == (6, 3)
    first, second = (
        [order.draw(step, place).picture for step in range(epoch, epoch + 3) for place in range(3)]
        for epoch in (0, 3)
    )
    assert sorted(first[:7]) == sorted(second[:7]) == [*range(7)]
    assert first[7:] == first[:2]
    assert first != second


def test_in_steps_pictures_are_drawn(content):
    order, length = planned(content, 7)
    assert (length.steps, length.epoch) == (20, None)
    assert order.draw(3, 1).picture is None


def test_stages_change_patch_and_batch_where_they_end(content):
    stages = [{"until": 3, "patch": 8, "batch": 6}, {"until": 5, "patch": 12, "batch": 4}]
    order, _ = planned(content, 5, data={"stages": stages})
    assert [(order.draw(step, 0).patch, order.batch(step)) for step in range(7)] == (
        [(8, 6)] * 3 + [(12, 4)] * 2 + [(16, 2)] * 2
    )


def test_processes_divide_a_step(content):
    order, _ = planned(content, 9, epochs=1, data={"batch": 6})
    whole = order.draws(1, Group())
    assert [d for rank in range(3) for d in order.draws(1, Group(rank, 3))] == whole
    assert len({d.place for d in whole}) == 6


def test_half_of_the_steps_are_mixed_within_their_batch(content):
    order, _ = planned(content, 5, data={"mixup": 1.2, "batch": 4})
    mixed = {step: [order.mix(d) for d in order.draws(step, Group())] for step in range(400)}
    counts = Counter(mixes[0] is not None for mixes in mixed.values())
    assert 160 < counts[True] < 240
    for step, mixes in mixed.items():
        if mixes[0] is not None:
            assert len({mix.kept for mix in mixes}) == 1
            assert sorted(mix.other.place for mix in mixes) == [0, 1, 2, 3]
            assert {mix.other.step for mix in mixes} == {step}


def test_a_batch_that_cannot_be_divided_is_refused(content):
    recipe = parse_recipe(content | {"speed": {"accumulate": 2}}, "tiny")
    require_shares(recipe, Group())
    with pytest.raises(UsageError, match="batch of 2 cannot be divided evenly into 4 parts"):
        require_shares(recipe, Group(0, 2))
