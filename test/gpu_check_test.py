#!/usr/bin/env python3
"""scripts/gpu_check without a GPU: its options, what it reads from other programs, and how reports are merged."""

import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True
SCRIPT = Path(__file__).resolve().parent.parent / "scripts/gpu_check"
loader = importlib.machinery.SourceFileLoader("gpu_check", str(SCRIPT))
gpu_check = importlib.util.module_from_spec(importlib.util.spec_from_loader("gpu_check", loader))
loader.exec_module(gpu_check)
from gpu_check_stages.parity import read_cases  # whose folder gpu_check has made known
from gpu_check_stages.sanitize import sanitizer_verdict
from gpu_check_stages.train import stop_after_epoch


def run(*arguments, **environment):
    return subprocess.run([sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True,
                          env=os.environ | environment)


def report(commit="abc", **stages):
    return {"commit": commit, "gpu": "a GPU", "rehearsal": False, "cudnn": "9.1.0",
            "stages": {name: {"status": status, "rows": [gpu_check.row(name, "tf32", "1 ms", status)]}
                       for name, status in stages.items()}}


class Options(unittest.TestCase):
    def test_bad_usage_ends_with_one_line(self):
        for wrong in (["shine"], ["--precisions", "fp8"], ["--deps", "/nowhere"], ["--limit", "0"], ["--unknown"],
                      ["--cuda-libs", "/nowhere"], ["--jobs", "x"]):
            result = run(*wrong)
            self.assertEqual(result.returncode, 2, wrong)
            self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
            self.assertEqual(result.stdout, "")

    def test_stages_run_in_their_order(self):
        self.assertEqual(gpu_check.parse_arguments(["train", "--limit", "9", "build"]).stages, ["build", "train"])
        self.assertEqual(gpu_check.parse_arguments([]).stages, list(gpu_check.STAGES))

    def test_a_file_that_is_no_report_is_left_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "other.json"
            file.write_text("[1]")
            result = run("sanitize", "--rehearse", "--json", file)
            self.assertEqual(result.returncode, 2)
            self.assertEqual(file.read_text(), "[1]")

    def test_without_a_gpu_it_is_skipped(self):
        if gpu_check.find_gpu():
            self.skipTest("there is a GPU")
        result = run("parity")
        self.assertEqual(result.returncode, 77)
        self.assertIn("no GPU", result.stdout)


class Reports(unittest.TestCase):
    def test_stages_of_several_calls_are_merged(self):
        merged = gpu_check.merge(report(train="passed", parity="failed"), report(parity="passed"))
        self.assertEqual(list(merged["stages"]), ["parity", "train"])
        self.assertEqual(merged["stages"]["parity"]["status"], "passed")

    def test_another_commit_is_not_mixed_in(self):
        self.assertEqual(list(gpu_check.merge(report("abc", train="passed"), report("abd", build="passed"))["stages"]),
                         ["build"])

    def test_unknown_versions_do_not_hide_known_ones(self):
        new = report(build="passed") | {"cudnn": "none"}
        self.assertEqual(gpu_check.merge(report(train="passed"), new)["cudnn"], "9.1.0")

    def test_the_table_has_a_row_and_a_precision_for_every_figure(self):
        lines = gpu_check.markdown(report(train="passed", bench="not run")).splitlines()
        rows = [line for line in lines if line.startswith("| ") and "tf32" in line]
        self.assertEqual(len(rows), 2)
        self.assertIn("| not run |", rows[1] + rows[0])

    def test_a_stage_that_cannot_run_fails_and_is_written(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "r.json"
            first = run("parity", "--rehearse", "--programs", folder, "--json", file)
            self.assertEqual(first.returncode, 1, first.stderr)
            second = run("sanitize", "--rehearse", "--programs", folder, "--json", file)
            self.assertEqual(second.returncode, 1, "there is nothing to sanitize")
            self.assertEqual(set(json.loads(file.read_text())["stages"]), {"parity", "sanitize"})
            self.assertIn("A rehearsal", second.stdout)


class Stopping(unittest.TestCase):
    def test_a_run_is_stopped_after_its_first_epoch(self):
        train = """import pathlib, sys, time
folder = pathlib.Path(sys.argv[-1])
folder.mkdir()
(folder / "checkpoint.safetensors").touch()
time.sleep(0.5)
(folder / "summary.json").touch()
time.sleep(60)"""
        check = mock.Mock(environment=lambda: None, left=lambda: 60)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "run"
            self.assertIsNone(stop_after_epoch(check, [sys.executable, "-c", train], folder))
            self.assertTrue((folder / "summary.json").is_file())


class Reading(unittest.TestCase):
    def test_cases_of_a_program_that_crashed(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "r.xml"
            file.write_text('<?xml version="1.0"?><Catch><Group><TestCase name="a"><OverallResult success="true">'
                            '<StdOut>skipped, no CUDA device</StdOut></OverallResult></TestCase><TestCase name="b">')
            cases = read_cases(file)
        self.assertEqual([(name, good) for name, good, _ in cases], [("a", True), ("b", False)])
        self.assertIn("skipped", cases[0][2])

    def test_sanitizers(self):
        verdict = lambda code, text: sanitizer_verdict(code, text)[0]
        self.assertEqual(verdict(0, "All tests passed (3 assertions)\n========= ERROR SUMMARY: 0 errors"), "passed")
        self.assertEqual(verdict(0, "========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)"), "passed")
        self.assertEqual(verdict(99, "========= ERROR SUMMARY: 2 errors"), "failed")
        self.assertEqual(verdict(1, "========= ERROR SUMMARY: 0 errors"), "failed")
        self.assertEqual(verdict(255, "========= Error: Device not supported. Please refer to the documentation"), "not run")
        self.assertEqual(verdict(1, "Device not supported\n========= ERROR SUMMARY: 1 error"), "not run")
        self.assertEqual(verdict(0, "no summary at all"), "not run")
        self.assertEqual(verdict(None, "========= COMPUTE-SANITIZER"), "not run")


if __name__ == "__main__":
    unittest.main()
