import numpy as np
import pytest
import torch

from restorekit.data.crops import PictureCache
from restorekit.errors import PictureError
from restorekit.training.batches import Examples, batches
from restorekit.training.config import parse_recipe
from restorekit.training.distributed import Group
from restorekit.training.order import plan_order
from restorekit.training.sources import open_source


def drawn(content, steps=range(4), group=None, **changes):
    data = content["data"] | changes.pop("data", {})
    recipe = parse_recipe(content | changes | {"data": data}, "tiny")
    source = open_source(recipe.data)
    order, _ = plan_order(recipe, len(source.train_pictures))
    return list(batches(source, order, steps, group))


def test_batches_have_the_shape_asked_for(content):
    (batch, *_) = drawn(content)
    assert batch.degraded.shape == batch.reference.shape == (2, 3, 16, 16)
    assert batch.degraded.dtype == torch.float32
    assert not torch.equal(batch.degraded, batch.reference)


@pytest.mark.parametrize("mixup", [0.0, 1.2])
def test_batches_do_not_depend_on_workers_or_on_where_a_run_starts(content, mixup):
    content["data"] |= {"mixup": mixup}
    whole = drawn(content)
    by_worker = drawn(content, data={"workers": 2})
    tail = drawn(content, range(2, 4))
    for a, b in zip(whole + whole[2:], by_worker + tail, strict=True):
        assert torch.equal(a.degraded, b.degraded)
        assert torch.equal(a.reference, b.reference)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_broke_since_is_named(content, monkeypatch, workers):
    monkeypatch.setattr(PictureCache, "has_room", False)
    content["data"] |= {"workers": workers}
    recipe = parse_recipe(content, "tiny")
    source = open_source(recipe.data)
    order, _ = plan_order(recipe, len(source.train_pictures))
    for picture in source.train_pictures:
        picture.write_bytes(picture.read_bytes()[:-40])
    with pytest.raises(PictureError, match=r"^\S+\.png"):
        list(batches(source, order, range(4)))


def test_processes_see_the_parts_of_one_batch(content):
    content["data"] |= {"batch": 4, "mixup": 1.2}
    shares = [drawn(content, group=Group(rank, 2)) for rank in range(2)]
    for whole, *parts in zip(drawn(content), *shares, strict=True):
        assert torch.equal(whole.degraded, torch.cat([part.degraded for part in parts]))


def test_stages_change_the_shape_on_the_way(content):
    stages = [{"until": 2, "patch": 8, "batch": 6}]
    shapes = [
        tuple(b.degraded.shape) for b in drawn(content, data={"stages": stages, "workers": 1})
    ]
    assert shapes == [(6, 3, 8, 8)] * 2 + [(2, 3, 16, 16)] * 2


def test_a_mixed_example_lies_between_two(content):
    recipe = parse_recipe(content | {"data": content["data"] | {"mixup": 1.2}}, "tiny")
    source = open_source(recipe.data)
    order, _ = plan_order(recipe, len(source.train_pictures))
    step = next(s for s in range(99) if (m := order.mix(order.draw(s, 0))) and m.other.place)
    draw = order.draw(step, 0)
    mix = order.mix(draw)
    mixed = Examples(source, order).example(draw)
    for place in range(2):
        a, b = (source.random(recipe.seed, d)[place] for d in (draw, mix.other))
        np.testing.assert_allclose(mixed[place], mix.kept * a + (1 - mix.kept) * b, atol=1e-6)


def test_another_seed_gives_other_batches(content):
    first, other = drawn(content)[0], drawn(content, seed=1)[0]
    assert not torch.equal(first.reference, other.reference)
