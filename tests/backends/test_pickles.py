import copyreg
import os
import pickle
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from restorekit.backends.pickles import INERT, Inert, unsafe_globals


class Calls:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_and_plain_containers_ask_for_nothing(tmp_path, zipped):
    content = {
        "w": torch.nn.Parameter(torch.zeros(2)),
        "half": torch.zeros(2, dtype=torch.bfloat16),
        "size": torch.Size([1]),
        "dtype": torch.float16,
        "device": torch.device("cpu"),
        "order": OrderedDict(a={1, 2}, b=b"bytes"),
    }
    torch.save(content, tmp_path / "a", _use_new_zipfile_serialization=zipped)
    assert unsafe_globals(tmp_path / "a") == []
    torch.load(tmp_path / "a", weights_only=True)


@pytest.mark.parametrize("zipped", [True, False])
def test_what_lies_beside_weights_asks_for_nothing_and_is_not_made(tmp_path, zipped):
    args = Namespace(lr=1, folder=Path("here"))
    content = {"args": args, "psnr": np.float64(3), "counts": [np.int64(1), np.bool_(True)]}
    torch.save(content, tmp_path / "a", _use_new_zipfile_serialization=zipped)
    assert unsafe_globals(tmp_path / "a") == []
    with torch.serialization.safe_globals([(Inert, name) for name in INERT]):
        found = torch.load(tmp_path / "a", weights_only=True)
    things = [found["args"], found["psnr"], *found["counts"]]
    assert [type(thing) for thing in things] == [Inert] * 4
    assert not any(vars(thing) for thing in things)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_names_are_found_in_every_protocol_and_behind_the_memo(tmp_path, protocol):
    # The second use of a module's name comes out of the pickle's memo.
    content = [Calls(os.system, "true"), Calls(os.getpid), Calls(os.system, "false")]
    (tmp_path / "a").write_bytes(pickle.dumps(content, protocol=protocol))
    names = {f"{os.system.__module__}.{name}" for name in ("system", "getpid")}
    assert set(unsafe_globals(tmp_path / "a")) == names


def test_a_later_pickle_of_the_same_file_is_read_too(tmp_path):
    later = pickle.dumps(1, 2) + pickle.dumps(2, 2) + pickle.dumps(Calls(os.getpid), 2)
    (tmp_path / "a").write_bytes(later + b"\xff\xffraw numbers")
    assert unsafe_globals(tmp_path / "a") == [f"{os.getpid.__module__}.getpid"]


def test_an_extension_code_counts_as_a_name(tmp_path):
    copyreg.add_extension("collections", "deque", 250)
    try:
        (tmp_path / "a").write_bytes(b"\x80\x02\x82\xfa.")
        assert unsafe_globals(tmp_path / "a") == ["copyreg extension 250"]
    finally:
        copyreg.remove_extension("collections", "deque", 250)


def test_bytes_that_are_no_pickle_raise(tmp_path):
    (tmp_path / "a").write_bytes(b"no pickle")
    with pytest.raises(ValueError, match="opcode"):
        unsafe_globals(tmp_path / "a")
