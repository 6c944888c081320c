import numpy as np
import pytest
import torch
from PIL import Image

from restorekit.nets.srcnn import SRCNN, enlarge, infer_config

SMALL = {"channels": (6, 4), "kernels": (5, 1, 3)}


@pytest.mark.parametrize(("kernels", "weights"), [((9, 1, 5), 8_032), ((9, 5, 5), 57_184)])
def test_weights_are_counted_in_the_paper(kernels, weights):
    net = SRCNN(kernels=kernels)
    assert sum(p.numel() for p in net.parameters() if p.ndim > 1) == weights


@pytest.mark.parametrize("in_channels", [1, 3])
def test_configuration_is_read_off_the_weights(in_channels):
    net = SRCNN(in_channels, 2, **SMALL)
    assert infer_config(net.state_dict()) == {"in_channels": in_channels, "scale": 2, **SMALL}


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_any_size_is_enlarged(scale):
    x = torch.rand(1, 3, 5, 7)
    assert SRCNN(3, scale, **SMALL)(x).shape == (1, 3, 5 * scale, 7 * scale)


@pytest.mark.parametrize("scale", [2, 3])
def test_enlarging_is_that_of_pillow(scale):
    pixels = np.random.default_rng(0).random((9, 8), dtype=np.float32)
    size = (8 * scale, 9 * scale)
    expected = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    ours = enlarge(torch.from_numpy(pixels)[None, None], scale)[0, 0].numpy()
    assert np.abs(ours - expected).max() < 1e-5


@pytest.mark.parametrize(
    "config", [{"channels": (6,)}, {"kernels": (9, 5)}, {"kernels": (9, 2, 5)}]
)
def test_other_layers_are_refused(config):
    with pytest.raises(ValueError, match="two widths and three odd kernel sizes"):
        SRCNN(**config)


def test_gradients_reach_every_weight():
    torch.manual_seed(0)
    net = SRCNN(**SMALL)
    net(torch.rand(1, 1, 8, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())
