"""HyperAdam's tables as curves: mean loss before each step over the starts, a panel per task, a curve per optimizer."""

import os.path

import numpy
import pandas

from . import style
from .accuracy_curves import mark_papers
from .experiment import Picture, fact

MOST_POINTS = 200  # of a long curve, of which more would hide each other's noise
# From the lowest curve to the uppermost: where two coincide, the lower one shows in the other's gaps.
DASHES = ("-", (0, (2, 0.8)), (0, (5, 2.5)), (0, (8, 1.5)))
LOWEST = 0.5  # of a mean: a band that reached zero would have no place on a logarithmic axis


def draw(experiment):
    axis, lines = experiment.picture.get("panels"), experiment.picture.get("curves")
    panels = {}
    for group in experiment.groups:
        panels.setdefault(value_of(group, axis), []).append(group)
    panels = titled(panels, axis, lines)
    names = {}
    for group in experiment.groups:
        names.setdefault(value_of(group, lines), group)
    looks = dict(zip(names, style.looks(names.values())))
    for i, look in enumerate(reversed(looks.values())):
        look["linestyle"] = DASHES[i % len(DASHES)]
    figure, axes, place = style.panels(len(panels), min(len(panels), 4), 2.2, legend=names)
    papers = experiment.scale == "full" and any(marked(group) for group in experiment.groups)
    tables, facts = [], {}
    for panel, (title, groups) in zip(axes, panels.items()):
        curves = {}
        for group in groups:  # those that show several numbers of the same runs have one curve
            curves.setdefault(value_of(group, lines), group)
        whole = {name: mean_curve(group) for name, group in curves.items()}
        window = max(map(window_of, whole.values()))
        for name in reversed(curves):  # the first one is drawn last: above the others
            curve = window_means(whole[name], window)
            error = curve["se"].fillna(0)
            low = numpy.maximum(curve["mean"] - error, LOWEST * curve["mean"])
            style.line_with_band(panel, curve["step"], curve["mean"], low, curve["mean"] + error, **looks[name])
            label = f"{name}, {title}"
            tables.insert(0, curve.assign(group=label)[["group", "step", "mean", "se", "n"]])
            last = whole[name].iloc[-1]
            facts[f"loss at the last step: {label}"] = fact(last["mean"], last["n"], se=last["se"])
        steps = "step" if window == 1 else f"step (means of {window})"
        panel.set(title=title, xlabel=steps, yscale="log", xlim=(0, None))
        style.in_thousands(panel.xaxis)
        if papers:
            mark_papers(panel, [(group.paper["mean"], looks[name]) for name, group in curves.items() if marked(group)])
        style.log_ticks(panel)
    axes[0].set_ylabel("loss of the training batch")
    style.legend(place, list(looks), looks.values())
    starts = sorted({int(table["n"].iloc[-1]) for table in tables})
    many = f"mean over {' or '.join(map(str, starts))} starts; band: standard error" if starts != [1] else "one start"
    style.label_figure(figure, experiment, f"loss before each step, {many}" + "; triangle: the paper's value" * papers)
    return Picture(figure, {"": pandas.concat(tables, ignore_index=True)}, facts)


def titled(panels, axis, lines):
    """Title → groups. An option's value is no title where labels are: what is common to those of a panel, CNN-1 of
    "CNN-1 loss" and "CNN-1 top-1 %"."""
    titles = []
    for value, groups in panels.items():
        words = [" ".join(text for name, text in group.labels.items() if name != lines).split() for group in groups]
        titles.append(value if axis in groups[0].labels else " ".join(os.path.commonprefix(words)))
    return dict(zip(titles if all(titles) and len(set(titles)) == len(titles) else panels, panels.values()))


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
        return curves[0].assign(se=curves[0]["se"].where(curves[0]["n"] > 1))  # of one start it is unknown, and not 0
    n = sum(curve["n"] for curve in curves)
    mean = sum(curve["n"] * curve["mean"] for curve in curves) / n
    error = numpy.sqrt(sum((curve["n"] * curve["se"]) ** 2 for curve in curves)) / n
    return pandas.DataFrame({"step": curves[0]["step"], "mean": mean, "se": error, "n": n})
