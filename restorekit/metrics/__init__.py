"""How far a restored picture is from its reference; the names below are imported when used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restorekit.metrics.alignment import align
    from restorekit.metrics.color import delta_e
    from restorekit.metrics.full_reference import edge_psnr, mae, ms_ssim, mse, psnr, ssim
    from restorekit.metrics.no_reference import NiqeModel, fit_niqe, niqe
    from restorekit.metrics.perceptual import dists, lpips
    from restorekit.metrics.protocols import Protocol, get_protocol, measure

_HOMES = {
    "NiqeModel": "no_reference",
    "Protocol": "protocols",
    "align": "alignment",
    "delta_e": "color",
    "dists": "perceptual",
    "edge_psnr": "full_reference",
    "fit_niqe": "no_reference",
    "get_protocol": "protocols",
    "lpips": "perceptual",
    "mae": "full_reference",
    "measure": "protocols",
    "ms_ssim": "full_reference",
    "mse": "full_reference",
    "niqe": "no_reference",
    "psnr": "full_reference",
    "ssim": "full_reference",
}

__all__ = [
    "NiqeModel",
    "Protocol",
    "align",
    "delta_e",
    "dists",
    "edge_psnr",
    "fit_niqe",
    "get_protocol",
    "lpips",
    "mae",
    "measure",
    "ms_ssim",
    "mse",
    "niqe",
    "psnr",
    "ssim",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
