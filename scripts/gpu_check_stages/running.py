"""What all stages need: programs under a time limit, rows of the report, and why a stage cannot go on."""

import os
import signal
import subprocess
import tempfile
import time

from .machine import ROOT, commit, cuda_folders, library_folders, linked_libraries

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"


class Failed(Exception):
    """A stage cannot go on; the message is one line for the report."""


class Check:
    """What all stages need: options, the machine, the time left to this stage."""

    def __init__(self, options, gpu):
        self.options, self.gpu = options, gpu
        self.rehearse = options.rehearse
        self.preset = "cuda-emulated" if self.rehearse else "cuda"
        self.build = ROOT / "build" / self.preset
        self.programs = options.programs or self.build / "bin"
        if options.programs:
            self.build = options.programs.parent
        self.folders = [] if self.rehearse else cuda_folders(options.cuda_libs)
        self.threads = options.threads
        self.commit = options.commit or commit()  # now: later commits do not change what is checked
        self.deadline = 0.0

    def environment(self):
        """For our programs. The libraries that they are linked with have their folders as rpath; this is for those that
        these open in turn, from the same folders: another folder may have another version."""
        environment = dict(os.environ)
        if self.rehearse:
            environment["OMP_NUM_THREADS"] = str(self.threads)
        libraries = [str(path.parent) for path in linked_libraries(self.build).values()
                     if not str(path).startswith(("/usr/lib/", "/lib/"))]
        if self.options.deps:
            libraries += map(str, library_folders(self.options.deps))
        if libraries:
            libraries += filter(None, [environment.get("LD_LIBRARY_PATH")])
            environment["LD_LIBRARY_PATH"] = ":".join(dict.fromkeys(libraries))
        return environment

    def left(self):
        return self.deadline - time.monotonic()

    def run(self, command, limit=None, cwd=None):
        """(exit code, everything printed); the code is None after `limit` seconds or at the end of the stage's time."""
        limit = min(limit or self.left(), self.left())
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=subprocess.STDOUT, env=self.environment(), cwd=cwd, start_new_session=True)
            try:
                code = process.wait(max(limit, 1))
            except subprocess.TimeoutExpired:
                code = None
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            output.seek(0)
            return code, output.read()

    def need(self, *programs):
        for name in programs:
            if not (self.programs / name).is_file():
                raise Failed(f"{name} is not built: scripts/gpu_check build")


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no output"


def row(what, precision, result, status=PASSED, **figures):
    return {"what": what, "precision": precision, "status": status, "result": result, **figures}
