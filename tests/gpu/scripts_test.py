#!/usr/bin/env python3
"""The scripts of this folder, as far as they can be tried without a card: python3 scripts_test.py"""
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import bench
import parity
import projection
import spills
import stages
import summary
from shapes import GOALS, SHAPES, card_figures

QT = """********* Start testing of SwigluTest *********
Config: Using QtTest library 6.4.2
PASS   : SwigluTest::initTestCase()
QINFO  : SwigluTest::equalsTheCpuOp(f32) largest error 2e-07
PASS   : SwigluTest::equalsTheCpuOp(f32)
FAIL!  : SwigluTest::equalsTheCpuOp(bf16) 'worst < bound' returned FALSE. (0.2)
   Loc: [swiglu_test.cpp(60)]
SKIP   : SwigluTest::farGates() no such type
PASS   : SwigluTest::cleanupTestCase()
Totals: 3 passed, 1 failed, 1 skipped, 0 blacklisted, 1234ms
"""
PTXAS = """ptxas info    : Compiling entry function '_Z8a_kernelIfEvPT_' for 'sm_75'
ptxas info    : Function properties for _Z8a_kernelIfEvPT_
    16 bytes stack frame, {stores} bytes spill stores, {loads} bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers, 2048 bytes smem, 429 bytes cmem[0]
"""


class Folder(unittest.TestCase):
    def setUp(self):
        self.made = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.made.name)

    def tearDown(self):
        self.made.cleanup()

    def bench(self, limit=30.0):
        return bench.Bench(self.folder / "bundle", self.folder / "out", limit)

    def program(self, name, text):
        path = self.folder / "bundle/bin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)


class Stages(Folder):
    def test_qt_output_is_read_whole_and_broken_off(self):
        whole, broken = stages.qt_results(QT), stages.qt_results(QT[:QT.index("Totals")])
        self.assertEqual((whole["passed"], len(whole["failed"]), whole["ms"], whole["whole"]), (3, 1, 1234, True))
        self.assertEqual(whole["said"], ["equalsTheCpuOp(f32) largest error 2e-07"])
        self.assertEqual((broken["passed"], broken["whole"]), (3, False))

    def test_a_kernel_test_that_fails_hangs_or_skips_is_a_failure(self):
        good = "PASS   : T::initTestCase()\\nTotals: 1 passed, 0 failed, 0 skipped, 0 blacklisted, 1ms\\n"
        self.program("good_gpu_test", f"printf '{good}'")
        self.program("bad_gpu_test", f"printf 'FAIL!  : T::x() y\\n{good}'; exit 1")
        self.program("died_gpu_test", "printf 'PASS   : T::a()\\n'; kill -SEGV $$")
        self.program("skipped_gpu_test", f"printf 'SKIP   : T::initTestCase() no GPU\\n{good}'")
        self.program("hangs_gpu_test", "sleep 60")
        b = self.bench(limit=4)
        stages.stage_kernels(b)
        self.assertEqual(sorted(e.split(":")[0] for e in b.errors), ["bad", "died", "hangs", "skipped"])

    def test_a_command_is_stopped_with_its_children(self):
        self.program("slow", "sleep 77 & wait")
        began = time.monotonic()
        code, text = self.bench().run([self.folder / "bundle/bin/slow"], "slow", 1)
        self.assertIsNone(code)
        self.assertIn("stopped after 1 s", text)
        self.assertLess(time.monotonic() - began, 10)

    def test_runs_with_other_losses_are_not_deterministic(self):
        self.program("step_gpu", """while [ "$1" != --json ]; do shift; done
            echo "{\\"losses\\": [1.0, $(date +%N)]}" >"$2" """)
        b = self.bench()
        self.assertEqual([r["same"] for r in stages.stage_determinism(b)["runs"]], [False] * 4)
        self.assertEqual(len(b.errors), 4)

    def test_losses_that_differ_or_are_no_number_are_found(self):
        b = self.bench()
        parity.compare(b, "same", [1.0, 2.0], [1.0, 2.00001], 1e-4)
        self.assertEqual(b.errors, [])
        parity.compare(b, "far", [1.0, 2.0], [1.0, 2.1], 1e-4)
        parity.compare(b, "nan", [1.0, 2.0], [1.0, float("nan")], 1e-4)
        parity.compare(b, "short", [1.0, 2.0], [1.0], 1e-4)
        self.assertEqual(len(b.errors), 3)

    def test_memory_is_a_line_through_two_lengths(self):
        steps = {f"8b-memory-{k}": {"rows": 1, "length": n, "peak_bytes": 7e9 + n * 2e5} for k, n in (("short", 2048), ("long", 8192))}
        b = self.bench()
        (b.out / "steps.json").write_text(json.dumps({"data": steps}))
        got = stages.stage_memory(b)
        self.assertAlmostEqual(got["token_bytes"], 2e5)
        self.assertAlmostEqual(got["fixed_bytes"], 7e9)


