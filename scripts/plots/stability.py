"""Figure 5: do the effective rates η_t P_t stop rising (assumption A5), and how far do twins move apart (Theorem 5.5)?

Twins are two trainings of the same seed and options whose data differ in one example (option replace-example).
"""

import numpy
import pandas

from . import condensed, style, twins
from .experiment import Picture, fact

TWIN = "replace-example"
NOTE = """mean over n runs, band: smallest to largest run; rises: largest in each part of the run, changes: median;
twins: of inputs that were active at least once"""


def draw(experiment):
    groups = [group for group in experiment.groups if not is_twin(group)]
    pairs = [pairs_of(experiment, group) for group in groups]
    names = [name_of(experiment, group, groups) for group in groups]
    looks = schedule_looks(groups)
    texts = [f"{name} (n = {group.n}, twins: {len(pair)})" for name, group, pair in zip(names, groups, pairs)]
    figure, axes, place = style.panels(4, 2, height=2.1, legend=texts)
    increase, change, preconditioners, weights = axes

    facts, tables, verdicts = {}, [], []
    for group, name, look in zip(groups, names, looks):
        rates = [condensed.effective_rates(run) for run in group.runs.values()]
        last = draw_increase(increase, rates, look)
        verdicts.append((f"{name}: {last}", look["color"]))
        draw_change(change, rates, look)
        facts |= rate_facts(name, rates)
        tables.append(rates_per_epoch(rates).assign(group=name, n=group.n))
    distances = [twins.distances(pair) for pair in pairs]
    for name, distance, look in zip(names, distances, looks):
        twins.draw(preconditioners, weights, distance, look)
        facts |= twins.facts(name, distance)
    for panel in () if any(map(len, distances)) else (preconditioners, weights):
        panel.text(0.5, 0.5, "no pair of twins is finished", transform=panel.transAxes, ha="center", color=style.GREY)

    finish(axes)
    line = 0.09  # of the panel's height
    style.room_above(increase, line * len(verdicts) + 0.02)
    for i, (text, colour) in enumerate(verdicts):
        increase.text(0.98, 0.97 - line * i, text, transform=increase.transAxes, ha="right", va="top", fontsize=7,
                      color=colour)
    style.legend(place, texts, looks)
    style.label_figure(figure, experiment, NOTE)
    twin_tables = [table.assign(group=name) for name, table in zip(names, distances) if len(table)]
    return Picture(figure, {"": ordered(tables)} | ({"_twins": ordered(twin_tables)} if twin_tables else {}), facts)


def is_twin(group):
    return int(group.option(TWIN) if group.option(TWIN) is not None else -1) >= 0


def pairs_of(experiment, group):
    return twins.of(group, [other for other in experiment.groups if is_twin(other)])


def name_of(experiment, group, groups):
    return experiment.label(group, groups) or "all runs"


def schedule_looks(groups):
    """AdaAct's colour for the decaying rate; grey for the constant one."""
    looks = style.looks(groups)
    for group, look in zip(groups, looks):
        look["linestyle"] = "-"
        if group.option("schedule") == "constant" and group.option("optim") in (None, "adaact"):
            look["color"] = style.GREY
    return looks


def draw_increase(axes, rates, look):
    """max_j(η_t P_t,j − η_(t−1) P_(t−1),j): the largest of each part, so that no rise is lost. Says which was last."""
    draw_parts(axes, rates, "rate increase", look)
    stay = [step for step in map(last_rise, rates) if step]
    for step in stay:
        axes.axvline(step, color=look["color"], linewidth=0.8, linestyle=style.DASHES[2])
    if not stay:
        return "rises until the end"
    part = "" if len(stay) == len(rates) else f" ({len(stay)} of {len(rates)} runs)"
    return f"last rise at step {numpy.median(stay):,.0f}{part}"


def draw_change(axes, rates, look):
    """‖η_t P_t − η_(t−1) P_(t−1)‖₁, and dashed the same without η. The median of each part: an input that becomes
    active for the first time takes its rate from 1/ε down to the others', a jump that would hide everything else."""
    for column, dashes in (("rate change", "-"), ("rate change without lr", style.DASHES[1])):
        draw_parts(axes, rates, column, look | {"linestyle": dashes})


