from __future__ import annotations

import json

import pytest

from cropmap.errors import ArtifactError
from cropmap.model.artifact import Manifest, file_digest, manifest_name, read_file, read_manifest, write_artifact
from cropmap.model.calibration import Calibration
from cropmap.model.strangeness import Familiar
from cropmap.store import Store

FILES = {"fold-0.onnx": b"first", "fold-1.onnx": b"second"}
MANIFEST = Manifest(
    architecture="lstm",
    crops=("maize", "wheat"),
    bands=("B04", "B08"),
    min_clear_fraction=0.5,
    calibration=Calibration(1.5, (0.1, -0.1)),
    familiar=Familiar(((0.1, 0.3),), ((1e-3, 0.0), (0.0, 1e-3)), (0.0, 1.0, 9.0)),
    folds_made_by="region",
    fold_names=("FRH01", "FRH02"),
    dataset_hash="d",
    config={"width": 16},
    seed=1,
    code_version="0.1.0+x",
    evaluation={"oa": 0.8},
    parity=(1e-7, 2e-7),
    files={name: file_digest(data) for name, data in FILES.items()},
    about={"agency": "bretagne"},
)


def test_an_artifact_comes_back_whole_and_is_written_once(store: Store) -> None:
    artifact_id = write_artifact(store, MANIFEST, FILES)
    assert write_artifact(store, MANIFEST, FILES) == artifact_id
    assert store.names("artifacts") == [
        f"artifacts/{artifact_id}/{n}" for n in ("fold-0.onnx", "fold-1.onnx", "manifest.json")
    ]
    assert read_manifest(store, artifact_id) == MANIFEST
    assert read_file(store, artifact_id, MANIFEST, "fold-1.onnx") == b"second"


def test_a_changed_lost_or_foreign_artifact_is_refused(store: Store) -> None:
    artifact_id = write_artifact(store, MANIFEST, FILES)
    store.write_bytes(f"artifacts/{artifact_id}/fold-0.onnx", b"fir5t")
    with pytest.raises(ArtifactError, match="does not have the digest"):
        read_file(store, artifact_id, MANIFEST, "fold-0.onnx")
    store.remove(f"artifacts/{artifact_id}/fold-1.onnx")
    with pytest.raises(ArtifactError, match="file is missing"):
        read_file(store, artifact_id, MANIFEST, "fold-1.onnx")
    with pytest.raises(ArtifactError, match="no such artifact"):
        read_manifest(store, "0" * 16)

    document = json.loads(store.read_bytes(manifest_name(artifact_id)))
    for change, message in (
        ({"seed": 2}, "changed after it was written"),
        ({"format": 1}, "format 1, this code reads 2. Train again"),
    ):
        store.write_bytes(manifest_name(artifact_id), json.dumps(document | change).encode())
        with pytest.raises(ArtifactError, match=message):
            read_manifest(store, artifact_id)
    store.write_bytes(manifest_name(artifact_id), b"{")
    with pytest.raises(ArtifactError, match="manifest cannot be read"):
        read_manifest(store, artifact_id)
