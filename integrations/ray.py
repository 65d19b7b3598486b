"""Ray Tune and Ray Train. What there is, and the file that it is written in:

PodstackLoggerCallback  ray_logger.py   `RunConfig(callbacks=[...])` of Tune: a run for every trial
setup_podstack          ray_workers.py  inside of a trial or a training worker: its run, to log into
PodstackSearch          ray_search.py   `TuneConfig(search_alg=...)`: the trials come from a sweep
run_sweep               ray_sweep.py    both of them and a Tuner: a whole sweep on Ray
PodstackTrainCallback   ray_train.py    `RunConfig(callbacks=[...])` of Train: a run for a training
"""

from podstack.integrations.ray_logger import PodstackLoggerCallback
from podstack.integrations.ray_search import PodstackSearch
from podstack.integrations.ray_sweep import run_sweep
from podstack.integrations.ray_train import PodstackTrainCallback
from podstack.integrations.ray_workers import setup_podstack

__all__ = [
    "PodstackLoggerCallback",
    "setup_podstack",
    "PodstackSearch",
    "run_sweep",
    "PodstackTrainCallback",
]
