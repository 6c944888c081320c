from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from restorekit.backends.card import Training
from restorekit.errors import UsageError
from restorekit.events import TileDone, Warned
from restorekit.inference import pipeline
from restorekit.inference.pipeline import Restorer
from restorekit.types import Image, Precision


def identity(x):
    return x


def invert(x):
    return 1 - x


def double(x):
    return F.interpolate(x, scale_factor=2, mode="nearest")


def run(restorer, image):
    """Restore an image; returns it and the events."""
    events = []
    steps = restorer.restore(image)
    while True:
        try:
            events.append(next(steps))
        except StopIteration as stop:
            return stop.value, events


def picture(dtype=np.uint8, channels=3, height=70, width=90, **parts):
    samples = np.random.default_rng(7).random((height, width, channels), dtype=np.float32)
    if dtype != np.float32:
        samples = (samples * np.iinfo(dtype).max).astype(dtype)
    return Image(samples, **parts)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("net_channels", [1, 3])
def test_depth_and_greyness_are_kept(make_model, dtype, channels, net_channels):
    image = picture(dtype, channels)
    model = make_model(identity, channels=net_channels)
    restored, events = run(Restorer(model, tile=40, overlap=8), image)
    assert restored.pixels.dtype == dtype
    tolerance = 1e-7 if dtype == np.float32 else 0
    np.testing.assert_allclose(restored.pixels, image.pixels, rtol=0, atol=tolerance)
    assert events[-1] == TileDone(6, 6)


def test_a_colour_net_sees_a_grey_picture_in_three_equal_channels(make_model):
    gains = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1)
    restored, _ = run(Restorer(make_model(lambda x: x * gains)), picture(channels=1))
    expected = picture(channels=1).pixels / 2
    np.testing.assert_allclose(restored.pixels, expected, atol=0.5)


