"""What is wrong with a recipe, said with the key, the value and the nearest that would be right."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails


def first_complaint(error: ValidationError, recipe: type[BaseModel]) -> str:
    """Say what is wrong first, and the nearest key for one that the recipe does not have."""
    errors = error.errors()
    # A misspelt key is also a missing one; the misspelling says more.
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    key = ".".join(str(part) for part in first["loc"] if part != "[key]")
    if first["type"] != "extra_forbidden":
        said = _said(first)
        return f"{key}: {said}" if key else said
    wrong, siblings = str(first["loc"][-1]), _siblings(recipe, first["loc"])
    elsewhere = [place for place in _keys(recipe) if place.endswith(f".{wrong}")]
    return f"unknown key '{key}'{_hint(get_close_matches(wrong, siblings, n=2) or elsewhere)}"


def _said(error: ErrorDetails) -> str:
    """Say what is wrong with a value: the value itself, unless it is a table, and the nearest."""
    given = error["input"]
    if error["type"] == "model_type":
        return f"is a table of keys (got {given!r})"
    said = error["msg"].removeprefix("Value error, ")
    if isinstance(given, Mapping):
        return said
    choices = re.findall("'([^']*)'", str(error.get("ctx", {}).get("expected", "")))
    return f"{said} (got {given!r}){_hint(get_close_matches(str(given), choices, n=2))}"


def _hint(near: Sequence[str]) -> str:
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _siblings(section: type[BaseModel], place: Iterable[str | int]) -> list[str]:
    """List the keys of the table in which the last part of a place should be."""
    for part in place:
        field = section.model_fields.get(str(part))
        section = next(_sections(field.annotation), section) if field else section
    return list(section.model_fields)


def _keys(section: type[BaseModel]) -> Iterator[str]:
    """Name the keys of all tables, as a.b."""
    for name, field in section.model_fields.items():
        yield name
        for inner in _sections(field.annotation):
            yield from (f"{name}.{key}" for key in _keys(inner))


def _sections(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _sections(part)
