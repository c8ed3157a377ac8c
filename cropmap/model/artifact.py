"""An artifact: K ONNX files, one per fold, and a manifest that says what they are and what they are worth.

`artifacts/<id>/fold-0.onnx … manifest.json` in the store. The id is a digest of all of it; the manifest is written
last, so an artifact is either whole or absent. Needs neither torch nor mlflow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from cropmap.errors import ArtifactError, DamagedObjectError
from cropmap.model.calibration import Calibration
from cropmap.model.strangeness import Familiar
from cropmap.provenance import content_hash, value_hash
from cropmap.store import Store

FORMAT: Final = 2
"""2: `familiar`"""
PARITY_TOLERANCE: Final = 1e-5
"""largest difference of a probability between torch and ONNX Runtime; a file above it must not predict"""
AGAIN: Final = "`cropmap train` of the season that it was trained in makes it again from what is kept"


@dataclass(frozen=True)
class Manifest:
    architecture: str
    crops: tuple[str, ...]
    """classes in the order of the logits"""
    bands: tuple[str, ...]
    """bands in the order of the input's last axis; clear_fraction follows them"""
    min_clear_fraction: float
    """the clear share below which observations were left out in training, and have to be in prediction"""
    calibration: Calibration
    familiar: Familiar
    """what the training parcels look like, so that a parcel that looks otherwise is recognised"""
    folds_made_by: str
    """region, block, file or random"""
    fold_names: tuple[str, ...]
    dataset_hash: str
    config: Mapping[str, Any]
    """the TrainingConfig"""
    seed: int
    code_version: str
    evaluation: Mapping[str, Any]
    """out-of-fold scores (Evaluation)"""
    parity: tuple[float, ...]
    """per file: largest difference of a probability between torch and ONNX Runtime"""
    files: Mapping[str, str]
    """name -> SHA-256 digest, in the order of the folds"""
    about: Mapping[str, str]
    """what the caller wants to be remembered: agency, season; and `not_learnt`, JSON: fold -> crops that its model was
    trained without any parcel of"""

    @property
    def artifact_id(self) -> str:
        return value_hash(self.to_json())

    def not_learnt(self, fold: int) -> frozenset[str]:
        """The crops that a fold's model was trained without any parcel of; none where an older artifact is silent."""
        by_fold: Mapping[str, Sequence[str]] = json.loads(self.about.get("not_learnt", "{}"))
        return frozenset(by_fold.get(self.fold_names[fold], ()))

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Manifest:
        values = {key: value for key, value in document.items() if key not in ("format", "artifact_id")}
        for key in ("crops", "bands", "fold_names", "parity"):
            values[key] = tuple(values[key])
        fitted = values["calibration"]
        values["calibration"] = Calibration(fitted["temperature"], tuple(fitted["bias"]))
        values["familiar"] = Familiar.from_json(values["familiar"])
        return cls(**values)


def file_digest(data: bytes) -> str:
    return content_hash(data, length=64)


def manifest_name(artifact_id: str) -> str:
    return f"artifacts/{artifact_id}/manifest.json"


def write_artifact(store: Store, manifest: Manifest, files: Mapping[str, bytes]) -> str:
    """Keeps the files and then the manifest; returns the artifact's id. Writing it twice leaves one copy, and makes
    what was damaged or lost whole again."""
    assert {name: file_digest(data) for name, data in files.items()} == dict(manifest.files)
    artifact_id = manifest.artifact_id
    for name, data in files.items():
        place = f"artifacts/{artifact_id}/{name}"
        if store.recall(place, file_digest) != manifest.files[name]:
            store.write_bytes(place, data)
    document = json.dumps({"artifact_id": artifact_id, **manifest.to_json()}, indent=1, ensure_ascii=False).encode()
    if store.recall(manifest_name(artifact_id), bytes) != document:
        store.write_bytes(manifest_name(artifact_id), document)
    return artifact_id


def read_manifest(store: Store, artifact_id: str) -> Manifest:
    """Raises ArtifactError where there is none, or where it is not what its id says."""
    name = manifest_name(artifact_id)
    if not store.exists(name):
        raise ArtifactError("no such artifact", where=name, mend=AGAIN)
    try:
        document = store.read(name, json.loads)
        if document.get("format") != FORMAT:
            raise ArtifactError(
                f"format {document.get('format')}, this code reads {FORMAT}", where=name, mend="Train again"
            )
        manifest = Manifest.from_json(document)
    except (DamagedObjectError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"manifest cannot be read ({_why(error)})", where=name, mend=AGAIN) from error
    if manifest.artifact_id != artifact_id:
        raise ArtifactError("manifest was changed after it was written", where=name, mend=AGAIN)
    return manifest


def read_file(store: Store, artifact_id: str, manifest: Manifest, name: str) -> bytes:
    """One ONNX file. Raises ArtifactError where it is missing or its digest is not the manifest's."""
    where = f"artifacts/{artifact_id}/{name}"
    if not store.exists(where):
        raise ArtifactError("file is missing", where=where, mend=AGAIN)
    try:
        data = store.read_bytes(where)
    except DamagedObjectError as error:
        raise ArtifactError(f"file {error.what}", where=where, mend=AGAIN) from error
    if file_digest(data) != manifest.files[name]:
        raise ArtifactError("file does not have the digest of the manifest", where=where, mend=AGAIN)
    return data


def _why(error: Exception) -> str:
    return error.what if isinstance(error, DamagedObjectError) else repr(error)
