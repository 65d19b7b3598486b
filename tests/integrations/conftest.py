"""One Ray for all tests that need it: to start one takes ten seconds."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def ray_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Ray on two CPUs, to which this process is connected; others may, too.

    Its workers see no variable of podstack that a person set, and it asks nobody on the network.
    """
    import ray

    folder: Path = tmp_path_factory.mktemp("ray")
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("PODSTACK_")]:
            environment.delenv(name)
        for name, value in {
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),  # else one is left in the user's home
            "PODSTACK_QUIET": "1",
            "PODSTACK_CAPTURE": "0",
            "PODSTACK_SPOOL": str(folder / "spool"),
            "PODSTACK_CACHE": str(folder / "cache"),
        }.items():
            environment.setenv(name, value)
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=80_000_000,
            log_to_driver=False,
            configure_logging=False,
        )
        address = ray.get_runtime_context().gcs_address
        environment.setenv("RAY_ADDRESS", address)
        yield address
        ray.shutdown()
