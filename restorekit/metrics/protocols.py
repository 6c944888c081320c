"""Protocols: how a number is made, as data. A number never appears without its protocol's id."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch import Tensor

from restorekit.errors import DataError, UndefinedMetricError, UnknownNameError, UsageError
from restorekit.metrics.alignment import align
from restorekit.metrics.color import delta_e
from restorekit.metrics.full_reference import edge_psnr, mae, ms_ssim, psnr, ssim
from restorekit.metrics.no_reference import niqe
from restorekit.metrics.perceptual import BACKBONES, dists, lpips
from restorekit.metrics.protocol import Noise, Protocol, Quantise, Space
from restorekit.metrics.table import ROWS
from restorekit.metrics.weights import DISTS, LPIPS_HEADS, NIQE, VGG16, WeightsFile
from restorekit.ops.color import eight_bit_levels, luma, matlab_y, matlab_y_rounded

__all__ = [
    "METRICS",
    "PROTOCOLS",
    "Comparison",
    "Metric",
    "Noise",
    "Protocol",
    "compare",
    "get_protocol",
    "lacks",
    "measure",
    "prepare",
    "unavailable",
    "with_metrics",
    "with_noise",
]


@dataclass(frozen=True)
class Comparison:
    """A restored picture and its reference as the metrics get them: float64, (N, C, H, W)."""

    restored: Tensor
    """In the colour space of the protocol, like `reference`."""
    reference: Tensor
    restored_rgb: Tensor
    """Clipped, cut and quantised, but not converted, like `reference_rgb`."""
    reference_rgb: Tensor
    protocol: Protocol
    mask: Tensor | None = None
    """Where an aligned picture reaches; only there pixels count."""

    @property
    def both(self) -> tuple[Tensor, Tensor]:
        """Restored and reference in the colour space of the protocol."""
        return self.restored, self.reference

    @property
    def both_rgb(self) -> tuple[Tensor, Tensor]:
        """Restored and reference in RGB."""
        return self.restored_rgb, self.reference_rgb


@dataclass(frozen=True)
class Metric:
    """A named metric: from a comparison to one value per picture."""

    name: str
    label: str
    compute: Callable[[Comparison], Tensor]
    higher_is_better: bool = True
    digits: int = 4
    """Decimals in a table."""
    needs: tuple[WeightsFile, ...] = ()
    """Without these files there is no number."""
    masked: bool = False
    """It can leave out what an alignment leaves empty; the others are undefined there."""

    def __call__(self, comparison: Comparison) -> float:
        """Measure one picture; raises UndefinedMetricError where there is no number for it."""
        if comparison.mask is not None and not self.masked:
            raise UndefinedMetricError(
                f"{self.label} would count what the alignment of this protocol leaves empty"
            )
        return self.compute(comparison).item()


def _lpips(net: str) -> Metric:
    return Metric(
        f"lpips_{net}",
        f"LPIPS ({net})",
        lambda c: lpips(*c.both_rgb, net),
        higher_is_better=False,
        needs=(BACKBONES[net].file, LPIPS_HEADS[net]),
    )


_METRICS = (
    Metric("psnr", "PSNR [dB]", lambda c: psnr(*c.both, c.mask), digits=2, masked=True),
    Metric("ssim", "SSIM", lambda c: ssim(*c.both, c.protocol.ssim, c.mask), masked=True),
    Metric("ms_ssim", "MS-SSIM", lambda c: ms_ssim(*c.both)),
    Metric("mae", "MAE", lambda c: mae(*c.both), higher_is_better=False),
    Metric("delta_e", "ΔE 2000", lambda c: delta_e(*c.both_rgb), higher_is_better=False, digits=2),
    Metric("edge_psnr", "edge PSNR [dB]", lambda c: edge_psnr(*c.both_rgb), digits=2),
    *(_lpips(net) for net in BACKBONES),
    Metric(
        "dists", "DISTS", lambda c: dists(*c.both_rgb), higher_is_better=False, needs=(DISTS, VGG16)
    ),
    Metric(
        "niqe",
        "NIQE",
        lambda c: niqe(c.restored_rgb),
        higher_is_better=False,
        digits=2,
        needs=(NIQE,),
    ),
)
METRICS: Mapping[str, Metric] = MappingProxyType({m.name: m for m in _METRICS})


PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({p.id: p for p in ROWS})


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
    """Choose which metrics are computed; the rest of the protocol stays.

    Raises UnknownNameError, or UsageError for a metric whose weights are not here.
    """
    for name in metrics:
        if name not in METRICS:
            raise UnknownNameError("metric", name, METRICS)
    chosen = replace(protocol, metrics=tuple(dict.fromkeys(metrics)))
    if lacking := unavailable(chosen):
        raise UsageError("; ".join(f"{name}: {why}" for name, why in lacking.items()))
    return chosen


def unavailable(protocol: Protocol) -> dict[str, str]:
    """Tell why metrics of the protocol cannot be computed here; empty where all can.

    `measure` gives nan for them: no number is made with weights that were not trained.
    """
    reasons = {name: lacks(METRICS[name]) for name in protocol.metrics}
    return {name: reason for name, reason in reasons.items() if reason}


def lacks(metric: Metric) -> str:
    """Say which file of a metric is missing and where to get it; empty when nothing is."""
    try:
        for file in metric.needs:
            file.find()
    except UsageError as error:
        return str(error)
    return ""


def prepare(picture: Tensor, protocol: Protocol) -> Tensor:
    """Clip, crop, quantise and convert a picture for the metrics: float64 (N, C, H, W)."""
    return _convert(_levels(picture, protocol), protocol.space)


def measure(restored: Tensor, reference: Tensor, protocol: Protocol) -> dict[str, float]:
    """Compute the protocol's metrics of one picture, (1, C, H, W) against its reference.

    nan stands for a metric that is not available here or not defined for this picture.
    """
    return measure_or_say(restored, reference, protocol)[0]


def measure_or_say(
    restored: Tensor, reference: Tensor, protocol: Protocol
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Compute metrics as `measure` does, and say why some are not defined for this picture."""
    comparison, lacking = compare(restored, reference, protocol), unavailable(protocol)
    values, reasons = dict.fromkeys(protocol.metrics, math.nan), []
    for name in protocol.metrics:
        if name in lacking:
            continue
        try:
            values[name] = METRICS[name](comparison)
        except UndefinedMetricError as error:
            reasons.append(str(error))
    return values, tuple(reasons)


def compare(restored: Tensor, reference: Tensor, protocol: Protocol) -> Comparison:
    """Prepare a picture and its reference, and align them where the protocol says so."""
    a, b, mask = _levels(restored, protocol), _levels(reference, protocol), None
    if protocol.align:
        a, b, mask = align(a, b)
    space = protocol.space
    return Comparison(_convert(a, space), _convert(b, space), a, b, protocol, mask)


def _levels(picture: Tensor, protocol: Protocol) -> Tensor:
    return _quantise(_crop(picture.detach().cpu(), protocol), protocol.quantise)


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
