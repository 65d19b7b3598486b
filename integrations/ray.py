"""Ray Tune and Ray Train. What is here, and the file that it is written in:

PodstackLoggerCallback  ray_logger.py   `RunConfig(callbacks=[...])` of Tune: a run for every trial
setup_podstack          ray_workers.py  inside of a trial or a training worker: its run, to log into
"""

from podstack.integrations.ray_logger import PodstackLoggerCallback
from podstack.integrations.ray_workers import setup_podstack

__all__ = ["PodstackLoggerCallback", "setup_podstack"]
