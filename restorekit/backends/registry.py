"""Backends by name: those of the two tables, nets and methods, and those of installed packages."""

import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from restorekit.backends.base import Backend
from restorekit.backends.methods import METHODS
from restorekit.backends.table import BACKENDS
from restorekit.errors import UnknownNameError, UsageError

GROUP = "restorekit.backends"
"""The entry-point group under which a package offers a `Backend` or an iterable of them."""


class Registry:
    """Backends in the order in which they were added."""

    def __init__(self, backends: Iterable[Backend] = ()) -> None:
        self._backends: dict[str, Backend] = {}
        self.add(*backends)

    def add(self, *backends: Backend) -> None:
        """Add all of `backends` or, when a name is taken, raise UsageError and add none."""
        added = dict(self._backends)
        for backend in backends:
            if backend.name in added:
                raise UsageError(f"there is already a backend '{backend.name}'; name it otherwise")
            added[backend.name] = backend
        self._backends = added

    def get(self, name: str) -> Backend:
        """Find a backend; UnknownNameError gives the nearest names."""
        try:
            return self._backends[name]
        except KeyError:
            raise UnknownNameError("backend", name, self._backends) from None

    def names(self) -> list[str]:
        """List the names, in order."""
        return list(self._backends)

    def __iter__(self) -> Iterator[Backend]:
        return iter(self._backends.values())

    def __len__(self) -> int:
        return len(self._backends)


@cache
def default_registry() -> Registry:
    """Make the registry of the tables and the entry points; a broken entry point only warns."""
    registry = Registry((*BACKENDS, *METHODS))
    for point in entry_points(group=GROUP):
        _add_entry_point(registry, point)
    return registry


def _add_entry_point(registry: Registry, point: EntryPoint) -> None:
    try:
        registry.add(*_offered(point.load()))
    # A foreign package may raise anything at all while it is imported.
    except Exception as error:
        package = point.dist.name if point.dist else "an unknown package"
        warnings.warn(
            f"the backends '{point.name}' of {package} ({point.value}) are left out: "
            f"{type(error).__name__}: {error}",
            stacklevel=2,
        )


def _offered(loaded: object) -> list[Backend]:
    rows: list[object] = list(loaded) if isinstance(loaded, Iterable) else [loaded]
    backends = [row for row in rows if isinstance(row, Backend)]
    if len(backends) < len(rows):
        kinds = ", ".join(type(row).__name__ for row in rows)
        raise TypeError(f"expected a Backend or several, got {kinds}")
    return backends
