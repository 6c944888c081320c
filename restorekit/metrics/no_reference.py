"""NIQE: how unlike pristine photographs the statistics of a picture are, without a reference.

Mittal et al., "Making a 'Completely Blind' Image Quality Analyzer", 2013. Brightness is normalised
by its neighbourhood; in blocks of two scales, generalised Gaussians are fitted to the values and to
the products of neighbours. The distance is that of two normal distributions of the 36 numbers: the
picture's blocks and those of pristine pictures. That model comes from a file: the authors'
(modelparameters.mat), BasicSR's (niqe_pris_params.npz) or one of `fit_niqe`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from restorekit.errors import CheckpointError, DataError, MissingExtraError, UndefinedMetricError
from restorekit.files import atomic_path
from restorekit.metrics.full_reference import gaussian_taps, local_mean, require_side
from restorekit.metrics.weights import NIQE
from restorekit.nets.deepdeblur import bicubic_pyramid
from restorekit.ops.color import matlab_y_rounded

BLOCK = 96
"""Side of a block in pixels; half of it at the second scale."""
FEATURES = 36
SHARP = 0.75
"""Pristine are only blocks as sharp as this part of the sharpest one of their picture."""
FEWEST = 2
"""A covariance needs so many blocks."""

_TAPS = gaussian_taps(7, 7 / 6)
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))
_SHAPES = torch.arange(200, 10001, dtype=torch.float64) / 1000
_KEYS = (
    ("mean", "covariance"),
    ("mu_pris_param", "cov_pris_param"),
    ("mu_prisparam", "cov_prisparam"),
)


@dataclass(frozen=True, eq=False)
class NiqeModel:
    """The features of pristine pictures as a normal distribution."""

    mean: Tensor
    """(36,)."""
    covariance: Tensor
    """(36, 36)."""

    def write(self, path: Path) -> None:
        """Write a safetensors file."""
        with atomic_path(path) as temporary:
            temporary.write_bytes(save({"mean": self.mean, "covariance": self.covariance}))


def niqe(restored: Tensor, model: Path | NiqeModel | None = None) -> Tensor:
    """Distance from pristine pictures, lower is better: (N, C, H, W) in [0, 1] to (N,).

    Computed on MATLAB's Y rounded to 8 bits, as BasicSR does. By default the first model file that
    is found; UsageError when there is none. Raises DataError for pictures of less than two blocks.
    """
    chosen = model if isinstance(model, NiqeModel) else _read_model(model or NIQE.find())
    return torch.stack([_distance(_features(x)[0], chosen) for x in restored.detach().cpu()])


def fit_niqe(pictures: Iterable[Tensor]) -> NiqeModel:
    """Fit the model to pristine pictures (C, H, W) in [0, 1], which should be many and varied.

    Raises DataError when they have fewer sharp blocks than features.
    """
    kept = []
    for picture in pictures:
        features, sharpness = _features(picture)
        kept.append(features[sharpness > SHARP * sharpness.max()])
    blocks = torch.cat(kept) if kept else torch.empty(0, FEATURES)
    if len(blocks) <= FEATURES:
        raise DataError(
            f"{len(blocks)} sharp blocks of {BLOCK} pixels are too few for a model of NIQE, which "
            f"needs more than {FEATURES}; give more or larger pictures"
        )
    return NiqeModel(blocks.mean(0), blocks.T.cov())


def _distance(features: Tensor, model: NiqeModel) -> Tensor:
    center = features.nanmean(0)
    features = features[features.isfinite().all(1)]
    if len(features) < FEWEST:
        raise UndefinedMetricError(f"NIQE needs at least {FEWEST} blocks of {BLOCK}x{BLOCK} pixels")
    apart = center - model.mean
    inverse = torch.linalg.pinv((features.T.cov() + model.covariance) / 2)
    return (apart @ inverse @ apart).sqrt()


def _features(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Give the (blocks, 36) features of (C, H, W) and how sharp each block is."""
    y = matlab_y_rounded(picture[None].double()) * 255
    require_side(y, BLOCK, "NIQE")
    y = y[..., : y.shape[2] // BLOCK * BLOCK, : y.shape[3] // BLOCK * BLOCK]
    fine, sharpness = _normalised(y)
    coarse, _ = _normalised(bicubic_pyramid(y, 1)[0])
    features = [_describe(_blocks(fine, BLOCK)), _describe(_blocks(coarse, BLOCK // 2))]
    return torch.cat(features, 1), _blocks(sharpness, BLOCK).mean((1, 2))


def _normalised(y: Tensor) -> tuple[Tensor, Tensor]:
    """Take away the local mean and divide by the local deviation; also give the deviation."""
    mean = local_mean(y, _TAPS, "replicate")
    deviation = (local_mean(y * y, _TAPS, "replicate") - mean * mean).abs().sqrt()
    return (y - mean) / (deviation + 1), deviation


def _blocks(x: Tensor, side: int) -> Tensor:
    """Cut (1, 1, H, W) into (blocks, side, side)."""
    tiles = x[0, 0].unfold(0, side, side).unfold(1, side, side)
    return tiles.reshape(-1, side, side)


def _describe(blocks: Tensor) -> Tensor:
    """Fit the values of each block and the products with four neighbours: (blocks, 18)."""
    shape, left, right, _ = _fit(blocks)
    features = [shape, (left + right) / 2]
    for shift in _NEIGHBOURS:
        shape, left, right, mean = _fit(blocks * blocks.roll(shift, (1, 2)))
        features += [shape, mean, left, right]
    return torch.stack(features, 1)


def _fit(blocks: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Fit asymmetric generalised Gaussians by their moments: shape, both widths and the mean.

    Lasmar et al., "Multiscale skewed heavy tailed model for texture analysis", 2009.
    """
    x = blocks.flatten(1)
    left, right = (_side_deviation(x, side) for side in (x < 0, x > 0))
    ratio = left / right
    moments = x.abs().mean(1) ** 2 / x.square().mean(1)
    wanted = moments * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shape = _shape_of(wanted)
    spread = (torch.lgamma(1 / shape) - torch.lgamma(3 / shape)).div(2).exp()
    mean = (torch.lgamma(2 / shape) - torch.lgamma(1 / shape)).exp()
    return shape, left * spread, right * spread, (right - left) * spread * mean


def _side_deviation(x: Tensor, side: Tensor) -> Tensor:
    return (torch.where(side, x * x, 0).sum(1) / side.sum(1)).sqrt()


def _shape_of(wanted: Tensor) -> Tensor:
    """Look the shape up in thousandths, by the ratio of moments that rises with it."""
    a, b, c = (torch.lgamma(k / _SHAPES) for k in (1, 2, 3))
    ratios = (2 * b - a - c).exp()
    above = torch.searchsorted(ratios, wanted.contiguous()).clamp(1, len(ratios) - 1)
    nearer = (wanted - ratios[above - 1]).abs() <= (ratios[above] - wanted).abs()
    return torch.where(wanted.isnan(), wanted, _SHAPES[above - nearer.long()])


@cache
def _read_model(path: Path) -> NiqeModel:
    arrays = _read_arrays(path)
    for mean, covariance in _KEYS:
        if mean in arrays and covariance in arrays:
            found = [torch.as_tensor(arrays[key]).double() for key in (mean, covariance)]
            if found[0].numel() == FEATURES and found[1].shape == (FEATURES, FEATURES):
                return NiqeModel(found[0].flatten(), found[1])
    raise CheckpointError(
        f"{path}: not a model of NIQE, which has a mean of {FEATURES} numbers and a covariance; "
        f"found {', '.join(arrays) or 'nothing'}"
    )


def _read_arrays(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".mat":
            return _read_mat(path)
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return {key: torch.from_numpy(arrays[key]) for key in arrays.files}
        return load_file(path)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise CheckpointError(f"{path}: not a readable model of NIQE: {error}") from None


def _read_mat(path: Path) -> dict[str, Tensor]:
    try:
        from scipy.io import loadmat
    except ImportError:
        raise MissingExtraError("scipy", "mat", f"{path} is a MATLAB file, which") from None
    content = loadmat(path)
    return {key: torch.from_numpy(content[key]) for key in sum(_KEYS, ()) if key in content}
