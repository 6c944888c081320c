import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from restorekit.backends.detect import detect, fit_shapes, outline, shapes_of
from restorekit.backends.registry import Registry, default_registry
from restorekit.backends.table import BACKENDS
from restorekit.errors import UnknownNetError

CONFIGS = [
    ("sfnet", {"base": 16, "num_res": 1}),
    ("sfnet", {"base": 32, "num_res": 3}),
    ("fsnet", {"base": 16, "num_res": 4}),
    ("convir", {"base": 16, "num_res": 2}),
    ("convir", {"base": 32, "num_res": 8}),
    ("prenet", {}),
    ("prenet", {"recurrent": False, "channels": 8}),
    ("prenet", {"recursive": True}),
    ("prenet", {"recurrent": False, "recursive": True}),
    ("drunet", {}),
    ("drunet", {"in_channels": 3, "widths": (4, 6, 8, 10), "blocks": 2, "residual": True}),
    ("drunet", {"in_channels": 1, "out_channels": 1, "widths": (2, 2, 2, 2), "bias": True}),
    ("guided", {}),
    ("guided", {"widths": (2, 3, 4, 5), "blocks": 1, "side": 64}),
    ("guided", {"widths": (2, 3, 4, 5), "blocks": 1, "side": 64, "dark": True}),
    ("guided", {"widths": (2, 3, 4, 5), "blocks": 1, "side": 64, "shrinkage": 7.5}),
    ("exposure", {}),
    ("exposure", {"widths": (2, 3, 4, 5), "blocks": 1, "look": (3, 4, 5, 6), "side": 64}),
    ("dncnn", {}),
    ("dncnn", {"in_channels": 1, "layers": 17, "norm": True}),
    ("dncnn", {"in_channels": 1, "layers": 7, "norm": True, "bias": False}),
    ("fdncnn", {}),
    ("fdncnn", {"in_channels": 1, "channels": 4, "layers": 7}),
    ("ircnn", {}),
    ("ircnn", {"in_channels": 1, "channels": 4}),
    ("ircnn_set", {"channels": 4}),
    ("ircnn_set", {"in_channels": 1, "channels": 4, "levels": 3}),
    ("ffdnet", {}),
    ("ffdnet", {"in_channels": 1, "channels": 4, "layers": 7, "residual": True}),
    ("rrdbnet", {"channels": 4, "blocks": 2, "growth": 2}),
    ("rrdbnet", {"scale": 2, "channels": 4, "blocks": 1, "growth": 2, "unshuffle": 2}),
    ("srvgg", {}),
    ("srvgg", {"scale": 2, "channels": 4, "convs": 3, "prelu": False}),
    ("practice", {}),
    ("practice", {"layers": 4, "skip": True, "norm": True}),
    ("refinement", {}),
    ("refinement", {"method": "bicubic", "scale": 2, "channels": 4, "layers": 3}),
    ("srcnn", {}),
    ("srcnn", {"in_channels": 3, "channels": (6, 4), "kernels": (9, 1, 5)}),
    ("vdsr", {}),
    ("vdsr", {"in_channels": 3, "channels": 4, "layers": 5}),
    ("nafnet", {"width": 4, "encoder_blocks": (1, 1, 1, 28)}),
    ("nafnet", {"in_channels": 1, "width": 2, "encoder_blocks": (2,), "decoder_blocks": (3,)}),
    ("mimo_unet", {"base": 8, "num_res": 8}),
    ("mimo_unet", {"base": 4, "num_res": 20}),
    ("deepdeblur", {"width": 4}),
    ("deepdeblur", {"blocks": 9, "width": 2, "scales": 2, "shuffle": False}),
    ("restormer", {"width": 8}),
    ("restormer", {"width": 8, "biased": False, "in_channels": 1, "out_channels": 1}),
    ("restormer", {"width": 8, "in_channels": 6, "dual_pixel": True, "bias": True}),
]


@pytest.mark.parametrize(("name", "config"), CONFIGS)
def test_recovers_the_constructor_arguments_from_random_weights(name, config):
    backend = default_registry().get(name)
    state = backend.build(**config).state_dict()
    found, inferred = detect(state)
    assert found.name == name
    again = backend.build(**inferred)
    again.load_state_dict(state, strict=True)
    for key, value in config.items():
        assert inferred[key] == value