class Summary(Folder):
    def test_goals_are_judged_and_a_missing_figure_is_said(self):
        steps = {"8b": {"shape": "8b", "length": 4096, "rows": 2, "rank": 16, "tokens_per_s": 16000, "step_ms": 512, "tflops": 1, "policy": "mlp"},
                 "135m": {"shape": "135m", "length": 512, "rows": 1, "rank": 16, "tokens_per_s": 51200, "step_ms": 10, "tflops": 1}}
        write = lambda name, data: (self.folder / f"{name}.json").write_text(
            json.dumps({"stage": name, "ok": True, "skipped": None, "errors": [], "seconds": 1, "time": "", "small": False, "data": data}))
        write("steps", steps)
        write("memory", {"fixed_bytes": 7e9, "token_bytes": 250e3})
        write("peers", {"cases": [{"case": "eager 135m", "step_ms": 70, "tokens_per_s": 7314, "shape": "135m", "length": 512, "rows": 1, "rank": 16}]})
        write("device", {"card": {"name": "NVIDIA H200"}, "nvcc": "13", "bundle": []})
        got = {g["key"]: (g["value"], g["verdict"]) for g in summary.summarise(self.folder)["goals"]}
        self.assertEqual(got["tokens_8b"], (16000, "goal"))
        self.assertEqual(got["fixed_8b"], (7.0, "hold"))
        self.assertEqual(got["token_8b"][1], "missed")
        self.assertEqual(got["step_135m"], (7.0, "hold"))
        self.assertEqual(got["nf4_decode"], (None, "not measured"))
        self.assertIn("| eager 135m | 7314 | 70 | - | 7 |", (self.folder / "summary.md").read_text())

    def test_each_goal_has_its_order(self):
        for g in GOALS:
            self.assertEqual(sorted([g.hold, g.goal, g.stretch], reverse=not g.more_is_better), [g.hold, g.goal, g.stretch], g.key)

    def test_cards_are_told_apart(self):
        self.assertEqual(card_figures("NVIDIA H200")[1], 4800e9)
        self.assertEqual(card_figures("NVIDIA H100 PCIe")[0], 756e12)
        self.assertIsNone(card_figures("emulated"))


