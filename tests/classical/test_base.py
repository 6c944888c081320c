from typing import Annotated

import numpy as np
import pytest
import torch
from pydantic import Field

from restorekit.classical.base import Method, box_mean, guided, mirrored, noise_level


@Method
def shifted(picture, by: Annotated[float, Field(ge=0, le=1, description="in values")] = 0.25):
    """Add a number."""
    return picture + np.float32(by)


def test_a_method_is_a_net_without_weights():
    net = shifted(by=0.5)
    x = torch.rand(2, 3, 5, 7).contiguous(memory_format=torch.channels_last)
    assert torch.equal(net(x), x + 0.5)
    assert not net.state_dict()
    assert "shifted, by=0.5" in repr(net)


def test_parameters_have_defaults_ranges_and_units():
    assert shifted()(torch.zeros(1, 1, 2, 2)).unique().item() == 0.25
    assert shifted.explain() == {"by": "in values (default 0.25)"}
    with pytest.raises(ValueError, match=r"by=2: Input should be less than or equal to 1"):
        shifted(by=2)
    with pytest.raises(ValueError, match="by=much: Input should be a valid number"):
        shifted(by="much")


def test_borders_mirror_as_often_as_needed():
    row = np.arange(3, dtype=np.float32).reshape(1, 3, 1)
    assert mirrored(row, 0, 4)[0, :, 0].tolist() == [2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_box_averages_its_window(channels):
    x = np.random.default_rng(0).random((9, 11, channels), dtype=np.float32)
    mean = box_mean(x, 2)
    assert mean.shape == x.shape
    assert mean[4, 5] == pytest.approx(x[2:7, 3:8].mean((0, 1)), abs=1e-6)


def test_the_guided_filter_keeps_edges_of_the_guide_and_smooths_the_rest():
    edge = np.zeros((40, 40, 1), np.float32)
    edge[:, 20:] = 1
    noise = 0.05 * np.random.default_rng(0).standard_normal(edge.shape).astype(np.float32)
    smooth = guided(edge + noise, edge, 4, 1e-3)
    assert np.abs(smooth - edge)[:, 5:-5].max() < 0.05
    assert np.std(smooth[:, :15]) < np.std(noise) / 3


@pytest.mark.parametrize("sigma", [0.0, 0.02, 0.1])
def test_the_noise_level_is_read_off_the_finest_detail(sigma):
    ramp = np.linspace(0, 1, 200, dtype=np.float32)[None, :, None].repeat(200, 0)
    noise = np.random.default_rng(0).standard_normal(ramp.shape)
    assert noise_level((ramp + sigma * noise).astype(np.float32)) == pytest.approx(sigma, rel=0.05)


def test_one_row_has_no_noise():
    assert noise_level(np.zeros((1, 9, 3), np.float32)) == 0
