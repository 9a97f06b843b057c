"""parity: every kernel and whole training runs against the CPU's."""

import re
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from .running import FAILED, NOT_RUN, PASSED, Failed, last_line, row

REHEARSED = ("biases and their gradients*", "linear layers*", "cuDNN agrees*")  # a few, for the emulator's speed


def read_cases(report):
    """[(name, success, what it printed)] of Catch2's XML, also of one that ends in the middle."""
    cases, name, success, printed = [], None, None, ""
    try:
        for event, element in ElementTree.iterparse(report, events=("start", "end")):
            if element.tag == "TestCase":
                if event == "start":
                    name, success, printed = element.get("name"), None, ""
                else:
                    cases.append((name, success, printed))
                    name = None
            elif element.tag == "OverallResult" and event == "end":
                success = element.get("success") == "true"
                printed = "".join(child.text or "" for child in element if child.tag in ("StdOut", "StdErr"))
    except (ElementTree.ParseError, OSError):
        pass
    if name is not None:
        cases.append((name, False, "the program ended within this test"))
    return cases


def escape(name):
    """A test's name as a Catch2 pattern for just that test."""
    return re.sub(r'([\\,"\[\]*])', r"\\\1", name)


def stage_parity(check):
    check.need("test_cuda")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        patterns = [",".join(REHEARSED)] if check.rehearse else []
        code, output = check.run([check.programs / "test_cuda", *patterns, "--reporter", "xml", "--out", report],
                                 limit=0.75 * check.left())
        cases = read_cases(report)
    if not cases:
        raise Failed(f"test_cuda ran no test: {last_line(output)}")
    unfinished = cases.pop()[0] if code is None and not cases[-1][1] else None
    skipped = {name: last_line(text) for name, good, text in cases
               if good and "skipped" in text}
    failed = [name for name, good, _ in cases if not good]
    passed = len(cases) - len(skipped) - len(failed)
    result = f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped"
    if code is None:
        result += f"; out of time in: {unfinished}" if unfinished else "; out of time"
    good = not failed and code == 0 and passed > 0
    rows = [row("test_cuda, cases", "float, double", result, PASSED if good else FAILED, passed=passed,
                failed=len(failed), skipped=len(skipped), total=len(cases))]
    # A failure can spoil what follows it in the same process: each once more on its own.
    for name in failed[:20]:
        if check.left() < 10:
            break
        alone, text = check.run([check.programs / "test_cuda", escape(name)], limit=120)
        verdict = "passes" if alone == 0 else "does not end" if alone is None else "fails"
        rows.append(row(f"test_cuda: {name}", "float, double", f"failed; on its own it {verdict}", FAILED,
                        output=text[:4000]))
    for name, reason in skipped.items():
        rows.append(row(f"test_cuda: {name}", "float, tf32" if "cuDNN" in name else "float, double", reason, NOT_RUN))
    for name, _, text in cases:
        for precision, difference in re.findall(r"cuDNN and im2col, (\w+): largest difference ([^ ]+) of", text):
            rows.append(row("cuDNN against im2col, convolutions of ResNet-20 and LeNet-5", precision,
                            f"largest difference {difference} of the largest value",
                            FAILED if name in failed else PASSED, difference=float(difference)))
    return rows
