"""All metrics of a run, as one reads them: `run.metrics["loss"].values`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from podstack.errors import NotFoundError
from podstack.points import Batch
from podstack.series import Series, Summary, assemble


class Metrics(Mapping[str, Series]):
    """The metrics of a run by name, in the order they came, as of the moment of asking."""

    def __init__(self, logs: list[tuple[str, list[Batch]]]) -> None:
        self._logs = logs
        self._names = dict.fromkeys(
            name for _, batches in logs for batch in batches for name in batch.values
        )
        self._series: dict[str, Series] = {}

    def __getitem__(self, name: str) -> Series:
        if name not in self._series:
            if name not in self._names:
                raise NotFoundError.among("metric", name, self._names)
            self._series[name] = assemble(name, self._logs)
        return self._series[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.values())) or "no metrics"

    def to_dict(self) -> dict[str, list[Any]]:
        """`{name: [(step, value), …]}`."""
        return {
            name: [(point.step, point.value) for point in series] for name, series in self.items()
        }


class RunSummary(Mapping[str, Summary]):
    """Last, min and max of every metric of a run, each with its step."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def __getitem__(self, name: str) -> Summary:
        return self._metrics[name].summary

    def __iter__(self) -> Iterator[str]:
        return iter(self._metrics)

    def __len__(self) -> int:
        return len(self._metrics)

    def __repr__(self) -> str:
        return repr(self._metrics)
