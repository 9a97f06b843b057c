"""build: configures and compiles."""

import re
import sys
import time

from .machine import ROOT, find_nvcc, library_folders
from .running import Failed, last_line, row

TARGETS = ("train", "evaluate", "bench", "test_cuda")


def stage_build(check):
    options = check.options
    arguments = [f"-D{definition}" for definition in options.define]
    if options.deps:
        arguments.append(f"-DCMAKE_PREFIX_PATH={options.deps / 'usr'}")
        arguments.append("-DCMAKE_BUILD_RPATH=" + ";".join(map(str, library_folders(options.deps))))
    architectures = "emulated"
    if not check.rehearse:
        nvcc = find_nvcc(check.folders)
        if not nvcc:
            raise Failed("nvcc not found: neither on the PATH nor in /usr/local/cuda, CUDA_PATH or CUDA_HOME")
        architectures = check.gpu["compute_capability"].replace(".", "") if check.gpu else "80-real;90"
        arguments += [f"-DACTGRAD_NVCC={nvcc}", f"-DCMAKE_CUDA_ARCHITECTURES={architectures}",
                      "-DACTGRAD_CUDA_LIBS=" + ";".join(map(str, check.folders))]
    start = time.monotonic()
    code, output = check.run(["cmake", "--preset", check.preset, *arguments], cwd=ROOT)
    notes = [line for line in output.splitlines() if "not found" in line and line.startswith("-- ")]
    if code == 0:
        jobs = ["-j", options.jobs] if options.jobs else []
        code, output = check.run(["cmake", "--build", check.build, *jobs, "--target", *TARGETS], cwd=ROOT)
    if code != 0:
        sys.stderr.write(output[-8000:])
        errors = [line.strip() for line in output.splitlines() if re.search(r"\berror\b|CMake Error", line)]
        raise Failed("out of time" if code is None else errors[0] if errors else last_line(output))
    result = f"{time.monotonic() - start:.0f} s, for {architectures}"
    if notes:
        result += " (" + "; ".join(note.removeprefix("-- ") for note in notes) + ")"
    return [row(f"preset {check.preset}", "all", result, seconds=round(time.monotonic() - start, 1))]
