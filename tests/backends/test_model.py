from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restorekit.backends.base import Capabilities
from restorekit.backends.card import Training
from restorekit.backends.checkpoint import write_checkpoint
from restorekit.backends.model import build_net, load_model, resolve_device
from restorekit.errors import CheckpointError, UnknownNameError, UsageError
from restorekit.types import Precision, Task


@pytest.fixture
def path(tmp_path, state, card):
    write_checkpoint(tmp_path / "tiny.safetensors", state, card)
    return tmp_path / "tiny.safetensors"


@pytest.fixture
def model(path):
    return load_model(path, device="cpu")


def test_loads_strictly_and_knows_itself(model, state, card):
    assert model.card == card
    assert (model.task, model.scale, model.channels) == (Task.DENOISE, 1, 3)
    assert not model.net.training
    assert all(torch.equal(value, state[key]) for key, value in model.net.state_dict().items())


def enlarged(x):
    return torch.nn.functional.interpolate(x, scale_factor=2, mode="nearest")


class Strict(torch.nn.Module):
    """Twice the size, and nothing but multiples of 8."""

    def forward(self, x):
        assert not any(side % 8 for side in x.shape[-2:])
        return enlarged(x)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 40), st.integers(1, 40))
def test_any_size_goes_in_and_comes_out_at_scale(model, height, width):
    double = replace(model, net=Strict(), card=model.card.model_copy(update={"scale": 2}))
    x = torch.rand(2, 3, height, width)
    assert torch.equal(double(x), enlarged(x))


def test_is_the_net_run_on_the_reflected_picture(model):
    x = torch.rand(1, 3, 13, 21)
    padded = torch.nn.functional.pad(x, (0, 3, 0, 3), mode="reflect")
    with torch.no_grad():
        expected = model.net(padded)[..., :13, :21]
    restored = model(x)
    assert restored.dtype is torch.float32
    assert torch.allclose(restored, expected, atol=1e-6)


def test_takes_any_float_and_returns_float32(model):
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(model(x.double()), model(x))
    assert model(x.half()).dtype is torch.float32


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(1, 1, 8, 8), "tiny takes pictures of 3 channels, got 1"),
        (torch.zeros(3, 8, 8), r"takes \(N, C, H, W\), got \(3, 8, 8\)"),
        (torch.zeros(1, 3, 0, 8), r"got \(1, 3, 0, 8\)"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), r"takes floats in \[0, 1\], got torch.uint8"),
    ],
)
def test_refuses_what_is_no_picture_for_it(model, x, message):
    with pytest.raises(UsageError, match=message):
        model(x)


def test_lower_precision_only_where_the_backend_says_so(model):
    x = torch.rand(1, 3, 16, 16)
    unable = replace(model, backend=replace(model.backend, capabilities=Capabilities(8, 8)))
    with pytest.raises(UsageError, match="drunet is not exact enough in bfloat16"):
        unable(x, precision=Precision.BFLOAT16)
    able = replace(
        model, backend=replace(model.backend, capabilities=Capabilities(8, 8, bfloat16=True))
    )
    lowered = able(x, precision=Precision.BFLOAT16)
    assert lowered.dtype is torch.float32
    assert 0 < (lowered - model(x)).abs().max() < 0.05


def trained_in(model, precision, *, bfloat16=True):
    training = Training(
        data="photos", recipe="r", recipe_sha256="0", steps=1, seconds=1.0, precision=precision
    )
    able = Capabilities(half=True, bfloat16=bfloat16)
    return replace(
        model,
        backend=replace(model.backend, capabilities=able),
        card=model.card.model_copy(update={"training": training}),
    )


