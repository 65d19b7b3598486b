"""accelerate: `Accelerator(log_with=PodstackTracker())`, or `log_with="podstack"`.

Only the main process writes. x is the caller's `step`; without one it counts on. By name it takes
accelerate 1.15, which is the first that learns of trackers from others: importing this module
registers it there. The instance works with every version.
"""

from __future__ import annotations

import csv
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from podstack import Run
from podstack.errors import MissingExtraError, UsageError
from podstack.integrations.recording import Recording

try:
    from accelerate import tracking
    from accelerate.tracking import GeneralTracker, on_main_process
except ModuleNotFoundError as error:
    raise MissingExtraError.for_(error, extra="accelerate") from error


class PodstackTracker(GeneralTracker):  # type: ignore[misc]
    """Records what a script logs through its Accelerator. Making one touches neither disk nor net.

    The run begins with `init_trackers` and is completed by `end_training`; what is logged after
    that reopens it. A script that dies before ends it as failed or killed.

    Args:
        project_name: what `init_trackers` says, if the tracker was asked for by name: the
            experiment, unless `experiment` is given.
        run: a run that the caller opens and ends.
        experiment: its name. Default: PODSTACK_EXPERIMENT.
        name: of the run. Default: PODSTACK_RUN_NAME, else one made from its id.
        run_id: go on with this run, or start one of this id. Default: PODSTACK_RUN_ID.
        tags: of the run. Default: PODSTACK_TAGS.
        uri, project, api_token: the store, as for `MLOpsClient`.
    """

    name = "podstack"
    requires_logging_directory = False
    main_process_only = True

    def __init__(
        self,
        project_name: str | None = None,
        *,
        run: Run | None = None,
        experiment: str | None = None,
        name: str | None = None,
        run_id: str | None = None,
        tags: list[str] | tuple[str, ...] | str = (),
        uri: str | os.PathLike[str] | None = None,
        project: str | None = None,
        api_token: str | None = None,
    ) -> None:
        super().__init__()
        self._recording = Recording(
            run=run,
            experiment=experiment or project_name,
            name=name,
            run_id=run_id,
            tags=tags,
            uri=uri,
            project=project,
            api_token=api_token,
        )

    @property
    def tracker(self) -> Run | None:
        """The run, to log into directly; None where there is none now, as on every other process.

        One that is given to `PodstackCallback(run=...)` holds what a Trainer logs, too.
        """
        return self._recording.run if self._recording.is_open else None

    @property
    def run_id(self) -> str:
        return self._recording.run_id

    @on_main_process  # type: ignore[untyped-decorator]
    def start(self) -> None:
        """Begin the run; a second call is a no-op."""
        self._recording.run  # noqa: B018  # opens it

    @on_main_process  # type: ignore[untyped-decorator]
    def store_init_configuration(self, values: Mapping[str, Any]) -> None:
        """Record them as parameters, of any kind and nested."""
        self._recording.log_params(values)

    @on_main_process  # type: ignore[untyped-decorator]
    def log(self, values: Mapping[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Record the numbers among `values`; nested ones get names with `/`.

        What is no number is left out, with one warning for each name. `kwargs` says nothing.
        """
        self._recording.log(values, step)

    @on_main_process  # type: ignore[untyped-decorator]
    def log_artifact(
        self, path: str | os.PathLike[str], artifact_path: str | None = None, **kwargs: Any
    ) -> None:
        """Keep a copy of a file; see `Run.log_artifact`."""
        self._recording.run.log_artifact(path, artifact_path)

    @on_main_process  # type: ignore[untyped-decorator]
    def log_artifacts(
        self, folder: str | os.PathLike[str], artifact_path: str | None = None, **kwargs: Any
    ) -> None:
        """Keep a copy of every file of a folder, such as one that `save_state` made."""
        self._recording.run.log_artifacts(folder, artifact_path)

    @on_main_process  # type: ignore[untyped-decorator]
    def log_images(self, values: Mapping[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Keep pictures as artifacts: `images/<name>/<step>-<number>.png`.

        Args:
            values: `{name: pictures}`; each a PIL image, a matplotlib figure, or an array of
                height × width (× 3 or 4), of bytes or of numbers from 0 to 1. Arrays need Pillow.
        """
        for name, pictures in values.items():
            for number, picture in enumerate(pictures):
                file = f"{_step_text(step)}-{number}.png"
                self._keep(f"images/{name}", file, partial(_draw, picture))

    @on_main_process  # type: ignore[untyped-decorator]
    def log_table(
        self,
        table_name: str,
        columns: list[str] | None = None,
        data: Iterable[Iterable[Any]] | None = None,
        dataframe: Any = None,
        step: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep a table as an artifact: `tables/<name>/<step>.csv`."""
        if dataframe is not None:
            columns, data = list(dataframe.columns), dataframe.values.tolist()
        rows = [*([columns] if columns else []), *(data or [])]
        self._keep(f"tables/{table_name}", f"{_step_text(step)}.csv", partial(_write, rows))

    @on_main_process  # type: ignore[untyped-decorator]
    def finish(self) -> None:
        """End the run as completed; one that the caller opened is left alone."""
        self._recording.end()

    def _keep(self, folder: str, file: str, write: Callable[[Path], None]) -> None:
        """A picture or a table that cannot be kept costs a warning, and only itself."""
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary, file)
            try:
                write(path)
                self._recording.run.log_artifact(path, folder)
            except UsageError as refused:
                logging.getLogger("podstack").warning("%s is not kept: %s", folder, refused)


def register() -> None:
    """Make `Accelerator(log_with="podstack")` known, where accelerate can be told. Twice is fine.

    Before 1.15 it cannot: pass `log_with=PodstackTracker("project")` there.
    """
    known = getattr(tracking, "LOGGER_TYPE_TO_CLASS", {})
    if known.get(PodstackTracker.name) is PodstackTracker:
        return
    if hasattr(tracking, "register_tracker_class"):
        tracking.register_tracker_class(PodstackTracker)
    else:
        logging.getLogger("podstack").info(
            'log_with="podstack" takes accelerate 1.15; pass log_with=PodstackTracker("project")'
        )


def _step_text(step: int | None) -> str:
    return "last" if step is None else str(step)


def _draw(picture: Any, path: Path) -> None:
    if hasattr(picture, "savefig"):
        picture.savefig(path)
    else:
        (picture if hasattr(picture, "save") else _image_of(picture)).save(path)


def _image_of(array: Any) -> Any:
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise UsageError(
            f"A picture given as {type(array).__name__} needs Pillow: pip install pillow."
        ) from None
    import numpy

    pixels = numpy.asarray(array.cpu() if hasattr(array, "cpu") else array).squeeze()
    if pixels.dtype.kind in "fb":
        pixels = pixels.astype("float32").clip(0, 1) * 255
    try:
        return Image.fromarray(pixels.astype("uint8"))
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"An array of shape {pixels.shape} is no picture ({error}); it is height × width, "
            "with 3 or 4 channels last."
        ) from None


def _write(rows: Iterable[Iterable[Any]], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


register()
