"""Figure 3: what the exponent p of AdaAct's rates, or any other option, does to the test accuracy."""

from fractions import Fraction

import numpy
import pandas

from . import style
from .curves import METRIC, accuracy_table, draw_accuracy, final_facts, view_of
from .experiment import Picture, fact, mean_and_error

PAPER_VALUE = {"exponent": 0.5}  # the value that the method itself uses: drawn in its colour


def draw(experiment):
    option = experiment.picture.get("option", "exponent")
    groups = sorted(experiment.groups, key=lambda group: place(group, option))
    looks = option_looks(groups, option)
    figure, (left, right) = style.panels(2, 2, height=2.7)

    rows = []
    for i, (group, look) in enumerate(zip(groups, looks)):
        last, last_error = group.final(METRIC)
        best, best_error = group.final(METRIC, max)
        for at, mean, error, fill in ((i - 0.1, last, last_error, look["color"]), (i + 0.1, best, best_error, "white")):
            left.errorbar(at, mean, None if numpy.isnan(error) else error, fmt="o", color=look["color"],
                          markerfacecolor=fill, markersize=4.5, capsize=2, elinewidth=0.9)
        value = value_text(group, option).replace("\n", " ")
        rows.append({option: value, "last": last, "last_se": last_error, "best": best, "best_se": best_error,
                     "n": group.n})
        draw_accuracy(right, group, look)
    left.set_xticks(range(len(groups)), [value_text(group, option) for group in groups])
    left.set(xlim=(-0.5, len(groups) - 0.5), xlabel={"exponent": "exponent p"}.get(option, option),
             ylabel="test accuracy (%)", title="Final accuracy")
    left.grid(axis="x", visible=False)
    for fill, text in ((style.GREY, "last epoch"), ("white", "best epoch")):
        left.plot([], [], "o", color=style.GREY, markerfacecolor=fill, markersize=4.5, label=text)
    left.legend(loc="best")

    style.epochs(right)
    right.set(ylabel="test accuracy (%)", title="Over the epochs", xlim=(0, None),
              ylim=view_of([group.curve(METRIC)["mean"] for group in groups]))
    prefix = {"exponent": "p = "}.get(option, "")
    for group, look in zip(groups, looks):
        text = value_text(group, option).replace("\n", " ")
        count = "" if experiment.equal_n() else f" (n = {group.n})"
        right.plot([], [], label=(prefix if is_number(group, option) else "") + text + count, **look)
    right.legend(loc="best", ncol=2)
    style.label_figure(figure, experiment,
                       experiment.note("mean over runs", "bar and band: standard error", "per point and curve"))

    table = pandas.DataFrame(rows)
    winner = table.loc[table["last"].idxmax()]
    best = fact(winner[option], winner["n"], accuracy=winner["last"], se=winner["last_se"])
    facts = {f"best {option} by last accuracy": best}
    return Picture(figure, {"": table, "_curves": accuracy_table(experiment)},
                   facts | paired_facts(groups, option) | final_facts(experiment))


def is_number(group, option):
    return group.option("covariance") != "full" and isinstance(group.option(option), (int, float))


def place(group, option):
    """Numbers in their order, then what has none: the full covariance, other optimizers."""
    return (0, float(group.option(option))) if is_number(group, option) else (1, 0.0)


def value_text(group, option):
    """1/3 rather than 0.333333."""
    if group.option("covariance") == "full":
        return "full\ncovariance"
    value = group.option(option)
    if not isinstance(value, (int, float)):
        return group.labels.get(option) or style.optimizer_of(group)
    fraction = Fraction(value).limit_denominator(12)
    return str(fraction) if abs(float(fraction) - value) < 1e-4 else f"{value:g}"


def option_looks(groups, option):
    """The method's own value in AdaAct's colour, others from blue to green in their order; black, dashed: no number."""
    numbers = [group for group in groups if is_number(group, option)]
    others = [group for group in numbers if group.option(option) != PAPER_VALUE.get(option)]
    ramp = style.pyplot.get_cmap("viridis")(numpy.linspace(0.0, 0.78, max(len(others), 1)))
    looks = []
    for group in groups:
        if group in others:
            looks.append({"color": tuple(ramp[others.index(group)]), "linestyle": "-"})
        else:
            own = {"color": style.COLOURS["adaact"], "linestyle": "-"}
            looks.append(own if group in numbers else {"color": "black", "linestyle": style.DASHES[1]})
    return looks


def paired_facts(groups, option):
    """The method's own value against each other one, seed by seed: a seed fixes the initial weights and the order."""
    numbers = [group for group in groups if is_number(group, option)]
    own = next((group for group in numbers if group.option(option) == PAPER_VALUE.get(option)), None)
    facts = {}
    for group in groups if own else []:
        seeds = sorted(set(own.runs) & set(group.runs))
        if group is not own and seeds:
            ours, theirs = ([one.runs[seed].metrics[METRIC].iloc[-1] for seed in seeds] for one in (own, group))
            mean, error = mean_and_error(numpy.subtract(ours, theirs))
            name = value_text(group, option).replace("\n", " ")
            facts[f"last accuracy of {value_text(own, option)} minus that of {name}"] = fact(mean, len(seeds), se=error)
    return facts
