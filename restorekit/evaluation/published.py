"""Numbers that papers print, to stand beside measured ones. The data are in `published.toml`."""

import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import product
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


@dataclass(frozen=True)
class Published:
    """One number of one method; means over the pictures of the set, or of a part of it."""

    dataset: str
    part: str
    """Which pictures of the set; empty for all of the test set."""
    method: str
    protocol: str
    """How the number was made; comparable are only numbers of the same protocol."""
    metric: str
    value: float
    paper: str
    """The paper of the method; empty where it is not known."""
    source: str
    """Where the number was read."""
    trained_on: str
    note: str
    checked: bool
    """False where the number was written down from memory of its source."""


class _Table(BaseModel):
    """As in the file: rows of one value for each set and metric, nan for what was not printed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(min_length=1)
    trained_on: str = ""
    note: str = ""
    checked: bool = True
    sets: tuple[Annotated[tuple[str, ...], Field(min_length=2, max_length=3)], ...]
    metrics: tuple[str, ...]
    rows: dict[str, tuple[float, ...]]


class _Content(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    papers: dict[str, str]
    table: tuple[_Table, ...]


def published(
    dataset: str, metric: str | None = None, protocol: str | None = None
) -> tuple[Published, ...]:
    """Give what was published on a data set, optionally of one metric or protocol only.

    In the order of the sources. Nothing for a set that no paper measured.
    """
    return tuple(
        number
        for number in all_published()
        if number.dataset == dataset
        and metric in (None, number.metric)
        and protocol in (None, number.protocol)
    )


@cache
def all_published() -> tuple[Published, ...]:
    """Read every number."""
    text = resources.files("restorekit.evaluation").joinpath("published.toml").read_text("utf-8")
    content = _Content.model_validate(tomllib.loads(text))
    return tuple(number for table in content.table for number in _numbers(table, content.papers))


def _numbers(table: _Table, papers: dict[str, str]) -> Iterator[Published]:
    places = list(product(table.sets, table.metrics))
    for method, values in table.rows.items():
        for ((dataset, protocol, *part), metric), value in zip(places, values, strict=True):
            if math.isnan(value):
                continue
            yield Published(
                dataset=dataset,
                part="".join(part),
                method=method,
                protocol=protocol,
                metric=metric,
                value=value,
                paper=papers.get(method, ""),
                source=table.source,
                trained_on=table.trained_on,
                note=table.note,
                checked=table.checked,
            )
