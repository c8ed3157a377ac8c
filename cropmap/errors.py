"""The one error tree. Foreign errors are translated into it at the edge, with `raise ... from`.

CropmapError                    the run failed; exit code 1
├── InputError                  bad input or configuration; exit code 2, one line: what, where, how to mend
│   ├── ConfigurationError      agency file, settings, command line
│   │   └── StoreRefusedError   the object store refuses this process's key, or has no such bucket
│   ├── DeclarationFileError    a declarations file that cannot be read at all
│   ├── CatalogError            a STAC catalogue that cannot be reached or is none
│   ├── RegionFileError         a NUTS file without the regions asked for
│   └── ObservationFileError    parcel statistics from elsewhere that do not fit the contract
├── SceneError                  one acquisition that cannot be used; it is quarantined and the season goes on
├── ModelError                  training, export or inference cannot go on
│   ├── ParityError             the ONNX file does not predict what torch predicts; refused
│   └── ArtifactError           an artifact that does not fit its manifest or the input
├── StoreError                  an object that cannot be read or written, or is not there and should be
│   ├── ObjectChangedError      another writer changed an object that was to be replaced
│   └── DamagedObjectError      an object whose bytes are not those that were written; found when it is read
├── StoreUnavailableError       the object store does not answer, or has no room
├── DatabaseError
│   ├── DatabaseUnavailableError
│   └── MigrationError
├── ClusterError                the Dask cluster does not answer, or has no worker that may work
├── BusyError                   somebody else works on the agency at this moment; exit code 3
├── DisclosureError             a table from which confidential figures can be recovered, or that cannot be protected
└── PartialFailureError         some units failed; what succeeded is kept, the others are named
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cropmap.masking import masked
from cropmap.printable import printable
from cropmap.schemas import QuarantineReason

SHOWN: Final = 8
"""units, and causes, that one line names"""


class CropmapError(Exception):
    """An error a person can act on: `what` went wrong, `where`, and how to `mend` it; no secret stands in it."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        self.what, self.where, self.mend = masked(what), masked(where), masked(mend)
        super().__init__(self.what, self.where, self.mend)

    def __str__(self) -> str:
        """One line without control characters, whatever the names in it hold."""
        line = f"{self.where}: {self.what}" if self.where else self.what
        return printable(" ".join((f"{line}. {self.mend}" if self.mend else line).split()))

    def __reduce__(self) -> tuple[object, ...]:
        """As whole errors they come back from another process: by what they hold, whatever their constructors take."""
        return _remade, (type(self), self.args, dict(self.__dict__))


def _remade(kind: type[CropmapError], args: tuple[object, ...], held: dict[str, object]) -> CropmapError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(held)
    return error


class InputError(CropmapError):
    exit_code = 2


class ConfigurationError(InputError):
    pass


class StoreRefusedError(ConfigurationError):
    """As StoreUnavailableError nothing goes on without, for this process: another one may have another key."""


class DeclarationFileError(InputError):
    pass


class CatalogError(InputError):
    pass


class RegionFileError(InputError):
    pass


class ObservationFileError(InputError):
    pass


class SceneError(CropmapError):
    """One acquisition (or one file of it) that cannot be used; `reason` is stored and counted."""

    def __init__(self, what: str, *, reason: QuarantineReason, where: str = "", mend: str = "") -> None:
        super().__init__(what, where=where, mend=mend)
        self.reason = reason


class ModelError(CropmapError):
    pass


class ParityError(ModelError):
    pass


class ArtifactError(ModelError):
    pass


class StoreError(CropmapError):
    pass


class DamagedObjectError(StoreError):
    pass


class ObjectChangedError(StoreError):
    pass


class StoreUnavailableError(CropmapError):
    """Nothing of a season can go on without: no StoreError, so that no step takes one missing object for it."""


class DatabaseError(CropmapError):
    pass


class DatabaseUnavailableError(DatabaseError):
    pass


class MigrationError(DatabaseError):
    pass


class ClusterError(CropmapError):
    pass


class BusyError(CropmapError):
    exit_code = 3


class DisclosureError(CropmapError):
    pass


class PartialFailureError(CropmapError):
    """Some units of work failed; everything that succeeded is kept."""

    def __init__(self, failed: Mapping[str, str], *, of: int, unit: str, mend: str = "") -> None:
        self.failed = {name: masked(why) for name, why in failed.items()}
        super().__init__(f"{len(self.failed)} of {of} {unit} failed: {_by_cause(self.failed)}", mend=mend)


def _by_cause(failed: Mapping[str, str]) -> str:
    """What failed of what, for one line: units of one cause together, a few of many named. The log has them all."""
    causes: dict[str, list[str]] = {}
    for name, why in sorted(failed.items()):
        causes.setdefault(why, []).append(name)
    parts = [f"{_few(names, 'more')}: {why}" for why, names in causes.items()]
    return "; ".join(parts[:SHOWN]) + (f"; and {len(parts) - SHOWN} other causes" if len(parts) > SHOWN else "")


def _few(names: list[str], more: str) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} {more}" if len(names) > SHOWN else "")
