"""Fork, pools and data loaders: no hang, nothing lost, and a child never ends its parent's run."""

from __future__ import annotations

import pytest

from podstack import MLOpsClient
from podstack.testing.stage import Stage
from podstack.testing.verdict import judge

# Forking while threads run is what is tested; Python 3.12 warns of it. The parent's forks are
# awaited with a deadline, so that a hung child is told apart from a slow test.
FORKS = """
import random, warnings
warnings.filterwarnings("ignore", category=DeprecationWarning)

def log_flat_out(metric):
    i = 0
    while not done.is_set():
        log(run, i, metric)
        i += 1

def child(n):
    metric = f"child{{n}}"
    kind = n % 6
    if kind == 0:       # does nothing
        os._exit(0)
    if kind == 1:       # logs and vanishes
        log(run, 0, metric); log(run, 1, metric)
        os._exit(0)
    if kind == 2:       # flushes
        log(run, 0, metric)
        assert run.flush(200)
        os._exit(0)
    if kind == 3:       # ends as a script does, with handlers of its own
        atexit.register(lambda: log(run, 1, metric))
        log(run, 0, metric)
        sys.exit(0)
    if kind == 4:       # opens a run of its own and leaves its end to podstack
        other = client.start_run(run_id=metric, parent_run_id="r")
        log(other, 0, metric)
        sys.exit(0)
    if kind == 5:       # finishes the run that it was given
        log(run, 0, metric)
        run.finish("failed")
        os._exit(0)

def reap(pid):
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        ended, code = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(code)
        time.sleep(0.002)
    os.kill(pid, signal.SIGABRT)    # faulthandler shows where it hangs
    os.waitpid(pid, 0)
    return "hung"

def fork_all():
    step = 0
    for n in range({forks}):
        for _ in range(random.randrange(200)):
            log(run, step, "forker")
            step += 1
        pid = os.fork()
        if pid == 0:
            child(n)
        codes.append(reap(pid))

run = client.start_run(run_id="r")
done, codes = threading.Event(), []
threads = [threading.Thread(target=log_flat_out, args=(name,)) for name in ("a", "b")]
for thread in threads:
    thread.start()
"""

FROM_THE_MAIN_THREAD = """
fork_all()
done.set()
for thread in threads:
    thread.join()
print("codes", set(codes), len(codes))
run.finish()
"""

FROM_A_THREAD = """
sys.exit = os._exit                 # a thread has no way to end a process but this
forker = threading.Thread(target=fork_all)
forker.start()
forker.join()
done.set()
for thread in threads:
    thread.join()
print("codes", set(codes), len(codes))
run.finish()
"""


def _fork(stage: Stage, forks: int, ending: str) -> None:
    ended = stage.play(FORKS.format(forks=forks) + ending)
    acked = stage.acked()
    of_their_own = {run.id: run for run in MLOpsClient(stage.store).list_runs() if run.id != "r"}
    verdict = judge(
        stage.store, "r", {name: acked[name] for name in acked if name not in of_their_own}
    )
    print(f"forks={forks} {verdict}")

    assert (ended.code, ended.err) == (0, "")
    assert f"codes {{0}} {forks}" in ended.out
    assert stage.run().status == "completed"
    assert verdict.clean, verdict
    assert all(run.metrics[name].steps.tolist() == [0] for name, run in of_their_own.items())
    assert all(run.parent_run_id == "r" for run in of_their_own.values())
    writers = list((stage.store / "projects/default/runs/r/metrics").iterdir())
    assert len(writers) == 1 + forks // 6 * 4, "every child that logs is a writer of its own"
    assert set(of_their_own) == {f"child{n}" for n in range(4, forks, 6)}


def test_forks_of_a_process_whose_threads_log_neither_hang_nor_lose_a_point(stage: Stage) -> None:
    _fork(stage, 18, FROM_THE_MAIN_THREAD)


def test_forks_from_a_thread_neither_hang_nor_lose_a_point(stage: Stage) -> None:
    _fork(stage, 18, FROM_A_THREAD)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("ending", [FROM_THE_MAIN_THREAD, FROM_A_THREAD])
@pytest.mark.parametrize("attempt", range(5))
def test_sixty_forks_neither_hang_nor_lose_a_point(stage: Stage, ending: str, attempt: int) -> None:
    _fork(stage, 60, ending)


