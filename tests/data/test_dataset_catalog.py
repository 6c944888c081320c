import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from pydantic import TypeAdapter, ValidationError

from restorekit.data.catalog import DATASETS, Dataset, find_dataset, get_dataset
from restorekit.data.layouts import FIELD, Layout
from restorekit.data.pairs import check_sizes
from restorekit.errors import DataError, UnknownNameError, UsageError
from restorekit.metrics.protocols import PROTOCOLS
from restorekit.types import Task
from tests.data.trees import cifar_rows, plant, put

KNOWN = """
    GoPro HIDE RealBlur-R RealBlur-J RSBlur DPDD DPDD-dual SOTS-Indoor SOTS-Outdoor ITS OTS I-HAZE
    O-HAZE Dense-Haze NH-HAZE CSD SRRS Snow100K Snow100K-S Snow100K-M Snow100K-L Rain13K Rain100H
    Rain100L Test100 Test1200 Test2800 SPA DeRaindrop DeRaindrop-b DIV2K Flickr2K AIM-RWSR
    NTIRE20-RWSR SIDD DND Set5 Set14 BSD100 CBSD68 Urban100 Kodak24 Kodak24-full McMaster CIFAR-10
    PolyU Manga109 BSD68 Set12 Haze4K Surface-Scratches folder
"""


# the table


def test_the_sets_of_the_papers_are_there():
    assert sorted(DATASETS) == sorted(KNOWN.split())


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=list(DATASETS))
def test_a_row_is_consistent(dataset):
    assert dataset.folders
    assert dataset.content
    assert dataset.paper or dataset.name in ("folder", "Surface-Scratches")
    assert dataset.pictures > 0 or dataset.name in ("folder", "Surface-Scratches")
    assert dataset.split not in dataset.counts
    assert dataset.home.startswith("http") or not dataset.home
    assert set(dataset.names) <= set(dataset.splits)
    assert all(re.fullmatch(r"\d+x\d+", size) for size in dataset.sizes)
    assert dataset.groups == {} or sum(dataset.groups.values()) == dataset.pictures
    for split in dataset.names:
        assert len(dataset.expected(split)) == dataset.count(split)


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=list(DATASETS))
def test_the_protocol_exists_and_makes_what_the_set_lacks(dataset):
    protocol = PROTOCOLS[dataset.protocol]
    assert (protocol.noise is not None or bool(dataset.scales)) == (
        dataset.clean or bool(dataset.scales)
    )


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=list(DATASETS))
def test_templates_fit_each_other(dataset):
    for layout in dataset.layouts:
        ours, theirs = (set(FIELD.findall(t)) for t in (layout.degraded, layout.reference))
        if layout.degraded and layout.reference:
            assert theirs - {"split", "scale"} <= ours
        assert layout.list_file or layout.degraded or layout.reference
        assert layout.split in ("", *dataset.splits)
        assert set(layout.splits) | set(layout.counts) <= set(dataset.splits)
        assert bool(layout.degraded or layout.list_file) or dataset.clean


@pytest.mark.parametrize("row", [{"licnce": "MIT"}, {"layouts": [{"of": "x", "refrence": "y"}]}])
def test_a_key_that_is_not_known_is_refused(row):
    whole = {"name": "X", "folders": ["X"], "pictures": 1, "protocol": "rgb"}
    TypeAdapter(Dataset).validate_python(whole)
    with pytest.raises(ValidationError):
        TypeAdapter(Dataset).validate_python({**whole, **row})


def test_facts_of_the_papers():
    assert (DATASETS["GoPro"].count(), DATASETS["GoPro"].count("train")) == (1111, 2103)
    assert (DATASETS["Test100"].count(), DATASETS["Rain13K"].count()) == (98, 13711)
    assert DATASETS["HIDE"].count("train") + DATASETS["HIDE"].count() == 8422
    assert DATASETS["DPDD"].splits == ("test", "train", "val")
    assert DATASETS["SOTS-Indoor"].expected()[-1] == "1449_10"
    assert DATASETS["DIV2K"].expected()[0] == "0801"
    assert not DATASETS["DND"].references


def test_names_are_found_in_upper_and_lower_case():
    assert find_dataset("rain100l") is get_dataset("RAIN100L") is DATASETS["Rain100L"]
    assert find_dataset("rain") is None
    with pytest.raises(UnknownNameError, match="unknown data set 'GoPr'; did you mean GoPro"):
        get_dataset("GoPr")


# every layout of every set


