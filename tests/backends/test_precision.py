"""Half precision, measured: how far each net's result is from that in float32.

Mostly with the weights and pictures of the golden files, which amplify more than trained weights.
The distance is that of the signal to the error, in dB of their deviations.
"""

import pytest
import torch

from restorekit.backends.detect import detect
from restorekit.backends.model import build_net
from restorekit.backends.registry import default_registry
from restorekit.backends.table import BACKENDS
from tests.golden_files import golden

# What "the same picture" means: float16 rounds to 11 bits, bfloat16 to 8.
LEAST = {torch.float16: 48, torch.bfloat16: 36}
# Processors without float16 are slow at it.
SIDES = {torch.float16: 16, torch.bfloat16: 32}
FILES = {
    "sfnet": "sfnet_derain",
    "prenet": "prenet_r_6",
    "fsnet": "fsnet_its",
    "drunet": "drunet_gray",
    "dncnn": "dncnn17_gray_r",
    "ircnn": "ircnn_gray",
    "ffdnet": "ffdnet_gray",
    "rrdbnet": "rrdbnet_x1_nb3",
    "srvgg": "srvgg_x4_nc16",
    "nafnet": "nafnet_sidd_w32",
    "mimo_unet": "mimo_unet",
}
FRESH = {
    "guided": {},
    "exposure": {},
    "fdncnn": {},
    "ircnn_set": {"levels": 1},
    "practice": {},
    "srcnn": {},
    "vdsr": {},
}
"""Nets without a golden file of their own: with the weights that training begins with."""
CLAIMS = [
    (backend.name, dtype)
    for backend in BACKENDS
    for dtype, able in (
        (torch.float16, backend.capabilities.half),
        (torch.bfloat16, backend.capabilities.bfloat16),
    )
    if able
]


def net_and_picture(name, side):
    if name in FRESH:
        torch.manual_seed(0)
        channels = default_registry().get(name).channels(FRESH[name])
        return build_net(name, **FRESH[name]).eval(), torch.rand(1, channels, side, side)
    file = golden(FILES[name])
    state = file.weights()
    backend, config = detect(state)
    assert backend.name == name
    net = backend.build(**config)
    net.load_state_dict(backend.adopted(state))
    return net.eval(), file.input()[..., :side, :side]


@pytest.mark.parametrize(("name", "dtype"), CLAIMS)
def test_what_a_net_claims_of_half_precision_is_true(name, dtype):
    net, x = net_and_picture(name, SIDES[dtype])
    with torch.inference_mode():
        exact = picture(net(x))
        with torch.autocast("cpu", dtype):
            lowered = picture(net(x))
    error = (lowered - exact).square().mean().sqrt()
    assert error > 0
    assert float(20 * torch.log10(exact.std() / error)) > LEAST[dtype]


def picture(outputs):
    return (outputs[-1] if isinstance(outputs, list) else outputs).float()
