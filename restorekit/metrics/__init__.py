"""How far a restored picture is from its reference; the names below are imported when used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restorekit.metrics.full_reference import mae, ms_ssim, mse, psnr, ssim
    from restorekit.metrics.protocols import Protocol, get_protocol, measure

_HOMES = {
    "mae": "full_reference",
    "ms_ssim": "full_reference",
    "mse": "full_reference",
    "psnr": "full_reference",
    "ssim": "full_reference",
    "Protocol": "protocols",
    "get_protocol": "protocols",
    "measure": "protocols",
}

__all__ = ["Protocol", "get_protocol", "mae", "measure", "ms_ssim", "mse", "psnr", "ssim"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
