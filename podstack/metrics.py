"""All metrics of a run, as one reads them: `run.metrics["loss"].values`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from podstack import frames
from podstack.errors import BlobMissing, NotFoundError, UsageError
from podstack.names import short
from podstack.points import Batch
from podstack.series import Columns, Log, Series, Summary, gathered, known_summary

_TRIES = 12  # lookups of a metric while compaction moves its points from object to object


class Metrics(Mapping[str, Series]):
    """The metrics of a run by name, in the order they came, as of the moment of asking."""

    def __init__(
        self,
        logs: Sequence[Log],
        again: Callable[[], Sequence[Log]] | None = None,
        version: object = None,
    ) -> None:
        """
        Args:
            again: gives the logs as they are now, where compaction moved some of these.
            version: what stands for these logs and for no others.
        """
        self._logs, self._again, self.version = logs, again, version
        self._names = dict.fromkeys(
            name
            for _, pieces in logs
            for piece in pieces
            for name in (piece.values if isinstance(piece, Batch) else piece.names)
        )
        self._series: dict[str, Series] = {}

    def __getitem__(self, name: str) -> Series:
        if name not in self._series:
            if name not in self._names:
                raise NotFoundError.among("metric", name, self._names)
            known = known_summary(name, self._logs)
            self._series[name] = Series(name, lambda: self._columns(name), known)
        return self._series[name]

    def _columns(self, name: str) -> Columns:
        """
        Raises:
            MissingExtraError: the run is compacted, and pyarrow is not installed.
        """
        for _ in range(_TRIES):
            try:
                return gathered(name, self._logs)
            except BlobMissing:
                if self._again is None:
                    raise
                self._logs = self._again()
        return gathered(name, self._logs)

    @property
    def bytes_held(self) -> int:
        """Bytes of the columns that were put together so far, and are kept for the next look."""
        return sum(series.bytes_held for series in list(self._series.values()))

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

    def to_dicts(self, names: Iterable[str] | None = None) -> list[dict[str, Any]]:
        """A dict per point: name, step, value and time (epoch seconds)."""
        return [
            {"name": series.name, **point._asdict()}
            for series in self._chosen(names, wide=False)
            for point in series
        ]

    def to_pandas(self, names: Iterable[str] | None = None, *, wide: bool = False) -> Any:
        """A DataFrame with a row per point: name, step, value, time (UTC).

        Args:
            names: the metrics to take. Default: all of them.
            wide: a row per step instead, which is the index, and a column per metric, NaN where
                one has no value. The default then leaves out `system/`, whose steps are seconds.

        Raises:
            MissingExtraError: pandas is not installed.
            NotFoundError: there is no metric of such a name.
        """
        library = frames.pandas()
        chosen = self._chosen(names, wide=wide)
        if wide:
            columns = [
                library.Series(s.values, index=library.Index(s.steps, dtype="int64"), name=s.name)
                for s in chosen
            ]
            table = library.concat(columns, axis=1) if columns else library.DataFrame()
            return table.sort_index().rename_axis("step")
        parts = [series.to_pandas() for series in chosen] or [frames.points_pandas()]
        table = library.concat(parts, ignore_index=True)
        table.insert(0, "name", library.Series(_labels(chosen), dtype="str"))
        return table

    def to_polars(self, names: Iterable[str] | None = None, *, wide: bool = False) -> Any:
        """The same as a polars DataFrame; `step` is the first column of the wide form.

        Raises:
            MissingExtraError: polars is not installed.
            NotFoundError: there is no metric of such a name.
        """
        library = frames.polars()
        chosen = self._chosen(names, wide=wide)
        if wide:
            table = library.DataFrame({"step": []}, schema={"step": library.Int64})
            for series in chosen:
                name = "metrics.step" if series.name == "step" else series.name
                column = series.to_polars().select("step", library.col("value").alias(name))
                table = table.join(column, on="step", how="full", coalesce=True)
            return table.sort("step")
        parts = [series.to_polars() for series in chosen] or [frames.points_polars()]
        table = library.concat(parts)
        labels = library.Series("name", _labels(chosen), dtype=library.String)
        return table.insert_column(0, labels)

    def _chosen(self, names: Iterable[str] | None, *, wide: bool) -> list[Series]:
        if isinstance(names, str):
            raise UsageError(f"names is a list of metrics: [{short(names)}].")
        if names is not None:
            return [self[name] for name in names]
        return [self[name] for name in self if not (wide and name.startswith("system/"))]


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


def _labels(chosen: list[Series]) -> list[str]:
    """The name of each point's metric."""
    return [series.name for series in chosen for _ in range(len(series))]
