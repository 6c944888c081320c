import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from restorekit.backends.checkpoint import read_checkpoint, replace_card, write_checkpoint
from restorekit.errors import CheckpointError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tiny.safetensors"


def test_what_is_written_is_read(path, state, card):
    write_checkpoint(path, state, card)
    checkpoint = read_checkpoint(path)
    assert checkpoint.card == card
    assert checkpoint.state.keys() == state.keys()
    assert all(torch.equal(checkpoint.state[key], state[key]) for key in state)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_same_weights_make_the_same_file(path, state, card):
    write_checkpoint(path, state, card)
    first = path.read_bytes()
    write_checkpoint(path, state, card)
    assert path.read_bytes() == first


def test_half_stores_float16_and_reads_float32(path, state, card):
    write_checkpoint(path, state, card, half=True)
    assert {value.dtype for value in load_file(path).values()} == {torch.float16}
    loaded = read_checkpoint(path).state
    assert all(torch.equal(loaded[key], state[key].half().float()) for key in state)


@pytest.mark.parametrize("half", [True, False])
def test_another_card_changes_no_bit_of_the_tensors(path, state, card, half):
    write_checkpoint(path, state, card, half=half)
    before = load_file(path)
    replace_card(path, card.model_copy(update={"limits": "none"}))
    after = load_file(path)
    assert read_checkpoint(path).card.limits == "none"
    assert after.keys() == before.keys()
    for key, value in before.items():
        assert after[key].dtype == value.dtype
        assert after[key].numpy().tobytes() == value.numpy().tobytes()


def test_a_card_of_another_net_is_not_put_on(path, state, card):
    write_checkpoint(path, state, card)
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="weights are of another net"):
        replace_card(path, card.model_copy(update={"config": {**card.config, "blocks": 2}}))
    assert path.read_bytes() == before


def test_half_refuses_what_it_cannot_hold(path, state, card):
    state["m_tail.bias"][1] = 1e5
    with pytest.raises(CheckpointError, match=r"m_tail.bias reaches 100000, float16 ends at 65504"):
        write_checkpoint(path, state, card, half=True)
    assert not path.exists()


def test_tensors_that_share_memory_or_need_gradients_are_written(path, state, card):
    shared = torch.zeros(2, 3, 3, 3)
    state["m_head.weight"] = shared.requires_grad_()
    state["m_tail.weight"] = shared.detach().permute(1, 0, 2, 3)
    write_checkpoint(path, state, card)
    assert not read_checkpoint(path).state["m_tail.weight"].any()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_neither_written_nor_read(path, state, card, bad):
    state["m_tail.bias"][0] = bad
    with pytest.raises(CheckpointError, match=r"1 of \d+ tensors \(m_tail.bias\)"):
        write_checkpoint(path, state, card)
    save_file(state, path, {"restorekit": card.model_dump_json()})
    with pytest.raises(CheckpointError, match="NaN or infinite"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": {"widths": (4, 4, 4, 4)}}, r"another net: .* of another shape \(m_body"),
        ({"backend": "prenet", "config": {}}, r"prenet.* missing .* unexpected"),
        ({"backend": "prenett"}, "unknown backend 'prenett'; did you mean prenet.*another package"),
        ({"config": {"width": 4}}, "does not make a net: .*does not take width"),
        ({"config": {"widths": (1, 2)}}, "does not make a net: .*four scales|4 scales"),
        ({"config": {"blocks": 10**9}}, "does not make a net: blocks is 1,000,000,000"),
        ({"config": {"blocks": 10**5}}, "does not make a net: .*too many layers"),
        ({"scale": 2}, "says scale 2, its net has 1"),
    ],
)
def test_a_card_that_lies_is_refused_in_both_directions(path, state, card, change, message):
    liar = card.model_copy(update=change)
    with pytest.raises(CheckpointError, match=message):
        write_checkpoint(path, state, liar)
    assert not path.exists()
    save_file(state, path, {"restorekit": liar.model_dump_json()})
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(path)


def test_a_failed_write_leaves_the_old_file(path, state, card, monkeypatch):
    write_checkpoint(path, state, card)
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("restorekit.files.os.fsync", full)
    with pytest.raises(CheckpointError, match="cannot be written: No space left on device"):
        write_checkpoint(path, state, card.model_copy(update={"name": "new"}))
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_folder_in_place_of_the_output_is_an_error(tmp_path, state, card):
    with pytest.raises(CheckpointError, match="cannot be written"):
        write_checkpoint(tmp_path, state, card)


def test_data_that_the_header_does_not_describe_is_refused(path, state, card):
    save_file(state, path, {"restorekit": card.model_dump_json()})
    content = bytearray(path.read_bytes())
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["m_tail.bias"]["dtype"] = "F99"
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        read_checkpoint(path)
