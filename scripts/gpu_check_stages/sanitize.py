"""sanitize: compute-sanitizer on the kernels' tests."""

import re
import shutil
import tempfile
from pathlib import Path

from .machine import find_nvcc
from .running import FAILED, NOT_RUN, PASSED, last_line, row

TOOLS = ("memcheck", "racecheck", "synccheck", "initcheck")
# Kernels' tests that stay short under a sanitizer: Catch2's patterns. Whole training runs are too long.
SANITIZED = ("batch norm*", "the backward pass on the device*", "biases and their gradients*", "convolutions agree*",
             "elementwise functions*", "sums agree*", "casts agree*", "linear layers*", "steps of *", "rates of AdaAct*",
             "*pooling*", "flatten agrees*", "the option-A*", "*second moment*", "softmax cross-entropy*",
             "images are gathered*", "labels are gathered*", "labels are drawn*", "*covariances*", "*Kronecker*",
             "*factors of rank one*", "*norms*")
PLANTED_BUG = """\
#include <cstdio>
__global__ void out_of_bounds(int* x) { x[threadIdx.x + 1] = 1; }
__global__ void race(int* x) {
  __shared__ int s[64];
  s[threadIdx.x] = threadIdx.x;
  x[threadIdx.x] = s[63 - threadIdx.x];
}
__global__ void uninitialised(const int* x, int* y) { y[threadIdx.x] = x[threadIdx.x]; }
__global__ void divergent(int* x) {
  if (threadIdx.x < 48) __syncthreads();
  x[threadIdx.x] = 1;
}
int main(int, char** arguments) {
  int *x = nullptr, *y = nullptr;
  cudaMalloc(&x, 64 * sizeof(int));
  cudaMalloc(&y, 64 * sizeof(int));
  switch (arguments[1][0]) {
    case 'm': out_of_bounds<<<1, 64>>>(x); break;
    case 'r': race<<<1, 64>>>(x); break;
    case 'i': uninitialised<<<1, 64>>>(x, y); break;
    case 's': divergent<<<1, 64>>>(x); break;
  }
  std::printf("%s\\n", cudaGetErrorString(cudaDeviceSynchronize()));
}
"""


def sanitizer_verdict(code, output):
    """(status, result) from what compute-sanitizer printed about the tests."""
    summaries = re.findall(r"(?:ERROR|RACECHECK) SUMMARY: (.*)", output)
    if code is None:
        seen = len(re.findall(r"^========= (?:Error|Invalid|Race|Uninitialized|Barrier)", output, re.M))
        return (FAILED, f"{seen} reports, not finished in time") if seen else (NOT_RUN, "not finished in time")
    if not summaries:
        refusal = re.search(r"^.*(?:not supported|Unable to|[Ee]rror).*$", output, re.M)
        return NOT_RUN, (refusal.group().strip("= ") if refusal else last_line(output))
    if re.search("Device not supported|Target application terminated before", output):
        return NOT_RUN, "Device not supported"
    # "0 errors", "0 hazards displayed (0 errors, 0 warnings)"
    clean = summaries[-1].startswith("0 ") and code == 0
    tests = re.search(r"All tests passed \((.*)\)", output)
    return (PASSED if clean else FAILED), summaries[-1] + (f"; {tests.group(1)}" if tests else "")


def finds_planted_bug(check, sanitizer, tool, folder):
    """None if the tool reports the planted bug of its kind; else why not."""
    program = folder / "planted"
    if not program.is_file():
        source = folder / "planted.cu"
        source.write_text(PLANTED_BUG)
        nvcc = find_nvcc(check.folders)
        if not nvcc:
            return "no nvcc to compile a planted bug"
        code, output = check.run([nvcc, "-lineinfo", "-arch=native", "-o", program, source])
        if code != 0:
            return f"the planted bug does not compile: {last_line(output)}"
    code, output = check.run([sanitizer, "--tool", tool, program, tool], limit=60)
    status, result = sanitizer_verdict(code, output)
    if status == FAILED:
        return None
    return result if status == NOT_RUN else "it does not see a planted bug on this device"


def stage_sanitize(check):
    check.need("test_cuda")
    nvcc = find_nvcc(check.folders)
    beside = nvcc and nvcc.parent / "compute-sanitizer"
    sanitizer = shutil.which("compute-sanitizer") or (str(beside) if beside and beside.is_file() else None)
    precision = "float, double"
    if check.rehearse or not sanitizer:
        reason = "the emulator has no GPU" if check.rehearse else "compute-sanitizer is not installed"
        return [row(f"compute-sanitizer {tool}", precision, reason, NOT_RUN) for tool in TOOLS]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for i, tool in enumerate(TOOLS):
            what = f"compute-sanitizer {tool}, kernels' tests"
            if check.left() < 20:
                rows.append(row(what, precision, "out of time", NOT_RUN))
                continue
            limit = check.left() / (len(TOOLS) - i)
            if reason := finds_planted_bug(check, sanitizer, tool, Path(folder)):
                rows.append(row(what, precision, reason, NOT_RUN))
                continue
            # Libraries ask the runtime for things that it refuses, and go on: no errors of ours.
            quiet = ["--report-api-errors", "no"] if tool == "memcheck" else []
            code, output = check.run([sanitizer, "--tool", tool, *quiet, "--error-exitcode", "99", "--print-limit", "20",
                                      check.programs / "test_cuda", ",".join(SANITIZED)], limit=limit)
            status, result = sanitizer_verdict(code, output)
            rows.append(row(what, precision, result, status, **({"output": output[:8000]} if status == FAILED else {})))
    return rows