def draw_parts(axes, rates, column, look):
    shortest = min(map(len, rates))
    values = numpy.stack([table[column].to_numpy()[:shortest] for table in rates])
    style.line_with_band(axes, rates[0]["iteration"][:shortest], values.mean(axis=0), values.min(axis=0),
                         values.max(axis=0), **(look | {"linewidth": 0.8}))


def last_rise(table):
    """The last step at which a rate rose, from 1, which it is too if none did; None: the run's last."""
    last = 1 if table["last rise"].isna().all() else int(table["last rise"].max())
    return last if last < table["iteration"].iloc[-1] else None


def finish(axes):
    increase, change, preconditioners, weights = axes
    increase.set(title="Largest rise of any rate in a step (A5: ≤ 0 in the end)",
                 ylabel="max$_j$ ($\\eta_t P_{t,j} - \\eta_{t-1} P_{t-1,j}$)")
    series = [line.get_ydata() for line in increase.get_lines() if len(line.get_xdata()) > 2]
    values = numpy.abs(numpy.concatenate(series))
    linear_below = max(float(numpy.quantile(values[values > 0], 0.1)), 1e-12) if (values > 0).any() else 1.0
    increase.set_yscale("symlog", linthresh=linear_below)
    increase.axhline(0, color="black", linewidth=0.7)
    change.set(title="Change from step to step", ylabel="L$_1$ norm", yscale="log")
    change.plot([], [], color=style.GREY, label="$\\eta_t P_t - \\eta_{t-1} P_{t-1}$")
    change.plot([], [], color=style.GREY, linestyle=style.DASHES[1], label="$P_t - P_{t-1}$")
    preconditioners.set(title="Twins: preconditioners", ylabel="L$_1$ norm")
    weights.set(title="Twins: weights", ylabel="L$_2$ norm")
    for panel in (preconditioners, weights):
        style.epochs(panel)
    for panel in (increase, change):
        panel.set_xlabel("iteration")
        style.in_thousands(panel.xaxis)
    for panel in (change, preconditioners, weights):
        if panel.get_yscale() == "log":
            style.log_ticks(panel)
        if panel.get_legend_handles_labels()[0]:
            panel.legend(loc="best")


def rate_facts(name, rates):
    """For A5: when the last rise happened, how often rates rise, and how large a rise still is at the end."""
    n = len(rates)
    stay = [step for step in map(last_rise, rates) if step]
    tenth = max(1, min(map(len, rates)) // 10)
    heads, tails = [table[:tenth] for table in rates], [table[-tenth:] for table in rates]
    largest = [max(table["rate increase"].max() for table in tables) for tables in (heads, tails)]
    return {
        f"last step with a rising rate: {name}":
            fact(float(numpy.median(stay)) if stay else None, n, runs_that_stop=len(stay),
                 of_steps=min(int(table["iteration"].iloc[-1]) for table in rates)),
        f"share of steps with a rising rate: {name}": fact(numpy.mean([share_rising(table) for table in rates]), n),
        f"share of the last tenth of steps with a rising rate: {name}":
            fact(numpy.mean([share_rising(table) for table in tails]), n),
        f"largest rise in the last tenth of steps: {name}": fact(largest[1], n, first_tenth=largest[0]),
        f"median change in the last tenth of steps: {name}":
            fact(numpy.mean([table["rate change"].median() for table in tails]), n),
    }


def share_rising(table):
    return condensed.weighted_mean(table, "rises")


def rates_per_epoch(rates):
    """Per epoch, over all runs: the largest and the median rise, the share of rising steps, the median changes (medians
    of the parts' medians)."""
    table = pandas.concat(rates)
    by_epoch = table.groupby("epoch")
    return pandas.DataFrame({
        "lr": by_epoch["lr"].mean(),
        "largest_increase": by_epoch["rate increase"].max(),
        "median_increase": by_epoch["rate increase median"].median(),
        "largest_increase_without_lr": by_epoch["rate increase without lr"].max(),
        "share_of_steps_rising":
            (table["rises"] * table["steps"]).groupby(table["epoch"]).sum() / by_epoch["steps"].sum(),
        "median_change": by_epoch["rate change"].median(),
        "median_change_without_lr": by_epoch["rate change without lr"].median(),
    }).reset_index()


def ordered(tables):
    table = pandas.concat(tables, ignore_index=True)
    return table[["group", *table.columns.drop("group")]]
