import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from restorekit.errors import CheckpointError, DataError, UsageError
from restorekit.metrics.no_reference import _describe, _features, fit_niqe, niqe
from restorekit.metrics.protocols import get_protocol, measure, with_metrics
from restorekit.metrics.weights import NIQE, VARIABLE

GOLDEN = Path(__file__).parent.parent / "golden" / "metrics.safetensors"


def natural(seed, height=384, width=480):
    """A picture with the spectrum of photographs, which falls with the frequency."""
    rng = np.random.default_rng(seed)
    rows, columns = np.meshgrid(np.fft.fftfreq(height), np.fft.rfftfreq(width), indexing="ij")
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf
    field = np.fft.irfft2(np.fft.rfft2(rng.laplace(size=(height, width))) / frequency)
    grey = torch.from_numpy(0.5 + 0.15 * field[:height, :width] / field.std()).clamp(0, 1).float()
    return grey.expand(3, -1, -1)


@pytest.fixture(scope="module")
def model():
    return fit_niqe(natural(seed) for seed in range(4))


def fitted(x):
    """Fit one block by the equations of Lasmar et al., with scipy's gamma and a plain search."""
    from scipy.special import gamma

    shapes = np.arange(0.2, 10.0005, 0.001)
    ratios = gamma(2 / shapes) ** 2 / (gamma(1 / shapes) * gamma(3 / shapes))
    left, right = math.sqrt((x[x < 0] ** 2).mean()), math.sqrt((x[x > 0] ** 2).mean())
    g = left / right
    moment = np.abs(x).mean() ** 2 / (x**2).mean() * (g**3 + 1) * (g + 1) / (g**2 + 1) ** 2
    shape = shapes[np.argmin((ratios - moment) ** 2)]
    spread = math.sqrt(gamma(1 / shape) / gamma(3 / shape))
    mean = (right - left) * spread * gamma(2 / shape) / gamma(1 / shape)
    return shape, mean, left * spread, right * spread


def test_features_of_blocks_are_those_of_the_equations():
    rng = np.random.default_rng(3)
    blocks = rng.laplace(0.1, 1, (3, 24, 24)) * rng.uniform(0.5, 2, (3, 1, 1))
    for block, features in zip(blocks, _describe(torch.from_numpy(blocks)), strict=True):
        shape, _, left, right = fitted(block)
        expected = [shape, (left + right) / 2]
        for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
            expected += fitted(block * np.roll(block, shift, (0, 1)))
        assert features.tolist() == pytest.approx(expected, abs=1e-9)


def test_brightness_is_normalised_as_scipy_does():
    from scipy import ndimage

    from restorekit.metrics.no_reference import _normalised

    y = np.random.default_rng(0).uniform(0, 255, (40, 50))
    offset = np.arange(-3, 4)
    taps = np.exp(-(offset**2) / (2 * (7 / 6) ** 2))
    window = np.outer(taps, taps) / taps.sum() ** 2
    mean = ndimage.convolve(y, window, mode="nearest")
    deviation = np.sqrt(np.abs(ndimage.convolve(y * y, window, mode="nearest") - mean**2))
    ours, spread = _normalised(torch.from_numpy(y)[None, None])
    np.testing.assert_allclose(ours[0, 0].numpy(), (y - mean) / (deviation + 1), atol=1e-9)
    np.testing.assert_allclose(spread[0, 0].numpy(), deviation, atol=1e-8)


def test_the_distance_is_that_of_two_normal_distributions(model):
    features, _ = _features(natural(9))
    blocks = features.numpy()
    apart = blocks.mean(0) - model.mean.numpy()
    middle = (np.cov(blocks.T) + model.covariance.numpy()) / 2
    expected = math.sqrt(apart @ np.linalg.pinv(middle) @ apart)
    assert niqe(natural(9)[None], model).item() == pytest.approx(expected, rel=1e-6)


def test_degraded_pictures_are_farther_from_pristine_ones(model):
    clean = natural(9)[None]
    generator = torch.Generator().manual_seed(0)
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=generator)
    blurred = torch.nn.functional.avg_pool2d(clean, 7, 1, 3)
    values = [niqe(x, model).item() for x in (clean, noisy, blurred)]
    assert values[0] < min(values[1:]) - 1
    assert torch.equal(niqe(torch.cat([clean, noisy]), model)[1:], niqe(noisy, model))


def test_flat_blocks_are_left_out(model):
    x = natural(9)[None].clone()
    x[..., :96, :96] = 0.5
    assert niqe(x, model).isfinite().all()
    with pytest.raises(DataError, match="at least 2 blocks of 96x96"):
        niqe(x[..., :96, :191], model)
    with pytest.raises(DataError, match="NIQE needs at least 96 pixels"):
        niqe(x[..., :95, :], model)


def test_a_model_of_few_blocks_is_refused():
    with pytest.raises(DataError, match="are too few for a model of NIQE"):
        fit_niqe([natural(1, 192, 192)])


@pytest.mark.parametrize("kind", ["safetensors", "npz", "mat"])
def test_a_model_is_read_from_files_of_all_kinds(tmp_path, model, kind):
    from scipy.io import savemat

    path = tmp_path / f"niqe.{kind}"
    mean, covariance = model.mean.numpy(), model.covariance.numpy()
    match kind:
        case "safetensors":
            model.write(path)
        case "npz":
            np.savez(path, mu_pris_param=mean[None], cov_pris_param=covariance)
        case "mat":
            savemat(path, {"mu_prisparam": mean, "cov_prisparam": covariance})
    x = natural(9)[None]
    assert niqe(x, path).item() == pytest.approx(niqe(x, model).item(), rel=1e-9)


def test_what_is_no_model_is_refused(tmp_path, model):
    x = natural(9)[None]
    path = tmp_path / "niqe.npz"
    np.savez(path, mu_pris_param=np.zeros(4), cov_pris_param=np.zeros((4, 4)))
    with pytest.raises(CheckpointError, match="not a model of NIQE"):
        niqe(x, path)
    broken = tmp_path / "niqe.safetensors"
    broken.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="not a readable model"):
        niqe(x, broken)


def test_a_protocol_measures_it_with_the_file_that_is_found(tmp_path, monkeypatch, model):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    x = natural(9)[None]
    with pytest.raises(UsageError, match=r"niqe: NIQE's model of pristine pictures not found"):
        with_metrics(get_protocol("rgb"), ["niqe"])
    model.write(tmp_path / "niqe-own.safetensors")
    protocol = with_metrics(get_protocol("rain-y-matlab"), ["niqe"])
    assert measure(x, 0 * x, protocol)["niqe"] == pytest.approx(niqe(x, model).item(), rel=1e-6)


def published_model():
    try:
        return NIQE.find()
    except UsageError:
        return None


@pytest.mark.skipif(published_model() is None, reason=f"{VARIABLE} names no model of NIQE")
def test_agrees_with_basicsr():
    """Only the authors' model gives the stored values: put niqe_pris_params.npz into the folder."""
    with safe_open(GOLDEN, "pt") as file:
        values = json.loads(file.metadata()["values"])
        for k, value in enumerate(values):
            for side in ("reference", "distorted"):
                expected = value[f"basicsr_niqe_y_{side}"]
                if expected is not None:
                    picture = file.get_tensor(f"{side}_{k}").permute(2, 0, 1)[None] / 255
                    assert niqe(picture).item() == pytest.approx(expected, abs=1e-4)
