"""The authors' own files: need the weights that do not ship."""

import os
from pathlib import Path

import pytest
import torch

from restorekit.backends.checkpoint import read_checkpoint, write_checkpoint
from restorekit.backends.legacy import read_any
from restorekit.backends.model import load_model
from restorekit.media.image import read_image
from restorekit.ops.pixels import to_tensor
from restorekit.types import Task

DATA = Path(os.environ.get("RESTOREKIT_TEST_DATA", "no data"))
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason="RESTOREKIT_TEST_DATA names no folder"),
]
PRENET = [
    ("Rain100H__PReNet6__net_latest.pth", 168_963),
    ("Rain100L__PRN6_r__net_latest.pth", 21_123),
    ("Rain100L__PReNet6__net_latest.pth", 168_963),
    ("real__PReNet1.pth", 168_963),
]


@pytest.mark.parametrize(("name", "parameters"), PRENET)
def test_prenet_files_load_and_survive_conversion(tmp_path, name, parameters):
    foreign = DATA / "weights" / "PReNet" / name
    checkpoint = read_any(foreign)
    assert (checkpoint.card.backend, checkpoint.card.task) == ("prenet", Task.DERAIN)
    assert checkpoint.parameters == parameters
    write_checkpoint(tmp_path / "ours.safetensors", checkpoint.state, checkpoint.card)
    again = read_checkpoint(tmp_path / "ours.safetensors")
    assert again.card == checkpoint.card
    x = torch.rand(1, 3, 17, 23)
    ours = load_model(tmp_path / "ours.safetensors", device="cpu")
    with pytest.warns(UserWarning, match="assumed stages=6"):
        assert torch.equal(ours(x), load_model(foreign, device="cpu")(x))


@pytest.mark.parametrize(
    ("name", "backend", "channels"),
    [
        ("DnCNN_KAIR/dncnn_25.pth", "dncnn", 1),
        ("DnCNN_SaoYan_gray/DnCNN-S-25__net.pth", "dncnn", 1),
        ("FFDNet_pytorch/net_rgb.pth", "ffdnet", 3),
    ],
)
@pytest.mark.filterwarnings("ignore:.*assumed sigma")
def test_denoisers_take_noise_of_25_out(tmp_path, name, backend, channels):
    foreign = DATA / "weights" / name
    checkpoint = read_any(foreign)
    assert checkpoint.card.backend == backend
    write_checkpoint(tmp_path / "ours.safetensors", checkpoint.state, checkpoint.card)
    model = load_model(tmp_path / "ours.safetensors", device="cpu")
    reference = read_crop(DATA / "eval" / "CBSD68", channels)
    generator = torch.Generator().manual_seed(0)
    degraded = reference + torch.randn(reference.shape, generator=generator) * 25 / 255
    restored = model(degraded)
    assert torch.equal(restored, load_model(foreign, device="cpu")(degraded))
    assert psnr(restored, reference) > psnr(degraded, reference) + 6.5


def read_crop(folder, channels):
    pixels = read_image(sorted(folder.iterdir())[0]).pixels[:128, :127]
    return to_tensor(pixels).mean(1, keepdim=True) if channels == 1 else to_tensor(pixels)


def psnr(x, reference):
    """Peak signal-to-noise ratio in dB."""
    return float(-10 * (x - reference).square().mean().log10())
