"""Where metrics find what they were trained to: files of others, which do not ship.

They are looked for in the folder that RESTOREKIT_METRIC_WEIGHTS names, in restorekit's cache
(~/.cache/restorekit/metrics) and in the cache of torch.hub, where torchvision puts its own.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch

from restorekit.errors import UsageError

VARIABLE = "RESTOREKIT_METRIC_WEIGHTS"


@dataclass(frozen=True)
class WeightsFile:
    """A file that a metric needs."""

    what: str
    names: tuple[str, ...]
    """Patterns of its name; the authors' name is the first."""
    origin: str
    """Where to get it."""

    def find(self) -> Path:
        """Return the first file found; UsageError says where it was looked for and what to do."""
        places = folders()
        for folder in places:
            for name in self.names:
                if found := sorted(path for path in folder.glob(name) if path.is_file()):
                    return found[0]
        looked = ", ".join(map(str, places))
        raise UsageError(
            f"{self.what} not found (looked for {' or '.join(self.names)} in {looked}); get it "
            f"from {self.origin} and put it there, or name its folder in {VARIABLE}"
        )


def folders() -> list[Path]:
    """List the folders that are searched, in order."""
    named = os.environ.get(VARIABLE)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return [
        *([Path(named).expanduser()] if named else []),
        cache / "restorekit" / "metrics",
        Path(torch.hub.get_dir()) / "checkpoints",
    ]


ALEXNET = WeightsFile("AlexNet's weights", ("alexnet*",), "torchvision (alexnet-owt-7be5be79.pth)")
VGG16 = WeightsFile("VGG16's weights", ("vgg16-*", "vgg16.*"), "torchvision (vgg16-397923af.pth)")
SQUEEZENET = WeightsFile(
    "SqueezeNet's weights", ("squeezenet1_1*",), "torchvision (squeezenet1_1-b8a52dc0.pth)"
)
LPIPS_HEADS: Mapping[str, WeightsFile] = MappingProxyType(
    {
        net: WeightsFile(
            f"the linear weights of LPIPS ({net})",
            (f"{net}.pth", f"lpips_{net}*"),
            f"github.com/richzhang/PerceptualSimilarity (lpips/weights/v0.1/{net}.pth)",
        )
        for net in ("alex", "vgg", "squeeze")
    }
)
DISTS = WeightsFile(
    "the weights of DISTS", ("dists*",), "github.com/dingkeyan93/DISTS (weights.pt, as dists.pt)"
)
NIQE = WeightsFile(
    "NIQE's model of pristine pictures",
    ("niqe*", "modelparameters.mat"),
    "live.ece.utexas.edu (modelparameters.mat), BasicSR (niqe_pris_params.npz) or "
    "restorekit metrics fit-niqe",
)