@pytest.mark.parametrize(
    ("processor", "trained", "depth", "chosen"),
    [
        ("avx512_bf16", "bfloat16", 8, "bfloat16"),
        ("amx_bf16", "bfloat16", 8, "bfloat16"),
        ("avx512_f", "bfloat16", 8, "float32"),
        ("avx512_bf16", "bfloat16", 16, "float32"),
        ("avx512_bf16", "bfloat16", 32, "float32"),
        ("avx512_bf16", "float32", 8, "float32"),
        ("avx512_bf16", "float16", 8, "float32"),
    ],
)
def test_auto_is_bfloat16_where_it_is_fast_and_exact_enough(
    model, monkeypatch, processor, trained, depth, chosen
):
    found = {"avx512_bf16": False} | {processor: True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    able = trained_in(model, Precision(trained))
    assert able.precision(Precision.AUTO, depth) is Precision(chosen)
    assert able.precision(Precision.AUTO) is Precision.FLOAT32, "a tensor"
    assert able.precision(Precision.FLOAT32, depth) is Precision.FLOAT32


def test_auto_is_float32_where_nothing_is_known(model, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    untold = replace(trained_in(model, "bfloat16"), card=model.card)
    assert untold.precision(Precision.AUTO, 8) is Precision.FLOAT32
    unable = trained_in(model, Precision.BFLOAT16, bfloat16=False)
    assert unable.precision(Precision.AUTO, 8) is Precision.FLOAT32
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert trained_in(model, "bfloat16").precision(Precision.AUTO, 8) is Precision.FLOAT32


def test_auto_is_float16_on_an_accelerator(model):
    able = replace(trained_in(model, Precision.BFLOAT16), device=torch.device("cuda"))
    assert able.precision(Precision.AUTO, 8) is Precision.FLOAT16


class Pyramid(torch.nn.Module):
    def forward(self, x):
        return [x * 0, x]


@pytest.mark.parametrize(("result", "is_zero"), [("first", True), ("last", False)])
def test_takes_the_picture_out_of_several_outputs(model, result, is_zero):
    pyramid = replace(model, net=Pyramid(), backend=replace(model.backend, result=result))
    assert (pyramid(torch.ones(1, 3, 8, 8)).max() == 0) == is_zero


def test_a_foreign_file_is_a_model_too(tmp_path, state):
    torch.save({"params_ema": state}, tmp_path / "net_latest.pth")
    model = load_model(tmp_path / "net_latest.pth", device="cpu")
    assert (model.card.name, model.backend.name, model.task) == ("net_latest", "drunet", None)
    assert torch.isfinite(model(torch.rand(1, 3, 9, 9))).all()


def test_what_is_assumed_of_a_foreign_file_is_warned_of(tmp_path):
    torch.save(build_net("prenet", channels=2).state_dict(), tmp_path / "net.pth")
    with pytest.warns(UserWarning, match="assumed stages=6, late=False"):
        load_model(tmp_path / "net.pth", device="cpu")


DENOISERS = {
    "ffdnet": {"channels": 4, "layers": 3},
    "fdncnn": {"channels": 4, "layers": 3},
    "drunet": {"widths": (2, 2, 2, 2), "blocks": 1},
}


@pytest.mark.parametrize("name", DENOISERS)
def test_a_denoiser_is_told_the_noise_level(tmp_path, name):
    torch.save(build_net(name, **DENOISERS[name]).state_dict(), tmp_path / "net.pth")
    with pytest.warns(UserWarning, match=r"assumed sigma=25"):
        usual = load_model(tmp_path / "net.pth", device="cpu")
    told = load_model(tmp_path / "net.pth", device="cpu", settings={"sigma": 50})
    assert (usual.net.sigma, told.net.sigma, told.card.config["sigma"]) == (25, 50, 50)
    x = torch.rand(1, 3, 9, 9)
    assert not torch.equal(usual(x), told(x))
    write_checkpoint(tmp_path / "net.safetensors", told.net.state_dict(), told.card)
    again = load_model(tmp_path / "net.safetensors", device="cpu", settings={"sigma": 25})
    assert torch.equal(again(x), usual(x))


def test_a_file_of_numbered_nets_is_one_model_told_by_the_noise_level(tmp_path):
    nets = [build_net("ircnn", channels=4) for _ in range(25)]
    numbered = {str(number): net.state_dict() for number, net in enumerate(nets)}
    torch.save(numbered, tmp_path / "ircnn_color.pth")
    x = torch.rand(1, 3, 9, 9)
    # The levels are 2, 4 .. 50: 25 is left to the net for 26.
    for sigma, number in [(25, 12), (1, 0), (2, 0), (2.5, 1), (50, 24), (75, 24)]:
        model = load_model(tmp_path / "ircnn_color.pth", device="cpu", settings={"sigma": sigma})
        with torch.inference_mode():
            assert torch.allclose(model(x), nets[number](x), atol=1e-6)
    write_checkpoint(tmp_path / "ours.safetensors", model.net.state_dict(), model.card)
    again = load_model(tmp_path / "ours.safetensors", device="cpu", settings={"sigma": 25})
    with torch.inference_mode():
        assert torch.allclose(again(x), nets[12](x), atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 8}, "width cannot be set for this drunet; its weights tell all there is"),
        ({"sigma": 15}, "sigma cannot be set for this drunet"),
    ],
)
def test_only_what_the_weights_do_not_tell_can_be_set(path, settings, message):
    with pytest.raises(UsageError, match=message):
        load_model(path, settings=settings)


@pytest.mark.parametrize(
    ("sigma", "message"), [(300, "0 to 255, got 300"), ("much", "give a value such as 25")]
)
def test_an_impossible_noise_level_is_refused(tmp_path, sigma, message):
    net = build_net("ffdnet", **DENOISERS["ffdnet"])
    torch.save(net.state_dict(), tmp_path / "net.pth")
    with pytest.raises(UsageError, match=message):
        load_model(tmp_path / "net.pth", settings={"sigma": sigma})


def test_nothing_is_loaded_with_random_weights(tmp_path, state):
    del state["m_tail.weight"]
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(CheckpointError, match=r"m_tail\.weight"):
        load_model(tmp_path / "part.pth")


def test_wrong_names_get_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown model"):
        load_model("no-such-model")
    with pytest.raises(UnknownNameError, match="did you mean sfnet"):
        build_net("sfnett")


def test_build_net_takes_the_arguments_of_the_net():
    assert build_net("drunet", widths=(2, 2, 2, 2), blocks=3).m_head.out_channels == 2


def test_devices_are_those_that_are_there():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device().type in ("cpu", "cuda", "xpu", "mps")
    with pytest.raises(UsageError, match="unknown device 'gpu'; available: auto, cpu"):
        resolve_device("gpu")
    with pytest.raises(UsageError, match="is not available here; available: auto, cpu"):
        resolve_device("cuda:99")
