"""Protocols: how a number is made, as data. A number never appears without its protocol's id."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from restorekit.errors import DataError, UnknownNameError, UsageError
from restorekit.metrics.full_reference import mae, ms_ssim, psnr, ssim
from restorekit.ops.color import eight_bit_levels, luma, matlab_y, matlab_y_rounded


@dataclass(frozen=True)
class Noise:
    """White Gaussian noise that a protocol adds to clean pictures; never clipped nor rounded."""

    sigma: float
    """Standard deviation in 8-bit levels."""
    seed: int = 0
    by_name: bool = False
    """Noise of its own for each picture's name. Otherwise the generator restarts with `seed` at
    each picture, so that pictures of one size get the same noise: the rule of the papers."""

    def add(self, picture: Tensor, name: str) -> Tensor:
        """Return (1, C, H, W) plus noise drawn in the order height, width, channel."""
        _, channels, height, width = picture.shape
        drawn = self._generator(name).normal(0, self.sigma / 255, (height, width, channels))
        return picture + torch.from_numpy(drawn).permute(2, 0, 1).to(picture)

    def _generator(self, name: str) -> np.random.RandomState | np.random.Generator:
        if self.by_name:
            return np.random.default_rng((self.seed, zlib.crc32(name.encode())))
        return np.random.RandomState(self.seed)


Quantise = Literal["none", "round", "truncate"]
Space = Literal["rgb", "y-float", "y-matlab", "y-full"]


@dataclass(frozen=True)
class Protocol:
    """Everything that moves a number besides the pictures."""

    id: str
    description: str
    source: str
    space: Space = "rgb"
    """RGB, MATLAB's Y unrounded or rounded to 8 bits, or full-range luma rounded to 8 bits."""
    quantise: Quantise = "round"
    """What becomes of samples between two 8-bit levels; they are clipped to [0, 1] in any case."""
    crop_border: int = 0
    """Pixels left out on each side."""
    crop_multiple: int = 1
    """Both sides are cut at the right and the bottom to a multiple of this."""
    ssim: str = "gaussian-valid"
    """Key of `SSIM_VARIANTS`."""
    metrics: tuple[str, ...] = ("psnr", "ssim")
    """Keys of `METRICS`; the first one says which pictures were made worse."""
    noise: Noise | None = None
    """Added to clean pictures to make the degraded ones; None for sets of pairs."""


@dataclass(frozen=True)
class Metric:
    """A named metric: two prepared tensors and the protocol to one value per picture."""

    name: str
    label: str
    compute: Callable[[Tensor, Tensor, Protocol], Tensor]
    higher_is_better: bool = True
    digits: int = 4
    """Decimals in a table."""


_METRICS = (
    Metric("psnr", "PSNR [dB]", lambda a, b, _: psnr(a, b), digits=2),
    Metric("ssim", "SSIM", lambda a, b, protocol: ssim(a, b, protocol.ssim)),
    Metric("ms_ssim", "MS-SSIM", lambda a, b, _: ms_ssim(a, b)),
    Metric("mae", "MAE", lambda a, b, _: mae(a, b), higher_is_better=False),
)
METRICS: Mapping[str, Metric] = MappingProxyType({m.name: m for m in _METRICS})


def _gaussian_noise(sigma: int) -> Protocol:
    return Protocol(
        f"awgn-sigma{sigma}",
        f"white Gaussian noise of sigma {sigma} on clean pictures, not clipped, numpy's "
        "RandomState(0) restarted for each picture; RGB rounded to 8 bits",
        "KAIR, Restormer, SwinIR: colour denoising tables",
        noise=Noise(sigma),
    )


