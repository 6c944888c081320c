import pytest
import torch

from restorekit.backends.checkpoint import write_checkpoint
from restorekit.backends.model import load_model
from restorekit.classical.refinement import METHODS, Refinement, infer_config


@pytest.mark.parametrize("name", [name for name in METHODS if name != "bm3d"])
def test_untrained_it_is_its_method(name):
    scale = 2 if "scale" in METHODS[name].model.model_fields else 1
    net = Refinement(name, scale, channels=4, layers=2)
    x = torch.rand(2, 3, 16, 20)
    method = METHODS[name](**({"scale": 2} if scale == 2 else {}))
    with torch.inference_mode():
        assert torch.equal(net(x), method(x))


@pytest.mark.parametrize(
    "config",
    [
        {"method": "median", "scale": 1, "in_channels": 3, "channels": 5, "layers": 3},
        {"method": "back-projection", "scale": 3, "in_channels": 1, "channels": 4, "layers": 2},
    ],
)
def test_configuration_is_read_off_the_weights(config):
    assert infer_config(Refinement(**config).state_dict()) == config


def test_training_improves_on_the_method():
    torch.manual_seed(0)
    reference = torch.rand(1, 3, 4, 4).repeat_interleave(8, 2).repeat_interleave(8, 3)
    degraded = reference + 0.1 * torch.randn_like(reference)
    net = Refinement("gaussian", channels=8, layers=3)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    errors = []
    for _ in range(80):
        loss = (net(degraded) - reference).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(loss.item())
    assert errors[-1] < 0.8 * errors[0]


def test_a_bare_state_dict_is_a_model_of_its_method(tmp_path):
    net = Refinement("bicubic", 2, channels=4, layers=2)
    torch.nn.init.normal_(net.refine[-1].weight)
    torch.save(net.state_dict(), tmp_path / "net.pth")
    model = load_model(tmp_path / "net.pth", device="cpu")
    assert (model.backend.name, model.scale) == ("refinement", 2)
    x = torch.rand(1, 3, 9, 7)
    with torch.no_grad():
        assert torch.allclose(model(x), net(x), atol=1e-6)
    write_checkpoint(tmp_path / "net.safetensors", net.state_dict(), model.card)
    assert torch.equal(load_model(tmp_path / "net.safetensors", device="cpu")(x), model(x))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"method": "magic"}, "no method 'magic'; there are nearest, bilinear"),
        ({"method": "median", "scale": 2}, "median does not enlarge, got scale 2"),
        ({"layers": 1}, "at least 2 layers, got 1"),
    ],
)
def test_an_impossible_configuration_is_refused(config, message):
    with pytest.raises(ValueError, match=message):
        Refinement(**config)
