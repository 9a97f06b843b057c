"""The weight-decay claim: last test accuracy over two options, other optimizers' accuracy below for comparison."""

import numpy
import pandas

from actgrad_runs import RunError

from . import style
from .accuracy_by_option import value_text
from .curves import METRIC
from .experiment import Picture, fact


def draw(experiment):
    options = experiment.of_picture("x"), experiment.of_picture("y")
    cells, references = split(experiment, options)
    xs, ys = ([*sorted({group.option(option) for group in cells}, key=sort_key)] for option in options)
    values, errors = numpy.full((len(ys), len(xs)), numpy.nan), numpy.full((len(ys), len(xs)), numpy.nan)
    for group in cells:
        at = ys.index(group.option(options[1])), xs.index(group.option(options[0]))
        values[at], errors[at] = group.final(METRIC)

    figure, (axes,) = style.panels(1, 1, height=0.42 * len(ys) + 0.6)
    colours = style.pyplot.get_cmap("cividis").with_extremes(under="black")
    floor = floor_of(values)
    image = axes.imshow(values, cmap=colours, aspect="auto", origin="lower", vmin=floor)
    for (row, column), value in numpy.ndenumerate(values):
        if numpy.isfinite(value):
            error = f" ± {errors[row, column]:.1f}" if numpy.isfinite(errors[row, column]) else ""
            axes.text(column, row, f"{value:.1f}{error}", ha="center", va="center", fontsize=7.5,
                      color="black" if luminance(image, value) > 0.4 else "white")
    axes.set_xticks(range(len(xs)), texts_of(cells, options[0], xs))
    axes.set_yticks(range(len(ys)), texts_of(cells, options[1], ys))
    axes.tick_params(length=0)
    axes.grid(False)
    axes.set(xlabel=axis_text(options[0]), ylabel=axis_text(options[1]))
    for spine in axes.spines.values():
        spine.set_visible(False)
    extend = "min" if (values < floor).any() else "neither"
    bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.015, extend=extend)
    bar.set_label("last test accuracy (%)")
    bar.outline.set_visible(False)
    beside = "; ".join(reference_text(experiment, group) for group in references)
    note = experiment.note("last epoch, mean over runs", "±: standard error", "per cell")
    style.label_figure(figure, experiment, (f"For comparison: {beside}\n" if beside else "") + note)

    rows = [row_of(experiment, group, options if group in cells else (), references) for group in experiment.groups]
    table = pandas.DataFrame(rows)
    best = table.loc[table["last"].idxmax()]
    facts = {"highest last accuracy": fact(best["last"], best["n"], group=best["group"], se=best["last_se"])}
    return Picture(figure, {"": table}, facts)


def split(experiment, options):
    """Groups of the optimizer that has both options, and those of the others."""
    with_both = [group for group in experiment.groups if all(group.option(option) is not None for option in options)]
    if not with_both:
        raise RunError(f"{experiment.name}: no group has the options {' and '.join(options)}")
    optimizers = [group.option("optim") for group in with_both]
    main = max(set(optimizers), key=optimizers.count)
    cells = [group for group in with_both if group.option("optim") == main]
    return cells, [group for group in experiment.groups if group not in cells]


def floor_of(values):
    """The colours' lowest value, below which all is black: failed runs would hide all other differences."""
    finite = values[numpy.isfinite(values)]
    return max(finite.min(), finite.max() - 4 * (finite.max() - numpy.median(finite)) - 1e-9)


def sort_key(value):
    return (0, value, "") if isinstance(value, (int, float)) else (1, 0, str(value))


def texts_of(cells, option, values):
    """1/3 for exponents; 2e-3 and then 2e-2 too, for small numbers and those beside them."""
    if option == "exponent":
        return [value_text(next(group for group in cells if group.option(option) == value), option).replace("\n", " ")
                for value in values]
    numbers = [value for value in values if isinstance(value, (int, float))]
    small = any(0 < abs(value) < 0.01 for value in numbers)
    return [str(value) if value not in numbers else powers_text(value) if small and value else f"{value:g}"
            for value in values]


def powers_text(value):
    mantissa, exponent = f"{value:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def axis_text(option):
    return "exponent p" if option == "exponent" else option.replace("-", " ")


def luminance(image, value):
    red, green, blue, _ = image.to_rgba(value)
    return 0.3 * red + 0.59 * green + 0.11 * blue


def reference_text(experiment, group):
    mean, error = group.final(METRIC)
    spread = f" ± {error:.1f}" if numpy.isfinite(error) else ""
    return f"{style.optimizer_of(group) or experiment.label(group)} {mean:.1f}{spread}"


def row_of(experiment, group, options, references):
    """Its options, final accuracies, and how far its accuracy is from each reference's in the mean over the epochs."""
    last, last_error = group.final(METRIC)
    best, best_error = group.final(METRIC, max)
    train, train_error = group.final("train_accuracy")
    values = {"last": last, "last_se": last_error, "best": best, "best_se": best_error,
              "last_train": train, "last_train_se": train_error, "n": group.n}
    curve = group.curve(METRIC)["mean"]
    for reference in references:
        distance = (curve - reference.curve(METRIC)["mean"]).abs().mean()
        values[f"distance_to_{style.optimizer_of(reference)}"] = distance
    return {"group": experiment.label(group)} | {option: group.option(option) for option in options} | values