_PROTOCOLS = (
    Protocol("rgb", "RGB rounded to 8 bits", "BasicSR; denoising tables"),
    Protocol("rgb-float", "RGB clipped, not rounded", "SFNet family", quantise="none"),
    Protocol(
        "gopro-rgb",
        "RGB rounded to 8 bits, SSIM per channel",
        "DeepDeblur-PyTorch (Nah 2017)",
    ),
    Protocol(
        "gopro-matlab",
        "RGB rounded to 8 bits, MATLAB's SSIM of the colour volume",
        "GoPro and HIDE tables of MPRNet, Restormer, NAFNet",
        ssim="gaussian-3d",
    ),
    Protocol(
        "sots-rgb",
        "RGB clipped, not rounded; SSIM of the pictures reduced to about 256 pixels",
        "SFNet, FSNet, ConvIR: dehazing tables",
        quantise="none",
        ssim="pooled-sfnet",
    ),
    Protocol(
        "rain-y-matlab",
        "8-bit pictures, MATLAB's Y rounded to 8 bits",
        "MPRNet, Restormer, SFNet: deraining tables",
        space="y-matlab",
    ),
    Protocol(
        "prenet-y",
        "8-bit pictures that are cut and not rounded, MATLAB's Y unrounded",
        "PReNet, PRN: deraining tables",
        space="y-float",
        quantise="truncate",
    ),
    Protocol(
        "raindrop-y",
        "sides cut to multiples of 4, 8-bit pictures cut and not rounded, full-range luma, "
        "SSIM with a uniform window of 7 pixels",
        "DeRaindrop (Qian 2018)",
        space="y-full",
        quantise="truncate",
        crop_multiple=4,
        ssim="uniform-7",
    ),
    Protocol(
        "srgan-y-crop4",
        "RGB rounded to 8 bits, MATLAB's Y unrounded, border of 4 pixels left out",
        "BasicSR: x4 super-resolution tables",
        space="y-float",
        crop_border=4,
    ),
    *(_gaussian_noise(sigma) for sigma in (15, 25, 50)),
)
PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({p.id: p for p in _PROTOCOLS})


def get_protocol(protocol_id: str) -> Protocol:
    """Look up a protocol by its id."""
    if protocol_id not in PROTOCOLS:
        raise UnknownNameError("protocol", protocol_id, PROTOCOLS)
    return PROTOCOLS[protocol_id]


def with_noise(protocol: Protocol, sigma: float, seed: int = 0) -> Protocol:
    """Derive a protocol that adds noise to clean pictures, drawn for each picture's name.

    The new id tells sigma (in 8-bit levels) and a seed other than 0: `rgb-sigma25-seed7`.
    """
    if not 0 < sigma <= 255:
        raise UsageError(f"noise of sigma {sigma:g}: choose more than 0 and at most 255")
    if protocol.noise is not None:
        raise UsageError(f"protocol {protocol.id} adds noise already; choose rgb or rgb-float")
    return replace(
        protocol,
        id=f"{protocol.id}-sigma{sigma:g}" + (f"-seed{seed}" if seed else ""),
        description=f"{protocol.description}; white Gaussian noise of sigma {sigma:g} on clean "
        f"pictures, drawn from seed {seed} and the picture's name, not clipped",
        noise=Noise(sigma, seed, by_name=True),
    )


def with_metrics(protocol: Protocol, metrics: Sequence[str]) -> Protocol:
    """Choose which metrics are computed; the rest of the protocol stays."""
    for name in metrics:
        if name not in METRICS:
            raise UnknownNameError("metric", name, METRICS)
    return replace(protocol, metrics=tuple(dict.fromkeys(metrics)))


def prepare(picture: Tensor, protocol: Protocol) -> Tensor:
    """Clip, crop, quantise and convert a picture for the metrics: float64 (N, C, H, W)."""
    cropped = _crop(picture.detach().cpu(), protocol)
    return _convert(_quantise(cropped, protocol.quantise), protocol.space)


def measure(restored: Tensor, reference: Tensor, protocol: Protocol) -> dict[str, float]:
    """Compute the protocol's metrics of one picture, (1, C, H, W) against its reference."""
    a, b = prepare(restored, protocol), prepare(reference, protocol)
    return {name: METRICS[name].compute(a, b, protocol).item() for name in protocol.metrics}


def _crop(x: Tensor, protocol: Protocol) -> Tensor:
    height, width = (side - side % protocol.crop_multiple for side in x.shape[2:])
    border = protocol.crop_border
    if min(height, width) <= 2 * border:
        raise DataError(
            f"a picture of {x.shape[3]}x{x.shape[2]} pixels has nothing left inside the border of "
            f"{border} that protocol {protocol.id} leaves out"
        )
    return x[:, :, border : height - border, border : width - border]


def _quantise(x: Tensor, how: Quantise) -> Tensor:
    match how:
        case "none":
            return x.double().clamp(0, 1)
        case "round":
            return eight_bit_levels(x.double()) / 255
        case "truncate":
            # In float32, as the scripts do: there k / 255 * 255 is k again, in float64 it is not.
            return torch.floor(x.float().clamp(0, 1) * 255).double() / 255


def _convert(x: Tensor, space: Space) -> Tensor:
    match space:
        case "rgb":
            return x
        case "y-float":
            return matlab_y(x)
        case "y-matlab":
            return matlab_y_rounded(x)
        case "y-full":
            return eight_bit_levels(luma(x)) / 255
