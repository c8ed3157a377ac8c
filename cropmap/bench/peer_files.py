"""The breizhcrops package as a peer, and series as it reads them: index, h5 file, class mapping, codes of one region.

Natural band order, as the package takes for granted; all values are random, only the layout is that of the dataset.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from cropmap.dataset.series import Series
from cropmap.errors import ConfigurationError
from cropmap.schemas import Architecture

REGION: Final = "frh01"
NS_PER_DAY: Final = 86_400 * 10**9
QUALITY: Final = 3
"""columns QA10, QA20, QA60, before the date"""


def import_peer() -> Any:
    try:
        import breizhcrops
        import breizhcrops.datasets.breizhcrops
    except ImportError as error:
        raise ConfigurationError(
            f"the breizhcrops package is not installed ({error})",
            mend="pip install --no-deps breizhcrops geojson tqdm (its full dependencies bring jupyter)",
        ) from error
    return breizhcrops


def peer_network(package: Any, architecture: Architecture, *, bands: int, classes: int) -> Any:
    """The package's own network, weights at random."""
    networks = {Architecture.LSTM: package.models.LSTM, Architecture.TRANSFORMER: package.models.TransformerModel}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's about the package's layers
        return networks[architecture](input_dim=bands, num_classes=classes)


def write_peer_files(root: Path, series: Series, label: NDArray[np.int16], *, count: int) -> None:
    """The first `count` parcels as region frh01, 2017, L1C."""
    folder = root / "2017" / "L1C"
    folder.mkdir(parents=True)
    zero = np.datetime64(series.day_zero, "D").astype(int)
    rows = []
    with h5py.File(folder / f"{REGION}.h5", "w") as file:
        for i in range(count):
            part = slice(series.offsets[i], series.offsets[i + 1])
            date = (series.day_of_year[part].astype(np.int64) + zero) * NS_PER_DAY
            values = series.reflectance[part].astype(np.float64) * 1e4
            path = f"csv/{REGION}/{i}.csv"
            file[path] = np.column_stack([values, np.zeros((len(values), QUALITY)), date])
            rows.append({"idx": i, "id": i, "CODE_CULTU": f"C{label[i]}", "path": path, "sequencelength": len(values)})
    index = pd.DataFrame(rows).assign(meanCLD=0.0, classid=0, classname="", region=REGION)
    index.to_csv(folder / f"{REGION}.csv", index=False)
    classes = np.unique(label)
    mapping = pd.DataFrame({"code": [f"C{k}" for k in classes], "id": classes, "classname": classes})
    mapping.to_csv(root / "classmapping.csv")
    mapping.to_csv(root / "codes.csv", sep=";")


def peer_loader_seconds(
    peer: Any, root: Path, *, batch_size: int, work: Callable[[torch.Tensor], object] = lambda _: None
) -> float:
    """One shuffled pass of the package's own loader, as its training script sets it up, with `work` on each batch."""
    size = (root / f"2017/L1C/{REGION}.h5").stat().st_size
    known = peer.datasets.breizhcrops.FILESIZES[2017]["L1C"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas' about the way the package uses it
        published, known[REGION] = known[REGION], size  # it downloads anew what has another size than published
        try:
            dataset = peer.BreizhCrops(REGION, root=str(root))
        finally:
            known[REGION] = published
        loader = torch.utils.data.DataLoader(dataset, batch_size=batch_size, shuffle=True)
        started = time.perf_counter()
        for x, _, _ in loader:
            work(x)
        return time.perf_counter() - started
