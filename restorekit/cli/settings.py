"""`--set KEY=VALUE`: what a model is told beside its weights."""

import json
from collections.abc import Iterable
from fractions import Fraction

from restorekit.backends.card import ConfigValue, plain_config
from restorekit.errors import UsageError


def parse_settings(settings: Iterable[str]) -> dict[str, ConfigValue]:
    """Read settings: numbers, true, false, null, lists, fractions such as 1/3, and other words.

    Raises UsageError for what is not KEY=VALUE.
    """
    parsed = {}
    for setting in settings:
        key, _, text = setting.partition("=")
        if not key or not text:
            raise UsageError(f"--set {setting}: write KEY=VALUE, such as sigma=15 or late=true")
        parsed[key] = _value(text)
    return plain_config(parsed)


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        return text