def test_metadata_goes_through(make_model):
    image = picture(icc=b"icc", exif=b"exif", xmp=b"xmp")
    restored, _ = run(Restorer(make_model(invert)), image)
    assert (restored.icc, restored.exif, restored.xmp) == (b"icc", b"exif", b"xmp")
    np.testing.assert_array_equal(restored.pixels, 255 - image.pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_alpha_keeps_its_bytes(make_model, dtype):
    alpha = picture(dtype, 1).pixels[..., 0]
    restored, _ = run(Restorer(make_model(invert)), picture(dtype, alpha=alpha))
    assert restored.alpha is alpha


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_model_that_enlarges_leaves_no_dark_fringe(make_model, dtype):
    white = 1 if dtype == np.float32 else np.iinfo(dtype).max
    alpha = np.zeros((40, 40), dtype)
    alpha[10:30, 10:30] = white
    pixels = np.repeat(alpha[..., None], 3, axis=2)
    blur = nn.Conv2d(3, 3, 5, padding=2, padding_mode="reflect", groups=3, bias=False)
    nn.init.constant_(blur.weight, 1 / 25)
    model = make_model(lambda x: double(blur(x)), scale=2)
    restored, _ = run(Restorer(model), Image(pixels, alpha))
    assert restored.alpha.shape == (80, 80)
    assert restored.alpha.dtype == dtype
    assert restored.alpha.max() == white
    assert restored.alpha[0, 0] == 0
    assert restored.pixels.min() >= white * 0.99


def test_a_picture_that_is_all_transparent_is_left_as_it_is(make_model):
    image = picture(alpha=np.zeros((70, 90), np.uint8))
    restored, _ = run(Restorer(make_model(identity)), image)
    np.testing.assert_array_equal(restored.pixels, image.pixels)


@pytest.mark.parametrize("scale", [1, 2])
def test_strength_mixes_with_the_degraded_picture(make_model, scale):
    flat = Image(np.full((20, 30, 3), 200, np.uint8))

    def black(x):
        return torch.zeros(len(x), 3, x.shape[-2] * scale, x.shape[-1] * scale)

    model = make_model(black, scale=scale)
    levels = [
        run(Restorer(model, strength=strength), flat)[0].pixels for strength in (0, 0.25, 0.5, 1)
    ]
    assert [level.shape for level in levels] == [(20 * scale, 30 * scale, 3)] * 4
    assert [np.unique(level).tolist() for level in levels] == [[200], [150], [100], [0]]


def test_strength_0_returns_the_picture_itself(make_model):
    image = picture(np.float32, alpha=np.zeros((70, 90), np.float32))
    image.pixels[0, 0] = np.nan
    restored, events = run(Restorer(make_model(invert), strength=0), image)
    assert restored is image
    assert events == []


def test_the_ensemble_averages_the_eight_orientations(make_model):
    weights = torch.rand(3, 1, 3, 3, generator=torch.Generator().manual_seed(0))

    def net(x):
        return F.conv2d(F.pad(x, (1,) * 4, "reflect"), weights / 9, groups=3)

    orientations = [
        turned.flip(-1) if flipped else turned
        for turned in (torch.rot90(weights, turns, (-2, -1)) for turns in range(4))
        for flipped in (False, True)
    ]
    mean = torch.stack(orientations).mean(0)

    def symmetric(x):
        return F.conv2d(F.pad(x, (1,) * 4, "reflect"), mean / 9, groups=3)

    x = torch.rand(2, 3, 33, 50)
    restored = Restorer(make_model(net), ensemble=True).restore_tensor(x)
    torch.testing.assert_close(restored, symmetric(x), rtol=0, atol=1e-6)


def test_restore_tensor_tiles_a_batch_and_clamps(make_model):
    x = torch.rand(2, 3, 50, 61) * 2 - 0.5
    before = x.clone()
    restored = Restorer(make_model(identity, multiple=8), tile=32).restore_tensor(x)
    assert torch.equal(restored, x.clamp(0, 1))
    assert torch.equal(x, before)


def test_restore_tensor_warns(make_model):
    def cramped(x):
        if x.shape[-1] > 80:
            raise torch.OutOfMemoryError
        return x

    with pytest.warns(UserWarning, match="out of memory; going on with tiles of"):
        Restorer(make_model(cramped), tile=0, overlap=8).restore_tensor(torch.rand(1, 3, 80, 150))


def test_precision_reaches_the_net_and_overflow_is_redone(make_model):
    seen = []

    def net(x):
        seen.append((x * 1).dtype if not torch.is_autocast_enabled("cpu") else "lowered")
        return x / 0 if len(seen) == 1 else x

    model = make_model(net, bfloat16=True)
    restored, events = run(Restorer(model, precision=Precision.BFLOAT16), picture())
    np.testing.assert_array_equal(restored.pixels, picture().pixels)
    assert seen == ["lowered", torch.float32]
    assert [type(event) for event in events] == [Warned, TileDone]


@pytest.mark.parametrize(("dtype", "lowered"), [(np.uint8, True), (np.uint16, False)])
def test_the_arithmetic_goes_by_the_depth_of_the_picture(make_model, monkeypatch, dtype, lowered):
    seen = []

    def net(x):
        seen.append(torch.is_autocast_enabled("cpu"))
        return x

    model = make_model(net, bfloat16=True)
    training = Training(
        data="", recipe="", recipe_sha256="", steps=1, seconds=1, precision="bfloat16"
    )
    model = replace(model, card=model.card.model_copy(update={"training": training}))
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    run(Restorer(model, tile=40), picture(dtype))
    assert set(seen) == {lowered}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tile": -1}, "tile must be"),
        ({"overlap": -1}, "overlap must be"),
        ({"strength": 1.5}, "strength must be 0 to 1"),
        ({"strength": float("nan")}, "strength must be 0 to 1"),
        ({"precision": Precision.FLOAT16}, "not exact enough in float16"),
    ],
)
def test_options_out_of_range_are_refused(make_model, options, message):
    with pytest.raises(UsageError, match=message):
        Restorer(make_model(identity), **options)


def test_the_automatic_tile_is_used_for_large_pictures_only(make_model, monkeypatch):
    monkeypatch.setattr(pipeline, "automatic_tile", lambda *args, **options: 100)
    restorer = Restorer(make_model(identity))
    assert run(restorer, picture())[1] == [TileDone(1, 1)]
    assert len(run(restorer, picture(height=300, width=300))[1]) == 16


def test_tiles_begin_in_the_phase_of_the_net(make_model):
    """A net that averages blocks of 8 gives the same picture in tiles as at once."""

    def blocks(x):
        return F.interpolate(F.avg_pool2d(x, 8), scale_factor=8, mode="nearest")

    model = make_model(blocks, multiple=8)
    x = torch.rand(1, 3, 203, 117)
    at_once = Restorer(model, tile=0).restore_tensor(x)
    torch.testing.assert_close(Restorer(model, tile=64, overlap=16).restore_tensor(x), at_once)


def test_a_net_that_takes_two_views_takes_no_single_picture(make_model):
    restorer = Restorer(make_model(lambda x: x[:, :3], channels=6))
    with pytest.raises(UsageError, match="takes 6 channels at once, such as the left and the righ"):
        run(restorer, picture())
    views = torch.rand(1, 6, 20, 24)
    assert torch.equal(restorer.restore_tensor(views), views[:, :3])
