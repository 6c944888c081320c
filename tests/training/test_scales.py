"""Training on the fly where the recipe reduces the size, as for super-resolution."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image as PillowImage

from restorekit.backends.model import load_model
from restorekit.errors import DataError, UsageError
from restorekit.events import Validated
from restorekit.training.batches import batches, collate
from restorekit.training.config import parse_recipe
from restorekit.training.loop import run_training
from restorekit.training.order import plan_order
from restorekit.training.sources import open_source

CPU = torch.device("cpu")

NETS = {
    scale: {"backend": "srvgg", "config": {"scale": scale, "channels": 4, "convs": 1}}
    for scale in (2, 3, 4)
}


@pytest.fixture
def content(content, photos):
    for number in range(5):
        samples = np.random.default_rng(number).integers(0, 256, (72, 80, 3), dtype=np.uint8)
        PillowImage.fromarray(samples).save(photos / f"{number}.png")
    content["data"] |= {"patch": 16, "validation_patch": 16}
    return content | {"task": "sr", "steps": 4}


def opened(content, degradation, **changes):
    data = content["data"] | {"degradation": degradation} | changes
    return parse_recipe(content | {"data": data}, "tiny")


@pytest.mark.parametrize(
    ("degradation", "scale"),
    [("classical-x2", 2), ("classical-x3", 3), ("realesrgan-x4", 4), ("bsrgan-x4", 4)],
)
def test_the_reference_is_as_many_times_larger(content, degradation, scale):
    recipe = opened(content, degradation)
    source = open_source(recipe.data)
    assert source.scale == scale
    order, _ = plan_order(recipe, len(source.train_pictures))
    (batch, *_) = batches(source, order, range(1))
    assert batch.degraded.shape == (2, 3, 16, 16)
    assert batch.reference.shape == (2, 3, 16 * scale, 16 * scale)
    (held,) = source.held_out(0)
    assert held[0].shape == (16, 16, 3)
    assert held[1].shape == (16 * scale, 16 * scale, 3)


def test_the_degraded_crop_is_the_reference_reduced(content):
    recipe = opened(content, {"steps": [{"op": "downsampling", "factor": 2, "kernel": "area"}]})
    source = open_source(recipe.data)
    order, _ = plan_order(recipe, len(source.train_pictures))
    for batch in batches(source, order, range(3)):
        torch.testing.assert_close(batch.degraded, F.avg_pool2d(batch.reference, 2))


@pytest.mark.parametrize("scale", [2, 4])
def test_a_net_is_trained_and_measured_against_bicubic(content, tmp_path, scale):
    recipe = opened(content | {"net": NETS[scale]}, f"classical-x{scale}")
    events = list(run_training(recipe, tmp_path / "run", resume=False, device=CPU))
    measured = next(event for event in events if isinstance(event, Validated))
    (example,) = open_source(recipe.data).held_out(recipe.seed)
    held = collate([example])
    enlarged = F.interpolate(held.degraded, scale_factor=scale, mode="bicubic").clamp(0, 1)
    bicubic = -10 * math.log10((enlarged - held.reference).square().mean())
    assert measured.values["degraded_psnr"] == pytest.approx(bicubic, abs=1e-3)
    assert load_model(tmp_path / "run" / "tiny.safetensors", device="cpu").scale == scale


def test_a_net_of_another_scale_is_refused(content, tmp_path):
    recipe = opened(content | {"net": NETS[4]}, "classical-x2")
    with pytest.raises(UsageError, match="enlarges 4 times and the references are 2 times"):
        next(run_training(recipe, tmp_path / "run", resume=False, device=CPU))


def test_a_scale_that_is_drawn_is_refused(content):
    steps = [{"op": "downsampling", "factor": "2..3"}]
    with pytest.raises(UsageError, match="reduces pictures 2 or 3 times"):
        open_source(opened(content, {"steps": steps}).data)


def test_a_photo_smaller_than_the_larger_patch_is_named(content):
    with pytest.raises(DataError, match="smaller than the 96-pixel patch"):
        open_source(opened(content, "realesrgan-x4", patch=24).data)


def test_small_photos_are_mirrored_where_that_is_asked_for(content):
    recipe = opened(content, "realesrgan-x4", patch=24, small="pad")
    source = open_source(recipe.data)
    order, _ = plan_order(recipe, len(source.train_pictures))
    (batch,) = batches(source, order, range(1))
    assert batch.reference.shape == (2, 3, 96, 96)


def test_clips_are_no_photos(content):
    with pytest.raises(UsageError, match="averages frames needs clips"):
        open_source(opened(content, "gopro-like").data)


@pytest.mark.parametrize("sides", [(64, 72), (67, 75)], ids=["exact", "with a remainder"])
def test_pairs_on_disk_of_two_sizes_are_cropped_at_the_same_place(content, photos, sides):
    for number in range(3):
        coarse = np.random.default_rng(number).integers(0, 256, (16, 18, 3), dtype=np.uint8)
        large = np.zeros((*sides, 3), np.uint8)
        large[:64, :72] = coarse.repeat(4, axis=0).repeat(4, axis=1)
        for kind, samples in (("degraded", coarse), ("reference", large)):
            (photos / kind).mkdir(exist_ok=True)
            PillowImage.fromarray(samples).save(photos / kind / f"{number}.png")
    data = {"photos": None, "pairs": str(photos), "patch": 8}
    recipe = opened(content | {"net": NETS[4]}, None, **data)
    source = open_source(recipe.data)
    assert source.scale == 4
    order, _ = plan_order(recipe, len(source.train_pictures))
    for batch in batches(source, order, range(4)):
        assert batch.degraded.shape == (2, 3, 8, 8)
        enlarged = F.interpolate(batch.degraded, scale_factor=4, mode="nearest")
        torch.testing.assert_close(enlarged, batch.reference)
