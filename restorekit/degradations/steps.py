"""What a recipe is made of: steps, and groups of them that are chosen among or shuffled.

Every step and group has a place: 0, 1 ... in the recipe, `2.0`, `2.1` ... inside of group 2, and
`reference.0` ... where it makes the reference. It is part of the name of their random numbers, so
that what is drawn for one does not depend on another.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from restorekit.degradations.base import Degradation
from restorekit.degradations.catalog import find_degradation
from restorekit.degradations.draw import Written, parse_draw
from restorekit.errors import UnknownNameError, UsageError

Place = int | str
Chain = tuple[tuple[Place, Degradation], ...]
"""Degradations as they were drawn, each with its place in the recipe."""
Generators = Callable[[Place, str], np.random.Generator]
"""Returns the generator of a place and a purpose."""


class _Link(BaseModel):
    """What steps and groups have in common."""

    probability: float = Field(default=1.0, ge=0, le=1, description="of taking part at all")
    weight: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="among the others of a `one_of`"
    )
    ordered: bool = Field(
        default=False, description="in a `shuffled`: stays behind the ordered ones before it"
    )


class Step(_Link):
    """One degradation; every key that is not one of `Link` is a parameter of `op`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    op: str

    @model_validator(mode="after")
    def _parameters_fit(self) -> Self:
        # Both ends of every range, before any picture is read.
        degradation = find_degradation(self.op)
        for name in self.written:
            if name not in degradation.model_fields:
                known = [*degradation.model_fields, *_Link.model_fields]
                raise UnknownNameError(f"parameter of {self.op}", name, known)
        drawn = degradation.sample(np.random.default_rng(0), **self.written).model_dump()
        for name, written in self.written.items():
            for end in parse_draw(written).ends:
                degradation.from_values(drawn | {name: end})
        return self

    @property
    def written(self) -> dict[str, Written]:
        """The parameters as the recipe has them."""
        return dict(self.model_extra or {})

    def draw(self, place: Place, generators: Generators) -> Iterator[tuple[Place, Degradation]]:
        """Draw the degradation, or nothing."""
        rng = generators(place, "sample")
        if rng.random() < self.probability:
            yield place, find_degradation(self.op).sample(rng, **self.written)


class Group(_Link):
    """Steps that are drawn together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def draw(self, place: Place, generators: Generators) -> Iterator[tuple[Place, Degradation]]:
        """Draw what is in the group, or nothing."""
        rng = generators(place, "group")
        if rng.random() < self.probability:
            for index, link in self._chosen(rng):
                yield from link.draw(f"{place}.{index}", generators)

    @abstractmethod
    def _chosen(self, rng: np.random.Generator) -> "list[tuple[int, Link]]":
        """Choose what is drawn, with its place in the group."""


class Row(Group):
    """Steps in order."""

    steps: "tuple[Link, ...]"

    @model_validator(mode="after")
    def _keys_have_a_meaning(self) -> Self:
        refuse_misplaced(self.steps)
        return self

    def _chosen(self, rng: np.random.Generator) -> "list[tuple[int, Link]]":
        return list(enumerate(self.steps))


class OneOf(Group):
    """One of several, each as likely as its weight says."""

    one_of: "tuple[Link, ...]" = Field(min_length=1)

    @model_validator(mode="after")
    def _keys_have_a_meaning(self) -> Self:
        refuse_misplaced(self.one_of, "weight")
        return self

    def _chosen(self, rng: np.random.Generator) -> "list[tuple[int, Link]]":
        weights = np.cumsum([link.weight for link in self.one_of])
        index = int(np.searchsorted(weights, rng.random() * weights[-1], side="right"))
        return [(index, self.one_of[index])]


class Shuffled(Group):
    """All of them, in any order; the `ordered` ones keep theirs among themselves."""

    shuffled: "tuple[Link, ...]" = Field(min_length=1)

    @model_validator(mode="after")
    def _keys_have_a_meaning(self) -> Self:
        refuse_misplaced(self.shuffled, "ordered")
        return self

    def _chosen(self, rng: np.random.Generator) -> "list[tuple[int, Link]]":
        order = rng.permutation(len(self.shuffled)).tolist()
        kept = iter(index for index, link in enumerate(self.shuffled) if link.ordered)
        order = [next(kept) if self.shuffled[index].ordered else index for index in order]
        return [(index, self.shuffled[index]) for index in order]


_HOMES = {"weight": "one_of", "ordered": "shuffled"}


def refuse_misplaced(links: "Sequence[Link]", allowed: str = "") -> None:
    """Raise UsageError for a key that would have no effect here."""
    for key in _HOMES.keys() - {allowed}:
        if any(key in link.model_fields_set for link in links):
            raise UsageError(f"the key {key} has a meaning only inside of a {_HOMES[key]}")


def draw_all(links: "Sequence[Link]", places: Sequence[Place], generators: Generators) -> Chain:
    """Draw steps and groups, each at its place."""
    return tuple(
        drawn
        for place, link in zip(places, links, strict=True)
        for drawn in link.draw(place, generators)
    )


_KINDS: dict[str, type[_Link]] = {"op": Step, "one_of": OneOf, "shuffled": Shuffled, "steps": Row}


def _kind(written: Any) -> str:  # noqa: ANN401
    if isinstance(written, _Link):
        return next(key for key, kind in _KINDS.items() if isinstance(written, kind))
    if not isinstance(written, dict):
        raise UsageError(
            'every step of a recipe is a table, such as { op = "haze", beta = 1.5 }, '
            f"not {written!r}"
        )
    found = [key for key in _KINDS if key in written]
    if len(found) != 1:
        raise UsageError(
            "every step of a recipe has one of the keys op, one_of, shuffled and steps; "
            f"this one has {' and '.join(found or written) or 'none'}"
        )
    return found[0]


def keys_of_groups() -> list[str]:
    """Every key that a group may have, for messages."""
    return sorted({key for kind in _KINDS.values() for key in kind.model_fields})


Link = Annotated[
    Annotated[Step, Tag("op")]
    | Annotated[OneOf, Tag("one_of")]
    | Annotated[Shuffled, Tag("shuffled")]
    | Annotated[Row, Tag("steps")],
    Discriminator(_kind),
]

for _group in (Row, OneOf, Shuffled):
    _group.model_rebuild()
