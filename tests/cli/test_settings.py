import pytest

from restorekit.cli.settings import parse_settings
from restorekit.errors import UsageError


def test_numbers_fractions_lists_and_words():
    settings = ["a=2", "b=1/4", "c=[1, 2]", "d=disk:3", "e=true", "f=null", "g=x=y"]
    values = {"a": 2, "b": 0.25, "c": (1, 2), "d": "disk:3", "e": True, "f": None, "g": "x=y"}
    assert parse_settings(settings) == values


@pytest.mark.parametrize("setting", ["sigma", "=3", "sigma="])
def test_what_is_no_setting_is_refused(setting):
    with pytest.raises(UsageError, match=f"--set {setting}: write KEY=VALUE"):
        parse_settings([setting])
