import contextlib
import io
import os
import pickle
import zipfile
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from restorekit.backends.checkpoint import write_checkpoint
from restorekit.backends.legacy import Format, load_foreign, read_any, read_weights, sniff
from restorekit.errors import CheckpointError, RestorekitError, UnknownNetError, UnsafePickleError
from restorekit.types import Task


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.pth"


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


WRITERS = {
    "zip": (lambda state, path: torch.save(state, path), Format.TORCH),
    "before zip": (
        lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
        Format.PICKLE,
    ),
    "safetensors": (save_file, Format.SAFETENSORS),
    "npz": (
        lambda state, path: path.write_bytes(npz({k: v.numpy() for k, v in state.items()})),
        Format.NPZ,
    ),
}


def npz(arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("suffix", [".pth", ".pkl", ".npz", ".safetensors", ""])
def test_the_content_and_not_the_suffix_tells_the_format(tmp_path, state, kind, suffix):
    write, expected = WRITERS[kind]
    path = tmp_path / f"net{suffix}"
    write(state, path)
    assert sniff(path) is expected
    name, config, loaded = load_foreign(path)
    assert (name, config["widths"]) == ("drunet", (2, 3, 4, 5))
    assert same(loaded, state)


def prefixed(state, prefix):
    return {prefix + key: value for key, value in state.items()}


WRAPPED = {
    "params": lambda s: {"params": s},
    "averaged before raw": lambda s: {"params": prefixed(s, "x."), "params_ema": s},
    "training state": lambda s: {
        "model": s,
        "optimizer": {"state": {0: {"exp_avg": s}}, "param_groups": [{}]},
        "epoch": 7,
    },
    "generator": lambda s: {"generator": s, "discriminator": {"w": torch.zeros(1)}},
    "nested": lambda s: {"net": {"state_dict": s}},
    "unknown name": lambda s: {"our_weights": s, "iteration": 5},
    "DataParallel": lambda s: {"state_dict": prefixed(s, "module.")},
    "compiled": lambda s: prefixed(s, "module._orig_mod."),
    "compiled first": lambda s: prefixed(s, "_orig_mod.module."),
    "Lightning": lambda s: {"state_dict": {**prefixed(s, "model."), "loss.vgg": torch.zeros(2)}},
    "Lightning around DataParallel": lambda s: {"state_dict": prefixed(s, "net_g.module.")},
    "generator by letter": lambda s: {"G": s, "D": {"w": torch.zeros(1)}},
    "generator by any name": lambda s: {"F": s, "net_d": {"w": torch.zeros(1)}},
    "counted by thop": lambda s: {
        **s,
        "total_ops": torch.zeros(1),
        "m_tail.total_params": 0 * s["m_tail.bias"],
    },
    "other entries": lambda s: {**s, "sigma": 25, "note": "text"},
    "settings and scores": lambda s: {
        "state_dict": s,
        "args": Namespace(lr=1, where=Path("here")),
        "psnr": np.float64(3),
        "epoch": np.int64(2),
    },
    "parameters": lambda s: {k: torch.nn.Parameter(v) for k, v in s.items()},
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_wrappers_and_prefixes_are_taken_off(path, state, kind):
    torch.save(WRAPPED[kind](state), path)
    checkpoint = read_any(path)
    assert checkpoint.card.backend == "drunet"
    assert same(checkpoint.state, state)
    assert not any(value.requires_grad for value in checkpoint.state.values())


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        ("averaged before raw", "took 'params_ema', left out params"),
        ("training state", "took 'model', left out optimizer, epoch"),
        ("generator by letter", "took 'G', left out D"),
        ("counted by thop", "took the weights, left out total_ops, m_tail.total_params"),
        ("other entries", "took the tensors, left out sigma, note"),
        ("settings and scores", "took 'state_dict', left out args, psnr, epoch"),
        ("Lightning", "took 'model.*', left out loss.vgg"),
    ],
)
def test_what_is_left_out_is_said(path, state, kind, note):
    torch.save(WRAPPED[kind](state), path)
    assert any(note in said for said in read_any(path).notes)


def test_load_foreign_warns_of_what_it_leaves_out(path, state):
    torch.save({"params": state, "iter": 3}, path)
    with pytest.warns(UserWarning, match=r"net\.pth: took 'params', left out iter"):
        load_foreign(path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floats_become_float32_and_integers_stay(path, dtype):
    torch.save({"w": torch.ones(2, dtype=dtype), "n": torch.tensor(3)}, path)
    state = read_weights(path).state
    assert (state["w"].dtype, state["n"].dtype) == (torch.float32, torch.int64)


def test_the_card_of_a_foreign_file_says_what_is_known(path, state):
    torch.save(state, path)
    card = read_any(path).card
    assert (card.name, card.source, card.licence, card.task) == ("net", "net.pth", "unknown", None)
    assert card.config["widths"] == (2, 3, 4, 5)


def test_our_own_file_keeps_its_card(path, state, card):
    write_checkpoint(path, state, card)
    assert read_any(path).card == card
    assert load_foreign(path)[0] == "drunet"
    assert card.task is Task.DENOISE


class Evil:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


EVIL = {
    "zip": lambda evil, path: torch.save({"params": {"w": torch.zeros(1)}, "x": evil}, path),
    "before zip": lambda evil, path: torch.save(
        {"w": torch.zeros(1), "x": evil}, path, _use_new_zipfile_serialization=False
    ),
    "protocol 4": lambda evil, path: torch.save(evil, path, pickle_protocol=4),
    **{
        f"plain pickle {protocol}": lambda evil, path, protocol=protocol: path.write_bytes(
            pickle.dumps({"params": evil}, protocol=protocol)
        )
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}


@pytest.mark.parametrize("kind", EVIL)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".SafeTensors", ".npz"])
def test_a_pickle_that_asks_for_code_is_refused_by_name_and_not_run(tmp_path, kind, suffix):
    mark, path = tmp_path / "mark", tmp_path / f"evil{suffix}"
    EVIL[kind](Evil(mark), path)
    with pytest.raises(UnsafePickleError, match=rf"{os.system.__module__}\.system") as error:
        read_any(path)
    assert path.name in str(error.value)
    assert not mark.exists()


