import copy

import pytest
import torch

from restorekit.backends.model import build_net
from restorekit.training.config import SpeedRecipe
from restorekit.training.speed import autocast, blocks, build_scaler, prepare
from restorekit.types import Precision

NETS = {
    "sfnet": {"base": 16, "num_res": 2},
    "restormer": {"width": 8, "blocks": (1, 1, 1, 2), "refinement": 1},
    "drunet": {"widths": (4, 4, 4, 4), "blocks": 2, "in_channels": 3},
    "deepdeblur": {"blocks": 2, "width": 4},
}


def gradients(net, x):
    outputs = net(x)
    total = (
        outputs.square().mean()
        if isinstance(outputs, torch.Tensor)
        else sum(output.square().mean() for output in outputs)
    )
    total.backward()
    return {name: p.grad for name, p in net.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", sorted(NETS))
def test_recomputing_changes_neither_gradients_nor_the_state(name):
    torch.manual_seed(0)
    plain = build_net(name, **NETS[name]).train()
    net = copy.deepcopy(plain)
    assert any(True for _ in blocks(net))
    prepare(net, SpeedRecipe(recompute=True))
    x = torch.rand(2, 3, 32, 32)
    expected, found = gradients(plain, x), gradients(net, x)
    assert expected.keys() == found.keys()
    for key, gradient in expected.items():
        torch.testing.assert_close(found[key], gradient, rtol=1e-4, atol=1e-7)
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(net.state_dict()[key], value)


def kept_for_the_way_back(net, x):
    """Bytes that a forward pass keeps."""
    kept = {}

    def remember(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
        net(x)
    return sum(kept.values())


def test_recomputing_keeps_less():
    net = build_net("restormer", **NETS["restormer"]).train()
    x = torch.rand(1, 3, 64, 64)
    before = kept_for_the_way_back(net, x)
    prepare(net, SpeedRecipe(recompute=True))
    assert kept_for_the_way_back(net, x) < before / 3


def test_a_compiled_net_keeps_the_names_of_its_state(monkeypatch):
    net = build_net("drunet", **NETS["drunet"])
    names = list(net.state_dict())
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(self))
    prepare(net, SpeedRecipe(compile=True))
    assert compiled == [net]
    assert list(net.state_dict()) == names


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("float32", torch.float32), ("bfloat16", torch.bfloat16), ("float16", torch.float16)],
)
def test_the_precision_is_that_of_the_net(precision, dtype):
    device = torch.device("cpu")
    with autocast(Precision(precision), device)():
        assert (torch.rand(2, 2) @ torch.rand(2, 2)).dtype == dtype
    assert build_scaler(Precision(precision), device).is_enabled() is (precision == "float16")