def cases():
    for dataset in DATASETS.values():
        for number, layout in enumerate(dataset.layouts):
            splits = dataset.splits if dataset.by_name or layout.has_splits else None
            for split in splits or (layout.split or dataset.split,):
                yield pytest.param(dataset, layout, split, id=f"{dataset.name}-{number}-{split}")


def samples(dataset: Dataset, layout: Layout, split: str) -> list[dict[str, str]]:
    """Values of the fields of two pairs."""
    fields = dict.fromkeys(FIELD.findall(layout.degraded + layout.reference))
    values = [{field: f"{field}{k}" for field in fields} for k in (1, 2)]
    if dataset.by_name:
        names = dataset.expected(split)[:2]
        return [{"scene": re.sub("_hazy$", "", name)} for name in names]
    if layout.near:
        return [{"shot": "1P0A0917"}, {"shot": "1P0A0930"}]
    return values


def write(base: Path, template: str, fields: dict[str, str], side: int) -> None:
    path = base / FIELD.sub(lambda m: fields[m[1]], template)
    if path.suffix == ".mat":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    else:
        put(path.with_name(path.name + ".png"), size=(side, side))


def write_packed(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".mat":
        scipy.io.savemat(file, {"x": np.zeros((1, 2, 4, 4, 3), np.uint8)})
    elif file.suffix == ".bin":
        rows = np.hstack([np.zeros((2, 1), np.uint8), cifar_rows(2)])
        file.write_bytes(rows.tobytes())
    else:
        file.write_bytes(pickle.dumps({b"data": cifar_rows(2)}))


def grow(root: Path, dataset: Dataset, layout: Layout, split: str, scale: int) -> None:
    """Write a tree of two pairs as the layout describes it."""
    base = root / (layout.folders or dataset.folders)[0]
    if layout.list_file:
        plant(base, "s/a/1.png", "s/b/1.png", "s/a/2.png", "s/b/2.png")
        lines = "\n".join(f"s/a/{k}.png s/b/{k}.png" for k in (1, 2))
        (base / layout.list_file).parent.mkdir(parents=True, exist_ok=True)
        (base / layout.list_file).write_text(lines)
        return
    for template in filter(None, (layout.degraded, layout.second, layout.reference)):
        folder = template.rpartition("/")[0].replace("{batch}", "1")
        if Path(folder).suffix == ".mat" or "_batch" in folder:
            write_packed(base / folder)
            continue
        side = 8 * scale if template == layout.reference else 8
        for fields in samples(dataset, layout, split):
            write(base, template, fields, side)


@pytest.mark.parametrize(("dataset", "layout", "split"), list(cases()))
def test_each_layout_is_found_and_paired(tmp_path, dataset, layout, split):
    scale = (4 if layout.degraded else 3) if dataset.scales else 1
    layout = layout.filled(split, scale)
    grow(tmp_path, dataset, layout, split, scale)
    located = dataset.locate(tmp_path, split, scale)
    assert located.matching.findings == ()
    assert len(located.matching.pairs) == 2
    if not dataset.references:
        with pytest.raises(DataError, match="DND has no references"):
            dataset.pairs(tmp_path)
        return
    pairs = dataset.pairs(tmp_path, split, scale)
    check_sizes(pairs)
    assert {pair.is_clean for pair in pairs} == {not (layout.degraded or layout.list_file)}
    assert {pair.scale for pair in pairs} == {scale}
    assert len({pair.name for pair in pairs}) == 2


# trees written by hand, after the sets' own descriptions


def test_gopro_of_its_authors(tmp_path):
    for name in ("test/GOPR0384_11_00", "test/GOPR0410_11_00", "train/GOPR0372_07_00"):
        for kind in ("blur", "blur_gamma", "sharp"):
            plant(tmp_path / "GOPRO_Large" / name / kind, "000047.png", "000048.png")
    pairs = DATASETS["GoPro"].pairs(tmp_path)
    assert [pair.name for pair in pairs][::2] == ["GOPR0384_11_00/000047", "GOPR0410_11_00/000047"]
    assert {pair.degraded.parent.name for pair in pairs} == {"blur"}
    assert len(DATASETS["GoPro"].pairs(tmp_path, "train")) == 2


def test_hide_of_its_authors(tmp_path):
    plant(tmp_path / "HIDE_dataset", "test/test-close-ups/1fromGOPR1089.png", "GT/3.png")
    plant(tmp_path / "HIDE_dataset", "test/test-long-shot/2.png", "GT/1fromGOPR1089.png")
    plant(tmp_path / "HIDE_dataset", "train/3.png", "GT/2.png")
    names = [pair.name for pair in DATASETS["HIDE"].pairs(tmp_path)]
    assert names == ["test-close-ups/1fromGOPR1089", "test-long-shot/2"]
    assert [pair.name for pair in DATASETS["HIDE"].pairs(tmp_path, "train")] == ["3"]


def test_realblur_by_its_list(tmp_path):
    long = "RealBlur-J_ECC_IMCORR_centroid_itensity_ref"
    for k in (1, 2):
        plant(tmp_path, f"{long}/scene001/gt/gt_{k}.png", f"{long}/scene001/blur/blur_{k}.png")
    line = f"{long}/scene001/gt/gt_2.png {long}/scene001/blur/blur_2.png"
    (tmp_path / "RealBlur_J_test_list.txt").write_text(line)
    (pair,) = DATASETS["RealBlur-J"].pairs(tmp_path)
    assert (pair.degraded.name, pair.reference.name) == ("blur_2.png", "gt_2.png")
    with pytest.raises(DataError, match="RealBlur-R is not in"):
        DATASETS["RealBlur-R"].pairs(tmp_path)


def test_sots_with_the_frame_of_the_official_references(tmp_path):
    plant(tmp_path, "SOTS/indoor/hazy/1400_1.png", size=(62, 46))
    plant(tmp_path, "SOTS/indoor/gt/1400.png", size=(82, 66))
    (pair,) = DATASETS["SOTS-Indoor"].pairs(tmp_path)
    check_sizes([pair])
    plant(tmp_path, "SOTS/indoor/gt/1400.png", size=(80, 66))
    with pytest.raises(DataError, match="62x46 and 80x66"):
        check_sizes([pair])


def test_dehazeformer_has_one_reference_for_each(tmp_path):
    plant(tmp_path, *(f"RESIDE-IN/test/{k}/1400_{n}.png" for k in ("hazy", "GT") for n in (1, 2)))
    pairs = DATASETS["SOTS-Indoor"].pairs(tmp_path)
    assert [pair.reference.name for pair in pairs] == ["1400_1.png", "1400_2.png"]


def test_o_haze_with_mixed_suffixes_and_its_test_part(tmp_path):
    plant(tmp_path, *(f"O-HAZE/hazy/{n}_outdoor_hazy.JPG" for n in range(39, 46)))
    plant(tmp_path, *(f"O-HAZE/GT/{n}_outdoor_GT.jpg" for n in range(39, 46)))
    names = [pair.name for pair in DATASETS["O-HAZE"].pairs(tmp_path)]
    assert names == [f"{n}_outdoor_hazy" for n in range(41, 46)]
    assert len(DATASETS["O-HAZE"].pairs(tmp_path, "all")) == 7


def test_names_that_tell_no_split(tmp_path):
    plant(tmp_path / "NH-HAZE", "60_hazy.png", "60_GT.png")
    with pytest.raises(DataError, match=r"none of 1 pairs of NH-HAZE is in its split test, that"):
        DATASETS["NH-HAZE"].pairs(tmp_path)


def test_dpdd_is_paired_by_number(tmp_path):
    root = tmp_path / "dd_dp_dataset_canon"
    plant(root, "test_c/source/1P0A0917.png", "test_c/target/1P0A0916.png")
    plant(root, "test_l/source/1P0A0917_L.png", "test_r/source/1P0A0917_R.png")
    (single,) = DATASETS["DPDD"].pairs(tmp_path)
    assert (single.reference.name, single.depth) == ("1P0A0916.png", 8)
    (pair,) = DATASETS["DPDD-dual"].pairs(tmp_path)
    assert (pair.degraded.name, pair.second.name) == ("1P0A0917_L.png", "1P0A0917_R.png")
    assert pair.depth == 0


def test_super_resolution_from_disk_or_made(tmp_path):
    plant(tmp_path, "Set5/HR/baby.png", size=(50, 51))
    made = DATASETS["Set5"].pairs(tmp_path)[0]
    assert (made.is_clean, made.scale) == (True, 4)
    plant(tmp_path, "Set5/LR_bicubic/X3/babyx3.png", size=(16, 17))
    found = DATASETS["Set5"].pairs(tmp_path, scale=3)[0]
    check_sizes([found])
    assert (found.degraded.name, found.scale) == ("babyx3.png", 3)
    as_clean = DATASETS["Set5"].pairs(tmp_path, scale=1)[0]
    assert (as_clean.is_clean, as_clean.scale) == (True, 1)


def test_scales_that_a_set_does_not_have(tmp_path):
    with pytest.raises(UsageError, match="Set5 is reduced by 2, 3, 4, not by 8"):
        DATASETS["Set5"].pairs(tmp_path, scale=8)
    with pytest.raises(UsageError, match="Rain100L has pictures for scale 1, not for 4"):
        DATASETS["Rain100L"].pairs(tmp_path, scale=4)


# what is not there


def test_the_root_may_be_the_folder_of_the_set_itself(tmp_path):
    plant(tmp_path / "SOTS" / "outdoor", "hazy/1_2.jpg", "gt/1.png")
    assert len(DATASETS["SOTS-Outdoor"].pairs(tmp_path / "SOTS" / "outdoor")) == 1
    plant(tmp_path / "other", "hazy/1_2.jpg", "gt/1.png")
    with pytest.raises(DataError, match=r"SOTS-Outdoor is not in .*looked for SOTS-Outdoor"):
        DATASETS["SOTS-Outdoor"].pairs(tmp_path / "other")


def test_a_layout_that_is_not_known_is_paired_by_name(tmp_path):
    plant(tmp_path / "Rain100L", "degraded/1.png", "hq/1.png")
    assert DATASETS["Rain100L"].locate(tmp_path).layout == "any folder of pairs"
    plant(tmp_path / "Rain13K", "training/lq/1.png", "training/hq/1.png", "val/lq/2.png")
    assert len(DATASETS["Rain13K"].pairs(tmp_path)) == 1


def test_a_wrong_root_is_told_where_the_set_is(tmp_path):
    plant(tmp_path / "sets" / "HIDE", "input/1.png", "target/1.png")
    with pytest.raises(DataError, match=rf"did you mean the data root {tmp_path}/sets\?"):
        DATASETS["HIDE"].pairs(tmp_path)
    (tmp_path / "sets" / "other").mkdir()
    with pytest.raises(DataError, match=rf"did you mean the data root {tmp_path}/sets\?"):
        DATASETS["HIDE"].pairs(tmp_path / "sets" / "other")
    both = r"--data-root DIR; train: --set data\.data_root=DIR\).*--set data\.pairs=DIR"
    with pytest.raises(DataError, match=both):
        DATASETS["HIDE"].pairs(tmp_path / "sets" / "other")
    with pytest.raises(DataError, match="nowhere: no such folder; name the one that holds HIDE"):
        DATASETS["HIDE"].pairs(tmp_path / "nowhere")


def test_an_empty_folder_names_the_layouts(tmp_path):
    for name in ("HIDE", "CBSD68"):
        (tmp_path / name).mkdir()
        with pytest.raises(DataError, match=rf"no picture of {name} \(test\) in any of its layout"):
            DATASETS[name].pairs(tmp_path)
    with pytest.raises(DataError, match=r"valid/blur/\{name\} with valid/sharp/\{name\} \(SFNet"):
        DATASETS["HIDE"].pairs(tmp_path)


def test_missing_references_stop_everything(tmp_path):
    plant(tmp_path / "Rain100L", "input/1.png", "input/2.png", "target/1.png")
    with pytest.raises(DataError, match=r"1 without a reference: .*2\.png \(needs target/2\)"):
        DATASETS["Rain100L"].pairs(tmp_path)


def test_splits_that_a_set_does_not_have(tmp_path):
    with pytest.raises(UnknownNameError, match="unknown split of GoPro 'val'; known: test, train"):
        DATASETS["GoPro"].pairs(tmp_path, "val")


def test_the_best_of_two_copies_is_taken(tmp_path):
    plant(tmp_path / "Rain100L", "input/1.png", "input/2.png", "target/1.png")
    plant(tmp_path / "test/Rain100L", "input/1.png", "target/1.png")
    assert DATASETS["Rain100L"].locate(tmp_path).folder == tmp_path / "test/Rain100L"


def test_a_set_without_a_table_of_layouts(tmp_path):
    plant(tmp_path, "X/input/1.png", "X/target/1.png", "Y/1.png")
    paired = Dataset("X", ("X",), 1, Task.DERAIN, "rgb")
    clean = Dataset("Y", ("Y",), 1, Task.DENOISE, "awgn-sigma25", clean=True)
    assert paired.pairs(tmp_path)[0].reference.parent.name == "target"
    assert clean.pairs(tmp_path)[0].is_clean
