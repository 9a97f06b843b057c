"""HyperAdam's tables as curves: mean loss before each step over the starts, a panel per task, a curve per optimizer."""

import numpy
import pandas

from . import style
from .accuracy_curves import mark_paper
from .experiment import Picture, fact

MOST_POINTS = 200  # of a long curve, of which more would hide each other's noise
LOWEST = 0.5  # of a mean: a band that reached zero would have no place on a logarithmic axis


def draw(experiment):
    axis, lines = experiment.picture.get("panels"), experiment.picture.get("curves")
    panels = {}
    for group in experiment.groups:
        # Groups that show several numbers of the same runs have one curve.
        panels.setdefault(value_of(group, axis), {}).setdefault(value_of(group, lines), group)
    names = {name: group for curves in panels.values() for name, group in curves.items()}
    looks = dict(zip(names, style.looks(names.values())))
    figure, axes, place = style.panels(len(panels), min(len(panels), 4), 2.2, legend=names)
    papers = experiment.scale == "full" and any(marked(group) for group in experiment.groups)
    tables, facts, window = [], {}, 1
    for panel, (title, curves) in zip(axes, panels.items()):
        for name, group in reversed(curves.items()):  # the first one is drawn last: above the others
            whole = mean_curve(group)
            window = window_of(whole)
            curve = window_means(whole, window)
            error = curve["se"].fillna(0)
            low = numpy.maximum(curve["mean"] - error, LOWEST * curve["mean"])
            style.line_with_band(panel, curve["step"], curve["mean"], low, curve["mean"] + error, **looks[name])
            if papers and marked(group):
                mark_paper(panel, group.paper["mean"], looks[name])
            label = f"{name}, {title}"
            tables.insert(0, curve.assign(group=label)[["group", "step", "mean", "se", "n"]])
            last = whole.iloc[-1]
            facts[f"loss at the last step: {label}"] = fact(last["mean"], last["n"], se=last["se"])
        panel.set(title=title, xlabel="step", yscale="log", xlim=(0, None))
        style.in_thousands(panel.xaxis)
        style.log_ticks(panel)
    axes[0].set_ylabel("loss")
    style.legend(place, list(looks), looks.values())
    starts = sorted({int(table["n"].iloc[-1]) for table in tables})
    many = f"mean over {' or '.join(map(str, starts))} starts; band: standard error" if starts != [1] else "one start"
    note = ("loss before each step" if window == 1 else f"loss, means of {window} steps") + ", " + many
    style.label_figure(figure, experiment, note + "; triangle: the paper's value" * papers)
    return Picture(figure, {"": pandas.concat(tables, ignore_index=True)}, facts)


def window_of(curve):
    """Over how many steps means are taken: one, if the curve is short."""
    return max(1, len(curve) // MOST_POINTS) if len(curve) > 5 * MOST_POINTS else 1


def window_means(curve, window):
    """The same with means over so many steps, in the middle of which each stands."""
    if window == 1:
        return curve
    means = curve.groupby(numpy.arange(len(curve)) // window).mean()
    return means.assign(n=means["n"].round().astype(int))


def value_of(group, name):
    return str(group.labels.get(name) or group.option(name) or "")


def marked(group):
    return bool(group.paper) and group.metric == "last_loss"


def mean_curve(group):
    """step, mean, se, n over all starts of the group's runs."""
    curves = [run.curve for run in group.runs.values()]
    if len(curves) == 1:
        return curves[0]
    n = sum(curve["n"] for curve in curves)
    mean = sum(curve["n"] * curve["mean"] for curve in curves) / n
    error = numpy.sqrt(sum((curve["n"] * curve["se"]) ** 2 for curve in curves)) / n
    return pandas.DataFrame({"step": curves[0]["step"], "mean": mean, "se": error, "n": n})
