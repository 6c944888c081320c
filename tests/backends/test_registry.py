import sys
import warnings

import pytest

from restorekit.backends.base import Backend, Capabilities
from restorekit.backends.registry import Registry, default_registry
from restorekit.backends.table import BACKENDS
from restorekit.errors import UnknownNameError, UsageError


def backend(name):
    return Backend(name, "torch.nn:Identity", "no:where", ("k",), Capabilities(), (), "", "")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Install a distribution whose module and entry points the test writes."""

    def install(module, points):
        info = tmp_path / "extra_nets-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: extra-nets\nVersion: 1.0\n")
        lines = "".join(f"{point}\n" for point in points)
        (info / "entry_points.txt").write_text(f"[restorekit.backends]\n{lines}")
        (tmp_path / "extra_nets.py").write_text(module)
        monkeypatch.syspath_prepend(str(tmp_path))

    default_registry.cache_clear()
    yield install
    default_registry.cache_clear()
    sys.modules.pop("extra_nets", None)


OFFER = """
from restorekit.backends import Backend, Capabilities
def row(name):
    return Backend(name, "torch.nn:Identity", "no:where", ("k",), Capabilities(), (), "", "")
ONE, SEVERAL, WRONG, TAKEN = row("one"), [row("two"), row("three")], "text", row("prenet")
"""


def test_the_table_is_the_default():
    assert default_registry().names()[:3] == ["sfnet", "prenet", "drunet"]
    assert len({row.name for row in BACKENDS}) == len(BACKENDS)


def test_a_wrong_name_gets_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown backend 'sfnett'; did you mean sfnet"):
        default_registry().get("sfnett")


def test_iterates_in_the_order_of_adding():
    registry = Registry([backend("b"), backend("a")])
    assert [row.name for row in registry] == registry.names() == ["b", "a"]
    assert len(registry) == 2


def test_adds_all_or_none():
    registry = Registry([backend("a")])
    with pytest.raises(UsageError, match="already a backend 'a'"):
        registry.add(backend("new"), backend("a"))
    assert registry.names() == ["a"]


def test_packages_offer_one_or_several_backends(package):
    package(OFFER, ["first = extra_nets:ONE", "second = extra_nets:SEVERAL"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        names = default_registry().names()
    assert {"sfnet", "one", "two", "three"} <= set(names)


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ("bad = extra_nets:WRONG", "'bad' of extra-nets .* expected a Backend"),
        ("bad = extra_nets:TAKEN", "already a backend 'prenet'"),
        ("bad = extra_nets:MISSING", "AttributeError"),
        ("bad = no_such_module:X", "No module named 'no_such_module'"),
    ],
)
def test_a_broken_entry_point_warns_and_breaks_nothing_else(package, point, message):
    package(OFFER, [point, "good = extra_nets:ONE"])
    with pytest.warns(UserWarning, match=message):
        names = default_registry().names()
    assert {"sfnet", "prenet", "drunet", "one"} <= set(names)