@pytest.mark.parametrize(
    ("name", "theirs", "config"),
    [
        ("dncnn", "dncnn.", {"in_channels": 1, "norm": True, "bias": False}),
        (
            "ffdnet",
            "intermediate_dncnn.itermediate_dncnn.",
            {"in_channels": 1, "residual": True},
        ),
    ],
)
def test_another_layout_is_brought_into_ours(name, theirs, config):
    backend = default_registry().get(name)
    state = backend.build(**config).state_dict()
    foreign = {key.replace("model.", theirs): value for key, value in state.items()}
    found, inferred = detect(foreign)
    assert found.name == name
    assert inferred.items() >= config.items()
    backend.build(**inferred).load_state_dict(backend.adopted(foreign), strict=True)


def test_a_broken_adoption_does_not_hide_the_others():
    drunet = default_registry().get("drunet")
    broken = replace(drunet, name="broken", adopt="no.such:adopt")
    state = drunet.build(widths=(2, 2, 2, 2), blocks=1).state_dict()
    assert detect(state, Registry([broken, drunet]))[0] is drunet


def test_every_row_of_the_table_is_tried():
    assert {name for name, _ in CONFIGS} == {backend.name for backend in BACKENDS}


def test_a_relative_with_the_signature_keys_is_not_taken_for_the_net(state):
    state["m_gate.weight"] = torch.zeros(3)
    del state["m_body.0.res.0.bias"]
    state["m_tail.bias"] = torch.zeros(7)
    with pytest.raises(UnknownNetError) as error:
        detect(state)
    message = str(error.value)
    assert f"drunet: {len(state) - 2} of {len(state)} keys match" in message
    assert "1 missing (m_body.0.res.0.bias)" in message
    assert "1 unexpected (m_gate.weight)" in message
    assert "1 of another shape (m_tail.bias (file 7, net 3))" in message


def test_a_file_without_a_signature_key_is_still_compared(state):
    del state["m_tail.weight"]
    with pytest.raises(UnknownNetError) as error:
        detect(state)
    assert "1 missing (m_tail.weight)" not in str(error.value)
    assert "drunet: " in str(error.value)
    assert "its configuration cannot be told: KeyError: 'm_tail.weight'" in str(error.value)


def test_a_file_that_resembles_nothing_says_how_it_begins():
    with pytest.raises(UnknownNetError, match=r"known: .*prenet.*begins with a\.b, c$"):
        detect({"a.b": torch.zeros(1), "c": torch.zeros(2)})


def test_a_broken_net_does_not_hide_the_others(state):
    drunet = default_registry().get("drunet")
    broken = replace(drunet, name="broken", net="no.such:Net", infer="no.such:infer")
    assert detect(state, Registry([broken, drunet]))[0] is drunet
    with pytest.raises(UnknownNetError, match=r"broken: .* cannot be told: .*no\.such"):
        detect(state, Registry([broken]))


def test_a_discriminator_is_called_one():
    spectral = {"conv0.weight": torch.zeros(4, 3, 3, 3), "conv1.weight_orig": torch.zeros(4)}
    patch = {"0.weight": torch.zeros(8, 3, 4, 4), "1.weight": torch.zeros(1, 8, 4, 4)}
    for state in (spectral, patch):
        with pytest.raises(UnknownNetError, match="looks like the discriminator"):
            detect(state)
    with pytest.raises(UnknownNetError) as error:
        detect({"0.weight": torch.zeros(8, 1, 3, 3), "1.weight": torch.zeros(1, 8, 3, 3)})
    assert "discriminator" not in str(error.value)


class Stack(torch.nn.Sequential):
    def __init__(self):
        super().__init__(torch.nn.BatchNorm2d(3))


def test_files_from_before_the_batch_counters_fit_and_load(monkeypatch):
    monkeypatch.setitem(sys.modules, "stack_net", SimpleNamespace(Stack=Stack))
    backend = replace(default_registry().get("drunet"), net="stack_net:Stack")
    old = {k: v for k, v in Stack().state_dict().items() if "num_batches" not in k}
    assert fit_shapes(backend, {}, shapes_of(old)).exact
    Stack().load_state_dict(old, strict=True)


def test_an_outline_of_any_net_holds_no_numbers():
    for backend in BACKENDS:
        net = outline(backend, {})
        assert {weight.device.type for weight in net.parameters()} == {"meta"}


def test_opening_and_measuring_a_net_imports_no_compiler(tmp_path):
    """The compiler of torch, and the algebra that it computes shapes with, take two seconds."""
    net = default_registry().get("drunet").build(widths=(2, 2, 2, 2), blocks=1)
    torch.save(net.state_dict(), tmp_path / "net.pth")
    code = f"""
import sys
from restorekit.backends.model import load_model
from restorekit.backends.profile import profile
profile(load_model({str(tmp_path / "net.pth")!r}, device="cpu").card)
assert not {{"sympy", "torch._dynamo"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
