import pytest
import torch

from restorekit.backends.card import Card
from restorekit.backends.registry import default_registry

CONFIG = {
    "in_channels": 3,
    "out_channels": 3,
    "widths": (2, 3, 4, 5),
    "blocks": 1,
    "residual": True,
    "bias": True,
}


@pytest.fixture
def state():
    """The weights of a very small net that is not the identity."""
    torch.manual_seed(0)
    net = default_registry().get("drunet").build(**CONFIG)
    return {key: torch.randn_like(value) * 0.1 for key, value in net.state_dict().items()}


@pytest.fixture
def card():
    return Card(name="tiny", backend="drunet", config=CONFIG, task="denoise")
