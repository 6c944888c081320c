import json
from pathlib import Path

import pytest

from restorekit.data import catalog
from restorekit.data.catalog import Dataset
from restorekit.degradations.catalog import DEGRADATIONS
from restorekit.errors import DataError, UnknownNameError, UsageError
from restorekit.evaluation.subject import (
    choose_subject,
    nearest_severity,
    restored_subject,
)
from restorekit.metrics.protocols import get_protocol
from restorekit.types import Task


@pytest.fixture
def known(folder, monkeypatch):
    """Three sets in the table: pairs, references to add noise to, references to reduce."""
    sets = {
        "Pairs": Dataset("Pairs", ("set",), 9, Task.DERAIN, "rgb-float"),
        "Clean": Dataset("Clean", ("set/target",), 3, Task.DENOISE, "awgn-sigma15", clean=True),
        "Large": Dataset(
            "Large", ("set/target",), 3, Task.SR, "srgan-y-crop4", clean=True, scales=(2, 4)
        ),
    }
    monkeypatch.setattr(catalog, "DATASETS", sets)
    return folder.parent


def test_a_known_set_has_its_own_task_and_protocol(known):
    subject = choose_subject("pairs", data_root=known)
    assert (subject.dataset, subject.task, subject.whole) == ("Pairs", Task.DERAIN, 9)
    assert subject.protocol.id == "rgb-float"
    assert len(subject.pairs) == 3


def test_the_protocol_can_be_chosen(known):
    subject = choose_subject("Pairs", data_root=known, protocol=get_protocol("rain-y-matlab"))
    assert subject.protocol.id == "rain-y-matlab"


@pytest.mark.parametrize("scale", [2, 4])
def test_the_protocol_says_how_far_a_super_resolution_set_is_reduced(known, scale):
    protocol = get_protocol(f"srgan-y-crop{scale}")
    subject = choose_subject("Large", data_root=known, protocol=protocol)
    assert {(pair.scale, pair.is_clean) for pair in subject.pairs} == {(scale, True)}


def test_a_folder_of_anybody_is_measured_in_rgb(folder):
    subject = choose_subject(str(folder))
    assert (subject.dataset, subject.task, subject.whole) == ("set", None, 0)
    assert subject.protocol.id == "rgb"
    assert subject.groups == {}


def test_a_folder_of_clean_pictures_or_of_pairs_suits_super_resolution(folder):
    protocol = get_protocol("srgan-y-crop2")
    clean = choose_subject(str(folder / "target"), protocol=protocol)
    assert {(pair.scale, pair.is_clean) for pair in clean.pairs} == {(2, True)}
    pairs = choose_subject(str(folder), protocol=protocol)
    assert {(pair.scale, pair.is_clean) for pair in pairs.pairs} == {(2, False)}


def test_protocols_that_do_not_suit_the_set_are_refused(known):
    with pytest.raises(UsageError, match="Clean holds clean pictures only"):
        choose_subject("Clean", data_root=known, protocol=get_protocol("rgb"))
    with pytest.raises(UsageError, match="Pairs has degraded pictures of its own"):
        choose_subject("Pairs", data_root=known, protocol=get_protocol("awgn-sigma25"))


@pytest.mark.parametrize("name", ["some/where", "./here", "here/"])
def test_what_looks_like_a_path_is_a_missing_folder(name):
    with pytest.raises(UsageError, match=f"^{name}: no such folder"):
        choose_subject(name)


def test_a_file_is_no_set(folder):
    with pytest.raises(UsageError, match=r"1.png: is a file; give a folder of pairs"):
        choose_subject(str(folder / "input" / "1.png"))


def test_unknown_sets():
    with pytest.raises(UnknownNameError, match="did you mean Rain100"):
        choose_subject("Rain100")
    with pytest.raises(UnknownNameError, match="unknown data set or folder ''"):
        choose_subject("")


# pictures that are restored already


def test_restored_pictures_are_paired_with_their_references(folder):
    subject = restored_subject(folder / "input", folder / "target")
    assert (subject.dataset, subject.is_restored, subject.protocol.id) == ("target", True, "rgb")
    assert [pair.name for pair in subject.pairs] == ["1", "2", "3"]


def test_restored_pictures_without_a_partner_are_named(folder):
    (folder / "target" / "3.png").unlink()
    with pytest.raises(DataError, match=r"1 without a reference: .*3\.png"):
        restored_subject(folder / "input", folder / "target")


def test_restored_pictures_need_folders_and_a_protocol_without_noise(folder):
    with pytest.raises(UsageError, match=r"elsewhere: no such folder"):
        restored_subject(folder / "elsewhere", folder / "target")
    with pytest.raises(UsageError, match="adds noise"):
        restored_subject(folder / "input", folder / "target", protocol=get_protocol("awgn-sigma15"))


# groups


def add_manifest(folder: Path, **operations: list[dict[str, object]]) -> None:
    """Write a manifest as `degrade` does, with the operations of each picture."""
    common = {"format": 1, "source_sha256": "0" * 64, "copy_number": 0, "seed": 0, "versions": {}}
    lines = [
        json.dumps(common | {"source": name, "name": f"{name[1:]}.png", "operations": done})
        for name, done in operations.items()
    ]
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n")


NOISE = {"place": 0, "op": "gaussian-noise", "parameters": {"sigma": 25.0}}
JPEG = {"place": 1, "op": "jpeg", "parameters": {"quality": 11}}


def test_groups_are_read_off_the_manifest_of_a_folder(folder):
    add_manifest(folder, _1=[NOISE], _2=[NOISE, JPEG], _3=[])
    noise = ("gaussian-noise", "gaussian-noise, severity 3")
    assert choose_subject(str(folder)).groups == {
        "1": noise,
        "2": (*noise, "jpeg", "jpeg, severity 4"),
        "3": ("not degraded",),
    }


def test_a_damaged_manifest_is_an_error(folder):
    (folder / "manifest.jsonl").write_text('{"format": 1}\n')
    with pytest.raises(DataError, match="line 1"):
        choose_subject(str(folder))


@pytest.mark.parametrize("degradation", DEGRADATIONS, ids=lambda each: each.name)
def test_every_severity_is_nearest_to_itself(degradation):
    found = [
        nearest_severity(degradation.name, degradation.at_severity(k).model_dump())
        for k in range(1, 6)
    ]
    assert found in ([1, 2, 3, 4, 5], [None] * 5)


def test_drawn_parameters_go_to_the_nearest_severity():
    assert nearest_severity("gaussian-noise", {"sigma": 19.0}) == 2
    assert nearest_severity("gaussian-noise", {"sigma": 21.0}) == 3
    assert nearest_severity("gaussian-noise", {"sigma": 500.0}) == 5
