"""A Dask cluster on this machine: a scheduler and workers, each a process of its own, so that one can be killed."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

START_S = 60


class LocalCluster:
    """address: of the scheduler. workers: their processes, without nannies: a killed one stays dead."""

    def __init__(self, folder, n_workers):
        pytest.importorskip("distributed", reason="Dask is not installed (the extra cluster)")
        self.folder, self.file = folder, folder / "scheduler.json"
        self._start("scheduler", "--port", "0", "--no-dashboard", "--no-jupyter", "--scheduler-file", str(self.file))
        end = time.monotonic() + START_S
        while not self.file.exists() and time.monotonic() < end:
            time.sleep(0.1)
        self.workers = [self._start_worker(number) for number in range(n_workers)]
        self.address = self._wait_for(n_workers)

    def _start(self, *command):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        log = (self.folder / f"{command[0]}.log").open("ab")
        started = subprocess.Popen([sys.executable, "-m", "dask", *command], env=environment, stdout=log, stderr=log)
        self.processes = [*getattr(self, "processes", []), started]
        return started

    def _start_worker(self, number):
        folder = str(self.folder / f"worker{number}")
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", folder)
        return self._start("worker", "--scheduler-file", str(self.file), *options)

    def _wait_for(self, n_workers):
        from distributed import Client

        with Client(scheduler_file=str(self.file), set_as_default=False) as client:
            client.wait_for_workers(n_workers, timeout=START_S)
            return client.scheduler.address

    def close(self):
        for process in self.processes[::-1]:
            process.kill()
            process.wait()


@contextmanager
def local_cluster(folder, n_workers=2):
    folder.mkdir(parents=True, exist_ok=True)
    cluster = LocalCluster(folder, n_workers)
    try:
        yield cluster
    finally:
        cluster.close()
