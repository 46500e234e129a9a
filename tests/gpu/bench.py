"""What the stages share: where programs are, running them with a limit, and a stage's result as JSON."""
import glob
import json
import os
import pathlib
import signal
import subprocess
import sys
import time


class Skip(Exception):
    """A stage cannot run here; no failure."""


class Bench:
    def __init__(self, bundle, out, limit, small=False, model="", programs=()):
        self.bundle, self.out = pathlib.Path(bundle), pathlib.Path(out)
        self.ends, self.small, self.model = time.monotonic() + limit, small, model
        self.folders = [pathlib.Path(p) for p in programs] + [self.bundle / "bin"]
        self.errors = []
        (self.out / "logs").mkdir(parents=True, exist_ok=True)

    def remaining(self):
        return self.ends - time.monotonic()

    def program(self, name):
        for folder in self.folders:
            if os.access(folder / name, os.X_OK):
                return folder / name
        raise Skip(f"{name} is not in {', '.join(map(str, self.folders))}")

    def tests(self):
        """The kernel tests by stem."""
        found = sorted(p for folder in self.folders for p in folder.glob("*_gpu_test"))
        if not found:
            raise Skip("no kernel tests in the bundle (they need Qt and are built with it)")
        return {p.name.removesuffix("_gpu_test"): p for p in found}

    def environment(self):
        """Libraries of the bundle for our own programs only; Python keeps the machine's."""
        folders = [self.bundle / "lib", *cublas_folders()]
        if not glob.glob("/usr/lib/*/libstdc++.so.6") and not glob.glob("/usr/lib*/libstdc++.so.6"):
            folders.append(self.bundle / "lib/fallback")
        path = ":".join([*map(str, folders), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])])
        return {**os.environ, "LD_LIBRARY_PATH": path, "LORIKEET_TEST_DATA_FOLDER": str(self.bundle / "tests/data"), "LC_ALL": "C.UTF-8"}

    def run(self, command, log, seconds=None, ours=True):
        """(exit code, or None after the limit; stdout and stderr together). All of it is in logs/<log>.txt too."""
        limit = min(seconds or self.remaining(), self.remaining())
        path = self.out / "logs" / f"{log}.txt"
        if limit < 1:
            return None, "no time was left for it"
        with open(path, "w+", errors="replace") as f:
            f.write("$ " + " ".join(map(str, command)) + "\n")
            f.flush()
            process = subprocess.Popen([str(c) for c in command], stdout=f, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                       env=self.environment() if ours else None, start_new_session=True)
            try:
                code = process.wait(limit)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                code = None
        text = path.read_text(errors="replace").split("\n", 1)[1]
        return code, text if code is not None else text + f"\nstopped after {limit:.0f} s"

    def json_of(self, command, log, seconds=None):
        """Runs one of our programs that takes --json FILE: what it wrote, or None with the reason among the errors."""
        path = self.out / "logs" / f"{log}.json"
        path.unlink(missing_ok=True)
        code, text = self.run([*command, "--json", path], log, seconds)
        if code == 0 and path.exists():
            return json.loads(path.read_text())
        self.errors.append(f"{log}: ended with {code}: {last_line(text)}")
        return None

    def read(self, stage):
        path = self.out / f"{stage}.json"
        return json.loads(path.read_text()) if path.exists() else None


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[-300:] if lines else "(it said nothing)"


def cublas_folders():
    """Where cuBLASLt lies when the loader does not know it: the toolkit's folder, or the one PyTorch brings."""
    places = ["/usr/local/cuda/lib64", "/usr/local/cuda/targets/x86_64-linux/lib"]
    for python in {os.path.dirname(os.path.realpath(sys.executable)), os.path.dirname(sys.executable)}:
        places += sorted(glob.glob(f"{python}/../lib/python3*/site-packages/nvidia/*/lib"))
    places += sorted(p for path in sys.path for p in glob.glob(f"{path}/nvidia/*/lib"))
    return list(dict.fromkeys(os.path.realpath(p) for p in places if glob.glob(f"{p}/libcublasLt.so*")))[:1]


def finish(bench, stage, data, began, skipped=None):
    """Writes <stage>.json; 0 well, 1 failed, 2 skipped."""
    result = {"stage": stage, "ok": not bench.errors and skipped is None, "skipped": skipped, "errors": bench.errors,
              "seconds": round(time.monotonic() - began, 1), "time": time.strftime("%Y-%m-%dT%H:%M:%S"), "small": bench.small, "data": data}
    (bench.out / f"{stage}.json").write_text(json.dumps(result, indent=1) + "\n")
    said = f"skipped: {skipped}" if skipped else "; ".join(bench.errors[:5]) if bench.errors else "well"
    print(f"{stage}: {said} ({result['seconds']} s)", flush=True)
    return 2 if skipped else 1 if bench.errors else 0
