import os

import pytest

from restorekit.backends import hub
from restorekit.backends.card import read_card
from restorekit.backends.checkpoint import write_checkpoint
from restorekit.backends.model import build_net
from restorekit.errors import UnknownNameError, UsageError
from restorekit.types import Task


@pytest.fixture
def embedded(tmp_path, monkeypatch, state, card):
    folder = tmp_path / "weights"
    write_checkpoint(folder / "denoise-l.safetensors", state, card)
    write_checkpoint(folder / "denoise-s.safetensors", state, card, half=True)
    write_checkpoint(
        folder / "derain-s.safetensors", state, card.model_copy(update={"task": Task.DERAIN})
    )
    monkeypatch.setattr(hub, "weights_folder", lambda: folder)
    monkeypatch.chdir(tmp_path)
    return folder


def test_the_folder_is_inside_the_package_or_beside_it(tmp_path, monkeypatch):
    package = tmp_path / "restorekit"
    package.mkdir()
    monkeypatch.setattr(hub, "_PACKAGE", package)
    assert hub.weights_folder() == tmp_path / "weights"
    (package / "weights").mkdir()
    assert hub.weights_folder() == package / "weights"


def test_names_are_the_stems(embedded):
    assert [path.stem for path in hub.embedded()] == ["denoise-l", "denoise-s", "derain-s"]
    assert hub.find_checkpoint("derain-s") == embedded / "derain-s.safetensors"


def test_a_name_wins_over_a_folder_of_that_name(embedded, tmp_path):
    (tmp_path / "derain-s").mkdir()
    assert hub.find_checkpoint("derain-s").is_file()


def test_a_path_is_taken_as_it_is(embedded, tmp_path):
    (tmp_path / "net_latest.pth").write_bytes(b"x")
    assert hub.find_checkpoint("net_latest.pth").name == "net_latest.pth"
    assert hub.find_checkpoint(tmp_path / "net_latest.pth").is_absolute()


def test_a_wrong_name_gets_the_nearest(embedded):
    with pytest.raises(UnknownNameError, match="unknown model 'derian-s'; did you mean derain-s"):
        hub.find_checkpoint("derian-s")


@pytest.mark.parametrize("path", ["none.pth", "some/where/file", f"{os.curdir}{os.sep}none.ckpt"])
def test_a_path_that_is_not_there_says_so(embedded, path):
    with pytest.raises(UsageError, match="no such checkpoint file"):
        hub.find_checkpoint(path)


def test_a_folder_is_no_checkpoint(embedded):
    with pytest.raises(UsageError, match="is a folder"):
        hub.find_checkpoint(embedded)


def test_the_smallest_of_several_stands_for_a_task(embedded):
    assert hub.for_task("denoise").stem == "denoise-s"
    assert hub.for_task("derain").stem == "derain-s"


def test_the_preferred_of_several_stands_for_a_task(embedded, state, card):
    write_checkpoint(embedded / "denoise-a.safetensors", state, card, half=True)
    write_checkpoint(embedded / "denoise-s.safetensors", state, card)
    assert hub.for_task("denoise").stem == "denoise-s"
    (embedded / "denoise-s.safetensors").unlink()
    assert hub.for_task("denoise").stem == "denoise-a"


def test_the_preferred_models_are_of_their_tasks():
    for task, name in hub.PREFERRED.items():
        assert read_card(hub.find_checkpoint(name)).task == task


@pytest.fixture
def enlarging(embedded, card):
    """Models of sr; that of scale 4 has the smallest file."""
    for scale, channels in ((3, 3), (4, 2), (2, 4)):
        config = {"scale": scale, "channels": channels, "convs": 1}
        said = {"backend": "srvgg", "config": config, "task": Task.SR, "scale": scale}
        weights = build_net("srvgg", **config).state_dict()
        path = embedded / f"sr-x{scale}-s.safetensors"
        write_checkpoint(path, weights, card.model_copy(update=said), half=scale == 4)
    return embedded


def test_the_scale_chooses_and_is_the_smallest_by_itself(enlarging):
    assert hub.for_task("sr").stem == "sr-x2-s"
    assert [hub.for_task("sr", scale).stem for scale in (2, 3, 4)] == [
        "sr-x2-s",
        "sr-x3-s",
        "sr-x4-s",
    ]
    assert hub.for_task("derain", 1).stem == "derain-s"


def test_a_scale_without_a_model_lists_those_with_one(enlarging):
    with pytest.raises(UsageError, match=r"'sr' has scale 8 \(scales: 2, 3, 4\).*--model"):
        hub.for_task("sr", 8)
    with pytest.raises(UsageError, match=r"'derain' has scale 2 \(scales: 1\)"):
        hub.for_task("derain", 2)
    with pytest.raises(UsageError, match=r"task 'dehaze' \(embedded: denoise, derain, sr\)"):
        hub.for_task("dehaze", 1)


def test_a_task_without_a_model_lists_those_with_one(embedded):
    with pytest.raises(UsageError, match=r"task 'dehaze' \(embedded: denoise, derain\).*--model"):
        hub.for_task("dehaze")
    with pytest.raises(UnknownNameError, match="unknown task 'derian'; did you mean derain"):
        hub.for_task("derian")


def test_a_path_that_begins_as_the_home_folder_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~mine.pth").touch()
    assert hub.find_checkpoint("./~mine.pth").samefile(tmp_path / "~mine.pth")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert hub.find_checkpoint("~/~mine.pth") == tmp_path / "~mine.pth"
    with pytest.raises(UsageError, match=r"~no-such-user/x.pth: no such checkpoint file"):
        hub.find_checkpoint("~no-such-user/x.pth")


def test_sha256_is_that_of_the_bytes(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert hub.sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea")
