"""The report: one JSON that several calls fill, and a Markdown table of it."""

import json
import sys

STAGES = ("build", "parity", "sanitize", "bench", "train")


def usage_error(message):
    print(f"gpu_check: {message}", file=sys.stderr)
    return 2


def identity(report):
    """Results are merged only when these agree."""
    return [report.get(name) for name in ("commit", "gpu", "rehearsal")]


def merge(old, new):
    """`new` with the stages of `old` that it has not run itself, and what only `old` knows of the machine."""
    if not old or identity(old) != identity(new):
        return new
    known = {name: value for name, value in new.items() if value not in ("unknown", "none", "") or name not in old}
    merged = {**old, **known}
    stages = {**old.get("stages", {}), **new.get("stages", {})}
    merged["stages"] = {name: stages[name] for name in STAGES if name in stages}
    return merged


def read_report(path):
    try:
        report = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SystemExit(usage_error(f"cannot read {path}: {error}"))
    if not isinstance(report, dict) or "stages" not in report:
        raise SystemExit(usage_error(f"{path} is no report of gpu_check"))
    return report


def write_report(path, report):
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(json.dumps(report, indent=2) + "\n")
    temporary.replace(path)


def beside(entry, kind):
    """PyTorch's time and its multiple of ours."""
    figures = entry.get(kind)
    return f"{figures['ms']:.3f} ({figures['ratio']:.2f}×)" if figures else ""


def markdown(report):
    head = ["commit", "gpu", "driver", "cuda", "cublas", "cudnn", "torch", "cpu", "date"]
    if report.get("rehearsal"):
        lines = ["**A rehearsal under the host emulator: no figure here was measured on a GPU; PyTorch ran on the CPU in float32.**", ""]
    else:
        lines = []
    lines += [f"* {name}: {report.get(name, 'unknown')}" for name in head]
    if report.get("programs", "")[:10] != report.get("commit", "")[:10]:
        lines.append(f"* the programs were built from {report.get('programs', 'unknown')}")
    lines += ["", "PyTorch: ms per step, and its multiple of ours. Its AdaAct is eager, the statistic through im2col as "
              "published / from summed squares. Without a graph, ours waits for the device after each part of a step.",
              "", "| stage | what | precision | status | result | images/s | PyTorch eager | torch.compile, CUDA graphs |",
              "|---|---|---|---|---|---|---|---|"]
    for stage, record in report["stages"].items():
        for entry in record["rows"]:
            rate = f"{entry['images_per_second']:.0f}" if "images_per_second" in entry else ""
            eager = " / ".join(filter(None, (beside(entry, "eager"), beside(entry, "eager-sum"))))
            cells = [stage, entry["what"], entry["precision"], entry["status"], entry["result"], rate, eager,
                     beside(entry, "compile")]
            lines.append("| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
