"""Models that leave torch, run by the other engines themselves."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import restorekit
from restorekit.backends.card import Card
from restorekit.backends.engines import ENGINES, load_exported
from restorekit.backends.model import Model
from restorekit.backends.registry import default_registry
from restorekit.errors import CheckpointError, MissingExtraError, UnknownNameError, UsageError
from restorekit.export import export_onnx, on_engine
from restorekit.inference.pipeline import Restorer
from restorekit.nets.blocks import check_size

SMALL = {
    "drunet": {"in_channels": 3, "widths": (2, 3, 4, 5), "blocks": 1, "residual": True},
    "srvgg": {"channels": 4, "convs": 1, "scale": 2},
    "nafnet": {"width": 4, "encoder_blocks": (1,) * 4, "decoder_blocks": (1,) * 4},
    "prenet": {"stages": 2},
    "guided": {"widths": (2, 2, 2, 2), "blocks": 1, "side": 16},
    "deepdeblur": {"blocks": 1, "width": 4, "kernel": 3},
}


def model_of(name, **config):
    torch.manual_seed(0)
    backend = default_registry().get(name)
    chosen = config or SMALL[name]
    net = backend.build(**chosen).eval()
    for weights in net.parameters():  # residual nets start as the identity
        torch.nn.init.normal_(weights, std=0.1)
    scale = backend.scale(chosen)
    card = Card(name=f"tiny-{name}", backend=name, config=chosen, scale=scale)
    return Model(net, card, backend, torch.device("cpu"))


@pytest.fixture(scope="module")
def denoiser(tmp_path_factory):
    model = model_of("drunet")
    path = tmp_path_factory.mktemp("exported") / "tiny.onnx"
    return model, export_onnx(model, path)


@pytest.mark.parametrize("name", ["srvgg", "nafnet", "prenet", "deepdeblur"])
def test_every_kind_of_net_gives_the_same_picture(name, tmp_path):
    model = model_of(name)
    exported = load_exported(export_onnx(model, tmp_path / "net.onnx").path)
    x = torch.rand(1, 3, 45, 70)
    assert torch.allclose(exported(x), model(x), atol=1e-5)
    assert exported.card == model.card


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_gives_the_picture_of_torch_for_any_size(engine, denoiser):
    model, exported = denoiser
    other = load_exported(exported.path, engine)
    for size in ((1, 1), (33, 17), (8, 120)):
        x = torch.rand(1, 3, *size)
        assert torch.allclose(other(x), model(x), atol=1e-5)


def test_the_report_tells_what_was_compared(denoiser):
    _, exported = denoiser
    assert exported.difference < 1e-5
    assert len(set(exported.sizes)) == 2


class Particular(torch.nn.Conv2d):
    def forward(self, x):
        check_size("this net", x, 32, 160)
        return super().forward(x)


def test_a_net_with_a_smallest_picture_is_tried_on_none_below_it(tmp_path):
    model = model_of("srvgg", channels=4, convs=1, scale=1)
    needs = replace(model.backend.capabilities, multiple=32, minimum=160)
    backend = replace(model.backend, capabilities=needs)
    model = Model(Particular(3, 3, 3, padding=1).eval(), model.card, backend, model.device)
    exported = export_onnx(model, tmp_path / "net.onnx")
    assert all(side % 32 == 0 and side >= 160 for size in exported.sizes for side in size)
    assert len(set(exported.sizes)) == 2


def test_a_picture_is_restored_in_tiles_by_another_engine(denoiser):
    model, exported = denoiser
    picture = torch.rand(1, 3, 100, 90)
    tiled = Restorer(load_exported(exported.path), tile=48).restore_tensor(picture)
    assert torch.allclose(tiled, Restorer(model, tile=48).restore_tensor(picture), atol=1e-5)


def test_global_statistics_that_cannot_be_made_local_are_those_of_tiles(tmp_path):
    model = model_of("nafnet")
    exported = load_exported(export_onnx(model, tmp_path / "net.onnx").path)
    window = Restorer(model)._window
    picture = torch.rand(1, 3, 24, window + 40) * torch.linspace(0, 1, window + 40)
    whole = Restorer(exported, tile=0).restore_tensor(picture)
    automatic = Restorer(exported).restore_tensor(picture)
    in_tiles = Restorer(exported, tile=window).restore_tensor(picture)
    assert torch.equal(automatic, in_tiles)
    assert not torch.equal(automatic, whole)


def test_the_public_verb_takes_an_exported_file(denoiser):
    model, exported = denoiser
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    ours = restorekit.restore(picture, model=model)
    theirs = restorekit.restore(picture, model=restorekit.load_model(exported.path))
    assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_a_checkpoint_runs_on_another_engine_after_being_exported(denoiser):
    model, _ = denoiser
    x = torch.rand(1, 3, 16, 24)
    assert torch.allclose(on_engine(model, "onnxruntime")(x), model(x), atol=1e-5)


def test_a_net_that_becomes_another_one_is_refused_and_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("restorekit.export.TOLERANCE", -1.0)
    with pytest.raises(CheckpointError, match="gives other pictures"):
        export_onnx(model_of("srvgg"), tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_rounding_is_measured_by_how_large_the_values_are(tmp_path):
    model = model_of("srvgg")
    with torch.no_grad():
        for parameter in [*model.net.parameters()][-2:]:
            parameter *= 1e5
    assert export_onnx(model, tmp_path / "loud.onnx").difference < 1e-4


def test_a_net_that_cannot_be_exported_says_so(tmp_path):
    with pytest.raises(CheckpointError, match="refinement cannot be exported to ONNX"):
        export_onnx(model_of("refinement", channels=4, layers=2), tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_bad_names_and_files_are_named(tmp_path, denoiser):
    model, exported = denoiser
    with pytest.raises(UsageError, match=r"net\.pth: an exported model is an \.onnx file"):
        export_onnx(model, tmp_path / "net.pth")
    with pytest.raises(UsageError, match="median has no weights"):
        export_onnx(restorekit.load_model("median"), tmp_path / "median.onnx")
    with pytest.raises(UsageError, match="reduced copy of the whole picture"):
        export_onnx(model_of("guided"), tmp_path / "guided.onnx")
    with pytest.raises(UnknownNameError, match="did you mean onnxruntime"):
        load_exported(exported.path, "onxruntime")
    with pytest.raises(UsageError, match="torch cannot run it"):
        load_exported(exported.path, "torch")
    with pytest.raises(UsageError, match="no such exported model"):
        load_exported(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_text("no graph")
    for engine in ENGINES:
        with pytest.raises(CheckpointError, match=f"{engine} cannot open this file"):
            load_exported(tmp_path / "text.onnx", engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_graph_of_others_has_no_card(engine, tmp_path, denoiser):
    import onnx

    graph = onnx.load(denoiser[1].path)
    del graph.metadata_props[:]
    onnx.save(graph, tmp_path / "foreign.onnx")
    with pytest.raises(CheckpointError, match="no card of restorekit"):
        load_exported(tmp_path / "foreign.onnx", engine)


def test_an_engine_that_is_not_installed_is_named(denoiser, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"restorekit\[openvino\]"):
        load_exported(denoiser[1].path, "openvino")
