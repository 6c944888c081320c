import json
import struct
import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from restorekit.backends.card import Card, Measured, Training, read_card, read_header
from restorekit.errors import CheckpointError


def write(path, fields):
    save_file({"a": torch.zeros(2, 3)}, path, {"restorekit": json.dumps(fields)})
    return path


@pytest.fixture
def full(card):
    return card.model_copy(
        update={
            "training": Training(
                data="photos",
                recipe="r.toml",
                recipe_sha256="0" * 64,
                steps=10,
                seconds=1.5,
                precision="bfloat16",
                curve={5: 30.5, 10: 31.5},
            ),
            "measured": (Measured(dataset="Kodak24", protocol="rgb", values={"psnr": 31.5}),),
            "limits": "texture",
        }
    )


def test_a_card_survives_json(tmp_path, full):
    path = write(tmp_path / "a.safetensors", json.loads(full.model_dump_json()))
    assert read_card(path) == full
    assert read_card(path).config["widths"] == (2, 3, 4, 5)
    assert read_card(path).config["residual"] is True


def test_the_header_tells_shapes_and_counts_what_was_learned(tmp_path):
    state = {"w": torch.zeros(2, 3), "n.running_mean": torch.zeros(5), "b": torch.zeros(())}
    save_file(state, tmp_path / "a.safetensors")
    header = read_header(tmp_path / "a.safetensors")
    assert header.shapes == {key: tuple(value.shape) for key, value in state.items()}
    assert header.parameters == 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nmae": "x"}, "nmae: Extra inputs"),
        ({"task": "derian"}, "task: Input should be 'derain'"),
        ({"scale": 0}, "scale: "),
        ({"measured": [{"dataset": "d", "protocol": "p", "values": {}}]}, "measured.0.values"),
        ({"config": {"a": {"b": 1}}}, "config"),
        ({"format_version": 2}, "written in format 2, and this restorekit reads up to 1"),
    ],
)
def test_an_invalid_card_names_the_field(tmp_path, card, change, message):
    fields = {**json.loads(card.model_dump_json()), **change}
    with pytest.raises(CheckpointError, match=message) as error:
        read_card(write(tmp_path / "a.safetensors", fields))
    assert "a.safetensors" in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "not JSON"), ("7", "not valid"), ("[1]", "not valid")]
)
def test_a_card_that_is_no_object_is_refused(tmp_path, text, message):
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors", {"restorekit": text})
    with pytest.raises(CheckpointError, match=message):
        read_card(tmp_path / "a.safetensors")


def test_numbers_of_a_card_are_finite():
    with pytest.raises(ValidationError):
        Measured(dataset="d", protocol="p", values={"psnr": float("nan")})


def test_weights_without_a_card_say_how_to_get_one(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=r"no card.*restorekit models convert"):
        read_card(tmp_path / "a.safetensors")


def raw(header):
    return struct.pack("<Q", len(header)) + header


ENTRY = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"abc", "cut off inside its header"),
        (raw(ENTRY)[:30], "cut off inside its header"),
        (raw(ENTRY) + b"1234", "cut off: the header promises 8 bytes of weights, the file has 4"),
        (raw(ENTRY) + b"1" * 9, "too long"),
        (raw(b"{}}"), "header is damaged"),
        (raw(b"[]"), "header is damaged"),
        (raw(b'{"a":{"dtype":"F32"}}'), "header is damaged"),
        (raw(b'{"__metadata__":5}'), "header is damaged"),
        (raw(b"[" * 100_000), "header is damaged"),
    ],
)
def test_a_damaged_file_says_what_is_wrong(tmp_path, content, message):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_card(path)


def test_a_folder_and_a_missing_file_are_told_apart(tmp_path):
    with pytest.raises(CheckpointError, match="is a folder"):
        read_card(tmp_path)
    with pytest.raises(CheckpointError, match="no such file"):
        read_card(tmp_path / "none")


def test_listing_imports_no_torch():
    code = (
        "import sys; from restorekit.cli import models; models.list_models(); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_card_is_not_changed_by_accident(card):
    with pytest.raises(ValidationError):
        card.name = "other"
    assert isinstance(card, Card)
