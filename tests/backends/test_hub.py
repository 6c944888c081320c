import os

import pytest

from restorekit.backends import hub
from restorekit.backends.checkpoint import write_checkpoint
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


def test_a_task_without_a_model_lists_those_with_one(embedded):
    with pytest.raises(UsageError, match=r"task 'dehaze' \(embedded: denoise, derain\).*--model"):
        hub.for_task("dehaze")
    with pytest.raises(UnknownNameError, match="unknown task 'derian'; did you mean derain"):
        hub.for_task("derian")


def test_sha256_is_that_of_the_bytes(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert hub.sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea")
