"""What every net of the table can do, whatever it is made of: all rows, with small nets."""

import copy

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from restorekit.backends.base import Backend
from restorekit.backends.card import Card
from restorekit.backends.model import Model, build_net, load_model
from restorekit.backends.registry import default_registry
from restorekit.backends.table import BACKENDS
from restorekit.cli.models import app
from restorekit.inference.pipeline import Restorer

SMALL = {
    "sfnet": {"base": 16, "num_res": 1},
    "fsnet": {"base": 16, "num_res": 4},
    "convir": {"base": 8, "num_res": 1, "dilations": (3, 7, 9)},
    "prenet": {"stages": 2, "channels": 4},
    "drunet": {"widths": (2, 2, 2, 2), "blocks": 1},
    "guided": {"widths": (2, 2, 2, 2), "blocks": 1, "side": 16},
    "exposure": {"widths": (2, 2, 2, 2), "blocks": 1, "look": (2, 2, 2, 2), "side": 16},
    "dncnn": {"channels": 4, "layers": 3},
    "fdncnn": {"channels": 4, "layers": 3},
    "ircnn": {"channels": 4},
    "ircnn_set": {"channels": 4, "levels": 3},
    "ffdnet": {"channels": 4, "layers": 3},
    "rrdbnet": {"scale": 2, "channels": 4, "blocks": 1, "growth": 2, "unshuffle": 2},
    "srvgg": {"channels": 4, "convs": 1},
    "practice": {"channels": 4},
    "refinement": {"method": "bicubic", "scale": 2, "channels": 4, "layers": 2},
    "srcnn": {"in_channels": 3, "channels": (4, 4)},
    "vdsr": {"in_channels": 3, "channels": 4, "layers": 3},
    "nafnet": {"width": 2, "encoder_blocks": (1, 1, 1, 1)},
    "mimo_unet": {"base": 4, "num_res": 1},
    "deepdeblur": {"blocks": 1, "width": 2, "kernel": 3},
    "restormer": {"width": 8, "blocks": (1, 1, 1, 1), "refinement": 1},
}
ONE_NET = {"ircnn_set": {"levels": 1}, "convir": {"dilations": (1, 1, 1)}}
"""For training: a set trains one of its nets, and small dilations take small pictures."""
BLIND = ("SCM1.main.3.main.0.bias", "SCM2.main.3.main.0.bias")
"""Biases that a normalisation takes out again."""


def shaken(backend: Backend, config) -> nn.Module:
    """Make a net of which no weight is 0, as many are before the training begins."""
    torch.manual_seed(0)
    net = build_net(backend.name, **config)
    with torch.no_grad():
        for weight in net.parameters():
            weight += 0.05 * torch.randn_like(weight)
    return net.eval()


def model_of(backend: Backend) -> Model:
    config = SMALL[backend.name]
    card = Card(name=backend.name, backend=backend.name, config=config, scale=backend.scale(config))
    return Model(shaken(backend, config), card, backend, torch.device("cpu"))


@pytest.fixture(scope="module", params=[backend.name for backend in BACKENDS])
def model(request):
    return model_of(default_registry().get(request.param))


@pytest.mark.filterwarnings("ignore:.*assumed")
def test_a_file_of_the_authors_becomes_a_checkpoint_of_the_same_output(model, tmp_path):
    foreign, ours = tmp_path / "theirs.pth", tmp_path / "ours.safetensors"
    torch.save(model.net.state_dict(), foreign)
    settings = {key: model.card.config.get(key) for key in model.backend.assumed}
    told = {key: value for key, value in settings.items() if value is not None}
    options = [part for key, value in told.items() for part in ("--set", f"{key}={said(value)}")]
    result = CliRunner().invoke(app, ["convert", str(foreign), "-o", str(ours), *options])
    assert result.exit_code == 0, result.output
    x = torch.rand(1, model.channels, 21, 19)
    converted, opened = (
        load_model(ours, device="cpu"),
        load_model(foreign, device="cpu", settings=told),
    )
    assert (converted.backend, converted.scale) == (model.backend, model.scale)
    assert torch.equal(converted(x), opened(x))
    # Not equal: a loaded net has another layout in memory.
    assert torch.allclose(converted(x), model(x), rtol=1e-4, atol=1e-5)


def said(value) -> str:
    """Write a setting as the command line takes it."""
    return str(list(value) if isinstance(value, tuple) else value)


@pytest.mark.parametrize("size", [(1, 1), (21, 19)])
def test_every_size_is_restored(model, size):
    restored = model(torch.rand(2, model.channels, *size))
    assert restored.shape == (2, 3, *(side * model.scale for side in size))
    assert torch.isfinite(restored).all()


def test_tiles_make_a_whole_picture(model):
    able = model.backend.capabilities
    # Half a tile is more than what these nets see, where they do not see everything.
    whole_only = able.global_statistics and not able.overview
    tile = max(64, able.minimum) if whole_only else 512
    x = torch.rand(1, 3, 37, tile + 21)
    cuts = (Restorer(model, tile=side, overlap=tile // 2) for side in (tile, 0))
    tiled, whole = (restorer.restore_tensor(x) for restorer in cuts)
    assert tiled.shape == whole.shape == (1, 3, 37 * model.scale, (tile + 21) * model.scale)
    if whole_only:
        assert torch.isfinite(tiled).all()
    else:
        assert torch.allclose(tiled, whole, atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
def test_a_training_step_changes_every_weight(backend):
    net = shaken(backend, {**SMALL[backend.name], **ONE_NET.get(backend.name, {})}).train()
    before = copy.deepcopy(net.state_dict())
    outputs = net(torch.rand(2, backend.channels(SMALL[backend.name]), 64, 64))
    pictures = outputs if isinstance(outputs, list) else [outputs]
    loss = torch.stack([(picture - 0.5).square().mean() for picture in pictures]).sum()
    loss.backward()
    torch.optim.Adam(net.parameters(), 1e-3).step()
    trained = {name for name, weight in net.named_parameters() if weight.requires_grad}
    same = {name for name in trained if torch.equal(before[name], net.state_dict()[name])}
    assert same <= set(BLIND)
