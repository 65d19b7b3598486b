"""Which store to write to, in a form that Ray may write to its disks. Not for users.

Ray pickles callbacks and searchers into its experiment folder (`tuner.pkl`,
`searcher-state-*.pkl`), so what is pickled here holds no token and no storage options; URLs hold no
credentials, for the backends refuse such. Whoever unpickles it, such as `Tuner.restore`, finds the
token in the environment; options that are no secret may stand in the URL.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from podstack import MLOpsClient
from podstack.extending import Settings, is_a_folder_here, settings_of


class StoreAddress:
    """A store and how to get in. Copies share the client; pickles make a new one when needed.

    Args: as for `MLOpsClient`.

    Raises:
        UsageError: no backend serves the URL, or the project's name is not one.
    """

    def __init__(
        self,
        uri: str | os.PathLike[str] | None = None,
        *,
        project: str | None = None,
        api_token: str | None = None,
        mode: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        client: MLOpsClient | None = None,
    ) -> None:
        self._client: MLOpsClient | None = client or MLOpsClient(
            uri, project=project, api_token=api_token, mode=mode, storage_options=storage_options
        )
        self._safe: Settings | None = None  # what a pickle had

    @property
    def client(self) -> MLOpsClient:
        if self._client is None:
            assert self._safe is not None, "one of the two is there"
            safe = self._safe
            self._client = MLOpsClient(safe.uri, project=safe.project, mode=safe.mode)
        return self._client

    @property
    def settings(self) -> Settings:
        """Secrets and all: for memory only."""
        return settings_of(self.client)

    @property
    def is_a_folder_here(self) -> bool:
        """Whether no other machine sees it."""
        return is_a_folder_here(self.client)

    def __deepcopy__(self, memo: dict[int, Any]) -> StoreAddress:
        return self  # it never changes, and Ray copies what it is given

    def __getstate__(self) -> dict[str, Any]:
        safe = self._safe or self.settings._replace(api_token=None, storage_options=())
        return {"_client": None, "_safe": safe}