def test_a_forked_child_hears_that_its_run_is_asked_to_stop(stage: Stage) -> None:
    ended = stage.play(
        """
        import podstack.run
        podstack.run._LISTEN_EVERY = 0.05
        run = client.start_run(run_id="r", capture=False)
        log(run, 0)
        pid = os.fork()
        if pid == 0:
            deadline = time.monotonic() + 100
            while not run.should_stop and time.monotonic() < deadline:
                time.sleep(0.01)
            os._exit(0 if run.should_stop else 1)
        client.get_run("r").request_stop()
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """
    )

    assert ended.out == "0\n", ended.err


def test_a_child_that_is_killed_or_raises_leaves_its_parents_run_running(stage: Stage) -> None:
    ended = stage.play(
        """
        run = client.start_run(run_id="r")
        log(run, 0)
        for ending in ("SIGTERM", "SIGKILL", "raise"):
            pid = os.fork()
            if pid == 0:
                sys.stderr = open(os.devnull, "w")
                log(run, 0, ending)
                if ending == "raise":
                    raise ValueError("of the child")
                os.kill(os.getpid(), getattr(signal, ending))
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), run.status, flush=True)
        log(run, 1)
        run.finish()
        """
    )

    assert ended.out.splitlines() == ["-15 running", "-9 running", "1 running"]
    assert ended.err == ""
    assert stage.verdict().clean
    assert stage.run().status == "completed"
    assert stage.run().error is None


POOL = """
import multiprocessing, warnings
warnings.filterwarnings("ignore", category=DeprecationWarning)

def work(task):
    run, n = task
    log(run, n // 20, f"worker{{n % 20}}")
    return len(os.listdir("/proc/self/fd"))

if __name__ == "__main__":
    run = client.start_run(run_id="r")
    for epoch in range({epochs}):
        with multiprocessing.get_context({method!r}).Pool(2) as pool:
            tasks = [(run, n) for n in range(epoch * 100, (epoch + 1) * 100)]
            files = pool.map_async(work, tasks, chunksize=1).get(200)
        log(run, epoch)
        print("files", max(files))
    run.finish()
"""


def _pool(stage: Stage, method: str, epochs: int) -> None:
    ended = stage.play(POOL.format(method=method, epochs=epochs))
    files = [int(line.split()[1]) for line in ended.out.splitlines()]

    assert ended.code == 0, ended.err
    assert len(files) == epochs
    assert stage.verdict().clean, stage.verdict()
    assert stage.run().status == "completed"
    assert max(files) < 40, "every task opened files of its own"


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_pool_workers_log_through_a_pickled_run(stage: Stage, method: str) -> None:
    _pool(stage, method, 1)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_pool_workers_of_four_epochs_log_through_a_pickled_run(stage: Stage, method: str) -> None:
    _pool(stage, method, 4)


LOADER = """
import torch
from torch.utils.data import DataLoader, Dataset

class Logged(Dataset):
    def __init__(self, run):
        self.run = run
    def __len__(self):
        return 40
    def __getitem__(self, i):
        log(self.run, i, f"epoch{{self.epoch}}")
        return i

if __name__ == "__main__":
    torch.set_num_threads(1)
    run = client.start_run(run_id="r")
    data = Logged(run)
    step = 0
    for data.epoch in range({epochs}):
        loader = DataLoader(
            data, batch_size=4, num_workers=2, multiprocessing_context={method!r}, timeout=200
        )
        for batch in loader:
            log(run, step)
            step += 1
    run.finish()
"""


@pytest.mark.parametrize(
    ("method", "epochs"),
    [
        ("fork", 2),
        pytest.param("spawn", 1, marks=pytest.mark.slow),  # every worker imports torch again
    ],
)
def test_the_workers_of_a_data_loader_log_through_their_dataset(
    stage: Stage, method: str, epochs: int
) -> None:
    pytest.importorskip("torch")
    ended = stage.play(LOADER.format(method=method, epochs=epochs))

    assert (ended.code, ended.err) == (0, "")
    assert stage.verdict().clean, stage.verdict()
    assert stage.count_acked() == (40 + 10) * epochs
    assert stage.run().status == "completed"