def test_the_evil_of_these_tests_is_real(tmp_path):
    pickle.loads(pickle.dumps(Evil(tmp_path / "mark")))
    assert (tmp_path / "mark").exists()


def test_harmless_looking_objects_are_named_too(path):
    torch.save({"w": torch.zeros(1), "args": SimpleNamespace(lr=1), "w2": np.zeros(3)}, path)
    with pytest.raises(UnsafePickleError, match=r"numpy\.ndarray, types\.SimpleNamespace") as error:
        read_weights(path)
    assert "OrderedDict" not in str(error.value)


def test_an_array_of_objects_is_refused(path):
    path.write_bytes(npz({"w": np.array([{}], dtype=object)}))
    with pytest.raises(UnsafePickleError, match="array of Python objects"):
        read_weights(path)


def test_what_the_scan_lets_pass_torch_still_refuses(path, monkeypatch):
    torch.save({"w": torch.zeros(1), "args": SimpleNamespace(lr=1)}, path)
    monkeypatch.setattr("restorekit.backends.legacy.unsafe_globals", lambda _: [])
    with pytest.raises(UnsafePickleError, match=r"nothing was run: .*types\.SimpleNamespace"):
        read_weights(path)


def archive(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, b"x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"\x93NUMPY\x01", "save it as .npz"),
        (b"hello, this is a text", "not a checkpoint, or cut off; accepted are safetensors"),
        (os.urandom(64).replace(b".", b"!"), "checkpoint|safetensors"),
        (archive("readme.txt"), "a zip archive without weights"),
        (archive("a.npy"), r"not a readable \.npz file"),
        (archive("x/data.pkl"), "not a checkpoint, or cut off"),
        (archive("x/constants.pkl", "x/data.pkl"), "a TorchScript program"),
        (archive("readme.txt")[:20], "a zip archive without its end"),
        (pickle.dumps({"w": [1, 2]}, protocol=4), "cannot be read safely"),
        (pickle.dumps([1.0], protocol=2), "not written by torch.save"),
    ],
)
def test_what_is_no_checkpoint_is_told_so(path, content, message):
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as error:
        read_any(path)
    assert "net.pth" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(3), "holds a Tensor and not a dict of weights"),
        ([1], "holds a list"),
        ({}, "no weights in it .found: nothing."),
        ({"epoch": 3, "loss": 0.1}, "no weights in it .found: epoch, loss."),
        ({"state": {0: {"m": torch.zeros(1)}}, "param_groups": [{}]}, "an optimiser state"),
        ({"optimizer": {"state": {}, "param_groups": [{}]}, "epoch": 1}, "an optimiser state"),
        ({"optimizers": [{"state": {}, "param_groups": [{}]}], "iter": 1}, "an optimiser state"),
        ({"netD": {"w": torch.zeros(1)}}, "holds only a discriminator"),
        ({"w": torch.zeros(2, 2, dtype=torch.int8)}, "w holds int8 and not floats"),
        ({"w": torch.zeros(2, dtype=torch.complex64)}, "w holds complex64 and not floats"),
        ({"w": torch.zeros(2).to_sparse()}, "w is a sparse tensor"),
        ({"w": torch.zeros(2, device="meta")}, "w is without numbers"),
        ({"a": {"w": torch.zeros(1)}, "b": {"w": torch.zeros(1)}}, r"several sets .*\(a, b\)"),
        ({"w": torch.tensor([1.0, float("nan")])}, r"NaN or infinite .*\(w\)"),
    ],
)
def test_a_file_without_usable_weights_says_what_it_holds(path, content, message):
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=message):
        read_weights(path)


def test_an_unknown_net_is_named_with_its_file(path):
    torch.save({"model": {"a": torch.zeros(1)}}, path)
    with pytest.raises(UnknownNetError, match=r"net\.pth: no backend fits the 1 keys"):
        load_foreign(path)


def test_missing_files_and_folders_are_told_apart(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        load_foreign(tmp_path / "none.pth")
    with pytest.raises(CheckpointError, match="is a folder"):
        load_foreign(tmp_path)


@pytest.mark.parametrize("kind", WRITERS)
@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_is_an_error_of_ours_or_harmless(tmp_path, state, kind, data):
    path = tmp_path / "net.pth"
    WRITERS[kind][0](state, path)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(4):
            place = data.draw(st.integers(0, min(len(content) - 1, 4000)))
            content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    # Anything but an error of ours would end the test.
    with contextlib.suppress(RestorekitError):
        assert read_any(path).card.backend == "drunet"
