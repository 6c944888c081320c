import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restorekit.nets.deepdeblur import (
    DeepDeblur,
    bicubic_pyramid,
    gaussian_pyramid,
    infer_config,
)
from tests.golden_files import golden, names, spec_of

SMALL = {"blocks": 2, "width": 4, "kernel": 3}

sizes = st.integers(1, 12)


def empty(**config):
    with torch.device("meta"):
        return DeepDeblur(**config)


def small_net(dtype=torch.float32, **config):
    torch.manual_seed(1)
    return DeepDeblur(**SMALL | config).to(dtype).eval()


def picture(*size, dtype=torch.float64):
    torch.manual_seed(2)
    return torch.rand(*size, dtype=dtype)


@pytest.mark.parametrize("name", names("deepdeblur"))
def test_agrees_with_the_published_code(name):
    file = golden(name)
    net = file.load_into(empty())
    with torch.inference_mode():
        outputs = net.restore([file.input(key) for key in ("input", "input_1", "input_2")])
    file.check({f"output_{scale}": output for scale, output in enumerate(outputs)})


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        ({}, 11_721_321),
        ({"shuffle": False}, 11_719_665),
        ({"scales": 2}, 7_812_310),
        ({"scales": 1}, 3_903_299),
        ({"blocks": 9}, 5_573_481),
        ({"blocks": 9, "shuffle": False}, 5_571_825),
    ],
)
def test_parameters_are_those_of_the_published_forms(config, parameters):
    assert sum(p.numel() for p in empty(**config).parameters()) == parameters


@pytest.mark.parametrize("scales", [1, 2, 3])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("shape", [(19, 64, 5), (1, 6, 3), (12, 3, 7)])
def test_configuration_is_read_off_the_weights(scales, shuffle, shape):
    config = dict(zip(("blocks", "width", "kernel"), shape, strict=True))
    net = empty(**config, scales=scales, shuffle=shuffle)
    inferred = infer_config(net.state_dict())
    assert spec_of(empty(**inferred).state_dict()) == spec_of(net.state_dict())
    assert {**inferred, "shuffle": shuffle} == {
        **config,
        "scales": scales,
        "shuffle": shuffle,
        "peak": 255,
        "pyramid": "gaussian",
    }
    assert inferred["shuffle"] is (shuffle or scales == 1)


@pytest.mark.parametrize("shuffle", [True, False])
def test_the_range_of_the_weights_stays_inside(shuffle):
    one, many = (small_net(torch.float64, peak=p, shuffle=shuffle) for p in (1, 255))
    with torch.no_grad():
        for net in (one, many):
            for bias in (p for p in net.parameters() if p.ndim == 1):
                bias *= net.peak
    x = picture(1, 3, 8, 12)
    assert all(map(torch.allclose, one(x), many(x)))


@settings(deadline=None, max_examples=25)
@given(sizes, sizes)
def test_the_gaussian_pyramid_is_that_of_skimage(rows, columns):
    transform = pytest.importorskip("skimage.transform")
    pixels = np.random.default_rng(0).random((4 * rows, 4 * columns, 3))
    expected = [*transform.pyramid_gaussian(pixels, max_layer=2, channel_axis=-1)][1:]
    ours = gaussian_pyramid(torch.from_numpy(pixels).permute(2, 0, 1)[None], 2)
    # A side of one pixel ends skimage's pyramid.
    for output, other in zip(ours, expected, strict=False):
        assert np.allclose(output[0].permute(1, 2, 0), other, rtol=0, atol=1e-7)


def test_the_bicubic_pyramid_is_that_of_matlab():
    ramp = torch.arange(0, 160, 10.0, dtype=torch.float64).expand(1, 1, 16, 16)
    half, quarter = bicubic_pyramid(ramp, 2)
    assert half[0, 0, 3].tolist() == pytest.approx(
        [4.492188, 24.882812, 45, 65, 85, 105, 125.117188, 145.507812], abs=1e-6
    )
    assert quarter[0, 0, :, 1].tolist() == pytest.approx([54.838867] * 4, abs=1e-6)
    assert quarter[0, 0, 1].tolist() == pytest.approx(
        [13.598633, 54.838867, 95.161133, 136.401367], abs=1e-6
    )


@pytest.mark.parametrize("pyramid", [gaussian_pyramid, bicubic_pyramid])
@settings(deadline=None, max_examples=20)
@given(sizes, sizes, st.floats(-10, 10, width=32))
def test_a_flat_picture_stays_flat(pyramid, rows, columns, value):
    x = torch.full((1, 2, 4 * rows, 4 * columns), value, dtype=torch.float64)
    half, quarter = pyramid(x, 2)
    assert half.shape == (1, 2, 2 * rows, 2 * columns)
    assert quarter.shape == (1, 2, rows, columns)
    assert all(torch.allclose(y, x[..., :1, :1], atol=1e-6) for y in (half, quarter))


@pytest.mark.parametrize("config", [{}, {"pyramid": "bicubic", "shuffle": False}])
def test_layout_and_batch_change_no_output(config):
    net = small_net(torch.float64, **config)
    x = picture(2, 3, 12, 20)
    expected = [torch.cat(same) for same in zip(*map(net, x.split(1)), strict=True)]
    with torch.inference_mode():
        outputs = net(x.contiguous(memory_format=torch.channels_last))
    assert all(map(torch.allclose, outputs, expected))
    assert [y.shape[2:] for y in outputs] == [(12, 20), (6, 10), (3, 5)]


@pytest.mark.parametrize("config", [{}, {"shuffle": False, "peak": 1, "pyramid": "bicubic"}])
def test_gradients_of_the_full_picture_reach_every_weight(config):
    net = small_net(**config).train()
    net(picture(1, 3, 16, 24, dtype=torch.float32))[0].square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


@pytest.mark.parametrize(
    "config", [{"scales": 0}, {"scales": 4}, {"kernel": 4}, {"pyramid": "box"}, {"peak": 0}]
)
def test_an_impossible_configuration_is_refused(config):
    with pytest.raises(ValueError, match="one to 3 scales, an odd kernel"):
        DeepDeblur(**SMALL | config)


@pytest.mark.parametrize("size", [(6, 8), (8, 6)])
def test_an_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match="multiples of 4, got"):
        small_net()(torch.zeros(1, 3, *size))
