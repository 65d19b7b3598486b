"""What an experiment is judged by where somebody said so: the objective of its newest sweep.

Where no sweep says, the names of metrics do (directions.py).
"""

from __future__ import annotations

from podstack.server.readers import ProjectReader
from podstack.sweeps.records import Objective


def stated(reader: ProjectReader) -> dict[str, Objective]:
    """By experiment: the objective of its newest sweep that is not deleted."""
    found = [seen.definition for seen in reader.sweeps.all() if not seen.deleted]
    found.sort(key=lambda definition: (definition.created, definition.id))
    return {definition.experiment: definition.objective for definition in found}
