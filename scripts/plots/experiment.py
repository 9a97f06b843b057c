"""An experiment's folder: its description, written by `reproduce`, and the runs that are finished."""

import json
import sys
from collections import Counter
from pathlib import Path

import numpy
import pandas

from actgrad_runs import Run, RunError, read_json

MARKS = {"full": "", "short": "short: fewer epochs than the paper", "smoke": "smoke: a few steps on made-up images"}


class Group:
    """The runs of one cell of the experiment: the same options, several seeds."""

    def __init__(self, description, runs):
        self.labels = {key: str(value) for key, value in description.get("labels", {}).items()}
        self.options = description.get("options", {})
        self.paper = description.get("paper")
        self.metric = description.get("metric")
        self.runs = runs  # seed → Run

    @property
    def n(self):
        return len(self.runs)

    def option(self, name):
        """A value of the group's options or, for what it leaves at its default, of its runs'."""
        if name in self.options:
            return self.options[name]
        return next((run.options.get(name) for run in self.runs.values()), None)

    def curve(self, metric):
        """Mean, standard error and number of runs of a metric in each epoch."""
        return statistics(pandas.concat([run.metrics.set_index("epoch")[metric] for run in self.runs.values()], axis=1))

    def final(self, metric, choose=lambda values: values.iloc[-1]):
        """(mean, standard error) over the runs of the last epoch's value, or of the one chosen."""
        return mean_and_error([choose(run.metrics[metric]) for run in self.runs.values()])


class Experiment:
    """experiment.json with its finished runs; groups without any are left out."""

    def __init__(self, folder):
        self.folder = Path(folder)
        file = self.folder / "experiment.json"
        description = read_json(file)
        try:
            self.name = description["name"]
            self.title = description["title"]
            self.scale = description["scale"]
            self.mark = description.get("mark", MARKS.get(self.scale, self.scale))
            self.picture = description.get("picture") or {}
            self.kind = self.picture.get("kind")
            self.of_starts = description.get("program") == "optimise"  # a run has steps then, and no epochs
            every_group = [Group(group, self._finished_runs(group["runs"])) for group in description["groups"]]
            self.axes = [axis for axis in description.get("axes", [])]
        except (KeyError, TypeError, AttributeError) as error:
            raise RunError(f"{file}: not an experiment's description ({error!r})") from None
        if not self.kind:
            raise RunError(f"{self.name}: this experiment has no picture")
        self.groups = [group for group in every_group if group.runs]
        self.missing = self._without_runs(every_group)
        if not self.groups:
            raise RunError(f"{self.name}: no run is finished yet")

    def of_picture(self, member):
        """What the description says of the picture and the picture cannot do without."""
        if member not in self.picture:
            raise RunError(f"{self.folder / 'experiment.json'}: its picture has no '{member}'")
        return self.picture[member]

    def _finished_runs(self, entries):
        runs = {}
        for entry in entries:
            if entry["status"] != "finished":
                continue
            try:
                run = Run(self.folder.parent / entry["directory"])
                if (run.curve if self.of_starts else run.metrics).empty:
                    raise RunError(f"{run.directory}: nothing is finished")
                runs[entry["seed"]] = run
            except RunError as error:
                print(f"plot: left out: {error}", file=sys.stderr)
        return runs

    def _without_runs(self, every_group):
        """The labels of the groups that have no finished run. Where all groups with one value of an axis have none, this
        value stands for them."""
        finished = {label for group in every_group if group.runs for label in group.labels.items()}
        groups_with = Counter(label for group in every_group for label in group.labels.items())
        texts = {}
        for group in every_group:
            if group.runs:
                continue
            empty = [value for axis, value in group.labels.items()
                     if (axis, value) not in finished and groups_with[axis, value] > 1]
            texts[empty[0] if empty else self.label(group, every_group)] = None
        return list(texts)

    def label(self, group, among=None, without=()):
        """The group's labels in which the groups differ, as one text."""
        among = among or self.groups
        ordered = dict.fromkeys([*self.axes, *group.labels])
        names = [name for name in ordered if name in group.labels and name not in without]
        differing = [name for name in names if len({other.labels.get(name) for other in among}) > 1]
        return ", ".join(group.labels[name] for name in differing or names)

    def legend_label(self, group):
        """… and, where the groups have different numbers of runs, how many it has."""
        return self.label(group) if self.equal_n() else f"{self.label(group)} (n = {group.n})"

    def equal_n(self):
        return len({group.n for group in self.groups}) == 1

    def timed_alike(self):
        """Whether all runs had the same machine, device and number of threads: only then do their times compare."""
        computers = {json.dumps([run.config.get("machine"), run.options.get("device"), run.options.get("threads")])
                     for group in self.groups for run in group.runs.values()}
        return len(computers) == 1

    def note(self, what, error="band: standard error", per="per curve"):
        """The line below a picture: what is drawn, what shows the error, of how many runs."""
        counts = [group.n for group in self.groups]
        usual = max(set(counts), key=counts.count)
        others = ", ".join(f"{self.label(group)}: {group.n}" for group in self.groups if group.n != usual)
        n = f"n = {usual} {per}" + (f" ({others})" if others else "")
        shown = error if any(group.n > 1 for group in self.groups) else ""
        missing = f"no finished run: {', '.join(self.missing)}" if self.missing else ""
        return "; ".join(filter(None, (what, shown, n, missing)))


class Picture:
    """A figure, the tables behind it (name's ending → table) and facts (key → value with n) that a claim can quote."""

    def __init__(self, figure, tables, facts):
        self.figure, self.tables, self.facts = figure, tables, facts


def fact(value, n, **more):
    """A number for the facts; what is not finite is null."""
    clean = {key: plain(item) for key, item in ({"value": value} | more).items()}
    return clean | {"n": int(n)}


def plain(value):
    if isinstance(value, (float, numpy.floating)):
        return float(f"{value:.6g}") if numpy.isfinite(value) else None
    return value.item() if isinstance(value, numpy.generic) else value


def mean_and_error(values):
    """Mean and standard error, sample deviation / √n; the error of a single value is NaN."""
    values = numpy.asarray(values, float)
    return values.mean(), values.std(ddof=1) / numpy.sqrt(len(values)) if len(values) > 1 else numpy.nan


def statistics(columns):
    """Row by row over the columns, one per run: mean, standard error, n."""
    n = columns.notna().sum(axis=1)
    return pandas.DataFrame({"mean": columns.mean(axis=1), "se": columns.std(axis=1, ddof=1) / numpy.sqrt(n), "n": n})


def facts_text(experiment, facts):
    content = {"experiment": experiment.name, "scale": experiment.scale, "facts": facts}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
