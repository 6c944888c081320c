import pytest
from PIL import Image

from restorekit.data.catalog import DATASETS, Dataset, find_dataset
from restorekit.errors import DataError
from restorekit.metrics.protocols import PROTOCOLS
from restorekit.types import Task


def test_the_table_is_consistent():
    for name, dataset in DATASETS.items():
        assert dataset.name == name
        assert dataset.folders
        assert dataset.pictures > 0
        assert (PROTOCOLS[dataset.protocol].noise is not None) == dataset.clean


def test_names_are_found_in_upper_and_lower_case():
    assert find_dataset("rain100l") is DATASETS["Rain100L"]
    assert find_dataset("rain") is None


def test_the_first_folder_that_exists_counts(tmp_path):
    dataset = Dataset("X", ("a", "b/c"), 1, Task.DERAIN, "rgb")
    with pytest.raises(DataError, match=r"X is not in .*looked for a, b/c"):
        dataset.locate(tmp_path)
    (tmp_path / "b" / "c").mkdir(parents=True)
    assert dataset.locate(tmp_path) == tmp_path / "b" / "c"


def test_pairs_of_a_set_with_and_without_degraded_pictures(tmp_path):
    for folder in ("X/input", "X/target", "Y"):
        (tmp_path / folder).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / folder / "1.png")
    paired = Dataset("X", ("X",), 1, Task.DERAIN, "rgb")
    clean = Dataset("Y", ("Y",), 1, Task.DENOISE, "awgn-sigma25", clean=True)
    assert paired.pairs(tmp_path)[0].reference.parent.name == "target"
    pair = clean.pairs(tmp_path)[0]
    assert pair.degraded == pair.reference
