import pickle
import struct

import numpy as np
import pytest
import scipy.io

from restorekit.data.packed import is_packed, packed_names, read_packed
from restorekit.data.pairs import Pair, check_sizes, read_pair
from restorekit.data.pictures import picture_size, read_picture
from restorekit.errors import PictureError, UnsafePickleError
from tests.data.trees import cifar_rows


def as_picture(row):
    return row.reshape(3, 32, 32).transpose(1, 2, 0)


def write_binary(path, rows):
    labels = np.full((len(rows), 1), 7, np.uint8)
    path.write_bytes(np.hstack([labels, rows]).tobytes())


@pytest.mark.parametrize("protocol", [2, 4])
def test_cifar_in_its_pickled_form(tmp_path, protocol):
    rows = cifar_rows(3)
    batch = {b"data": rows, b"labels": [1, 2, 3], b"batch_label": b"testing batch 1 of 1"}
    (tmp_path / "test_batch").write_bytes(pickle.dumps(batch, protocol=protocol))
    assert packed_names(tmp_path / "test_batch") == ["0", "1", "2"]
    read = read_packed(tmp_path / "test_batch" / "2")
    np.testing.assert_array_equal(read, as_picture(rows[2]))


def test_cifar_as_python_2_pickled_it(tmp_path):
    """Strings without an encoding, as in the files of the home page."""
    samples = cifar_rows(2)
    array = pickle.dumps(samples, protocol=2).replace(b"numpy._core.", b"numpy.core.")
    body = array[2:-1]  # without the protocol before and the stop after it
    pickled = b"\x80\x02}U\x04data" + body + b"s."
    (tmp_path / "data_batch_3").write_bytes(pickled)
    read = read_packed(tmp_path / "data_batch_3" / "1")
    np.testing.assert_array_equal(read, as_picture(samples[1]))


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('ran')",))


def test_a_pickle_that_asks_for_code_is_refused_unrun(tmp_path):
    batch = {b"data": cifar_rows(1), b"labels": Evil()}
    (tmp_path / "test_batch").write_bytes(pickle.dumps(batch))
    with pytest.raises(UnsafePickleError, match=r"test_batch: refused, nothing was run.*exec"):
        read_packed(tmp_path / "test_batch" / "0")


def test_cifar_in_its_binary_form(tmp_path):
    rows = cifar_rows(12)
    write_binary(tmp_path / "data_batch_1.bin", rows)
    names = packed_names(tmp_path / "data_batch_1.bin")
    assert (names[0], names[-1]) == ("00", "11")
    read = read_packed(tmp_path / "data_batch_1.bin" / "11")
    np.testing.assert_array_equal(read, as_picture(rows[11]))


@pytest.mark.parametrize("compressed", [True, False])
def test_blocks_of_sidd_as_scipy_writes_them(tmp_path, compressed):
    blocks = np.random.default_rng(0).integers(0, 256, (3, 2, 5, 4, 3), dtype=np.uint8)
    path = tmp_path / "ValidationGtBlocksSrgb.mat"
    scipy.io.savemat(path, {path.stem: blocks}, do_compression=compressed)
    assert packed_names(path) == ["0-0", "0-1", "1-0", "1-1", "2-0", "2-1"]
    np.testing.assert_array_equal(read_packed(path / "2-1"), blocks[2, 1])


def test_packed_pictures_are_read_like_others(tmp_path):
    write_binary(tmp_path / "test_batch.bin", cifar_rows(2))
    path = tmp_path / "test_batch.bin" / "1"
    assert picture_size(path) == (32, 32)
    assert read_picture(path).pixels.shape == (32, 32, 3)
    pair = Pair(path, path, "1")
    check_sizes([pair])
    assert read_pair(pair)[0].shape == (32, 32, 3)


def test_other_files_and_folders_are_not_packed(tmp_path):
    (tmp_path / "test_batch").mkdir()
    (tmp_path / "batches.meta").touch()
    assert not is_packed(tmp_path / "test_batch")
    assert not is_packed(tmp_path / "batches.meta")
    assert not is_packed(tmp_path / "no.mat")


def mat_header(kind, size):
    return b"MATLAB 5.0".ljust(126) + b"IM" + struct.pack("<II", kind, size)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("test_batch.bin", b"x" * 100, "no multiple of 3073"),
        ("test_batch", b"no pickle", "download it again"),
        ("a.mat", b"\x89HDF\r\n", "no MATLAB file of version 5"),
        ("b.mat", mat_header(14, 999), "breaks off"),
        ("c.mat", mat_header(9, 0), "first element is no array"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PictureError, match=said) as caught:
        packed_names(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_arrays_that_hold_no_pictures(tmp_path):
    scipy.io.savemat(tmp_path / "flat.mat", {"x": np.zeros((4, 5), np.uint8)})
    with pytest.raises(PictureError, match=r"shape \(4, 5\)"):
        packed_names(tmp_path / "flat.mat")
    scipy.io.savemat(tmp_path / "double.mat", {"x": np.zeros((4, 5, 6, 3))})
    with pytest.raises(PictureError, match="not of uint8"):
        packed_names(tmp_path / "double.mat")


@pytest.mark.parametrize("name", ["2", "x", "0-0"])
def test_a_picture_that_is_not_in_the_file(tmp_path, name):
    write_binary(tmp_path / "test_batch.bin", cifar_rows(2))
    with pytest.raises(PictureError, match=r"holds no such picture; its names are 0 to 1"):
        read_packed(tmp_path / "test_batch.bin" / name)
