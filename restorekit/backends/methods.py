"""The methods that restore without weights: one row each, and how they are found by name."""

import re
from typing import Any

from restorekit.backends.base import Backend, Capabilities
from restorekit.types import Task

Method = tuple[Backend, dict[str, Any]]
"""A row and what the name sets of its parameters."""

_SCALED = re.compile(r"(?P<name>.+)-x(?P<scale>\d+)")


def _method(
    name: str,
    place: str,
    task: Task,
    paper: str = "none",
    *,
    overlap: int = 32,
    whole: bool = True,
    memory: int = 160,
) -> Backend:
    """Make a row; `whole` is for what measures the whole picture first, `memory` was measured."""
    return Backend(
        name=name,
        net=f"restorekit.classical.{place}",
        infer="",
        keys=(),
        capabilities=Capabilities(global_statistics=whole, overlap=overlap, hidden_bytes=memory),
        tasks=(task,),
        paper=paper,
        licence="no weights",
    )


def _local(name: str, place: str, task: Task, paper: str = "none", memory: int = 160) -> Backend:
    return _method(name, place, task, paper, whole=False, memory=memory)


METHODS = (
    _local("nearest", "resize:nearest", Task.SR, memory=420),
    _local("bilinear", "resize:bilinear", Task.SR, memory=420),
    _local("bicubic", "resize:bicubic", Task.SR, "Keys, TASSP 1981", memory=420),
    _local("lanczos", "resize:lanczos", Task.SR, "Duchon, J. Appl. Meteorology 1979", memory=420),
    _method("zero-padding", "resize:zero_padding", Task.SR, overlap=64, memory=1800),
    _local(
        "back-projection",
        "resize:back_projection",
        Task.SR,
        "Irani and Peleg, CVGIP 1991",
        memory=800,
    ),
    _local("gaussian", "denoise:gaussian", Task.DENOISE),
    _local("median", "denoise:median", Task.DENOISE),
    _local("bilateral", "denoise:bilateral", Task.DENOISE, "Tomasi and Manduchi, ICCV 1998"),
    _method("nl-means", "denoise:nl_means", Task.DENOISE, "Buades et al., CVPR 2005"),
    _method(
        "wavelet", "denoise:wavelet", Task.DENOISE, "Chang et al., TIP 2000", overlap=64, memory=180
    ),
    _method("bm3d", "denoise:bm3d", Task.DENOISE, "Dabov et al., TIP 2007", overlap=64),
    _method(
        "richardson-lucy",
        "deblur:richardson_lucy",
        Task.DEBLUR,
        "Richardson, JOSA 1972; Lucy, Astronomical J. 1974",
        overlap=128,
    ),
    _method("wiener", "deblur:wiener", Task.DEBLUR, "Wiener 1949", overlap=128),
    _method(
        "dark-channel",
        "weather:dark_channel",
        Task.DEHAZE,
        "He et al., Single Image Haze Removal Using Dark Channel Prior, CVPR 2009",
        overlap=128,
    ),
    _local("guided-filter", "weather:guided_filter", Task.DERAIN, "Zheng et al., ICONIP 2013"),
)


def find_method(name: str) -> Method | None:
    """Find a method and what its name sets: "bicubic-x2" is bicubic with scale=2; else None."""
    methods = {backend.name: backend for backend in METHODS}
    if name in methods:
        return methods[name], {}
    scaled = _SCALED.fullmatch(name)
    if scaled is None or scaled["name"] not in methods:
        return None
    method = methods[scaled["name"]]
    return (method, {"scale": int(scaled["scale"])}) if "scale" in method.arguments() else None


def method_names() -> list[str]:
    """List what `find_method` finds, the scaled names left out."""
    return [method.name for method in METHODS]