class Projection(unittest.TestCase):
    def test_sizes_of_known_models(self):
        s = SHAPES["8b"]
        self.assertAlmostEqual((s.linear_weights() + s.table_weights()) * 1e-9, 8.03, 2)
        self.assertEqual(s.adapter_weights(16), 41943040)

    def test_linears_do_four_operations_a_weight_and_token(self):
        rows = {r[0]: r for r in projection.step_of("H200", "8b", 2, 4096, 16).rows}
        flops = rows["products of frozen weights, forward"][2] + rows["products of frozen weights, backward"][2]
        self.assertAlmostEqual(flops / (4 * SHAPES["8b"].linear_weights() * 8192), 1)

    def test_policies_keep_less_and_less(self):
        kept = [projection.token_bytes("8b", 32, p)[0] for p in ("none", "norms+swiglu", "mlp", "full", "offload")]
        self.assertEqual(kept, sorted(kept, reverse=True))

    def test_constants_are_those_of_the_sources(self):
        source = (HERE.parent.parent / "core/models/model.h").read_text()
        for name, value in (("kMlpTile", projection.MLP_TILE), ("kGroupTiles", projection.GROUP_TILES), ("kMostGroups", projection.MOST_GROUPS)):
            self.assertIn(f"{name} = {value}", source)

    def test_a_token_of_a_long_batch_meets_its_goal(self):
        goal = next(g for g in GOALS if g.key == "token_8b")
        self.assertLess(sum(projection.token_bytes("8b", 32, "offload")) * 1e-3, goal.goal)


class Spills(Folder):
    def run_on(self, text, *options):
        return subprocess.run([sys.executable, HERE / "spills.py", *options], input=text, capture_output=True, text=True)

    def test_spills_over_the_budget_end_with_one(self):
        self.assertEqual(self.run_on(PTXAS.format(stores=0, loads=0)).returncode, 0)
        self.assertEqual(self.run_on(PTXAS.format(stores=8, loads=12)).returncode, 1)
        self.assertEqual(self.run_on(PTXAS.format(stores=8, loads=12), "--budget", "20").returncode, 0)
        self.assertEqual(self.run_on(PTXAS.format(stores=8, loads=12), "--allow", "a_kernel.*sm_75=20").returncode, 0)
        self.assertEqual(self.run_on(PTXAS.format(stores=8, loads=12), "--allow", "a_kernel.*sm_90=20").returncode, 1)

    def test_a_log_without_kernels_is_no_success(self):
        self.assertEqual(self.run_on("nothing to do").returncode, 2)

    def test_figures_of_a_kernel(self):
        k = spills.kernels_of(PTXAS.format(stores=8, loads=12).splitlines())[0]
        self.assertEqual((k["registers"], k["shared"], k["stack"], k["stores"], k["loads"]), (255, 2048, 16, 8, 12))
        self.assertEqual(spills.short("void lorikeet::cuda::(anonymous namespace)::x_kernel<(int)64>(float*, long)"), "x_kernel<(int)64>")


class Shell(Folder):
    def run_sh(self, *options):
        return subprocess.run(["bash", HERE / "run.sh", *options], capture_output=True, text=True, cwd=self.folder)

    def test_unknown_words_are_refused(self):
        for options in (["--stage", "nonsense"], ["--limit", "nonsense=3"], ["--nonsense", "x"], ["--bundle", "nowhere"]):
            self.assertEqual(self.run_sh(*options).returncode, 64, options)

    def test_stages_go_on_after_one_fails_and_failures_are_counted(self):
        self.program("step_gpu", "echo broken; exit 1")
        done = self.run_sh("--bundle", self.folder / "bundle", "--out", self.folder / "out", "--stage", "determinism", "--stage", "memory", "--stage", "kernels",
                           "--archive", self.folder / "all.tar.gz")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        wrong = json.loads((self.folder / "out/determinism.json").read_text())
        self.assertIn("broken", wrong["errors"][0])
        self.assertIn("no kernel tests", json.loads((self.folder / "out/kernels.json").read_text())["skipped"])
        self.assertTrue((self.folder / "out/summary.md").exists() and (self.folder / "all.tar.gz").exists())

    def test_bundle_prints_what_it_would_do(self):
        done = subprocess.run(["bash", HERE / "bundle.sh", "75-real", "--dry-run"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("-DCMAKE_CUDA_ARCHITECTURES=75-real", done.stdout)
        self.assertIn("--target step_gpu ops_gpu lorikeet", done.stdout)


if __name__ == "__main__":
    unittest.main()
