"""What the interoperability tests share: the program under test, and where its inputs lie."""

import importlib.util
import json
import os
import pathlib
import subprocess
import tempfile

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# The models are small: with more threads a framework waits for them, and a waiting thread keeps its processor busy.
for _variable in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"]:
    os.environ.setdefault(_variable, "1")
# Sweeps of other versions of the program must not count.
_caches = tempfile.TemporaryDirectory()
os.environ["XDG_CACHE_HOME"] = _caches.name

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "Fixtures"
SHARED = pathlib.Path(os.environ.get("KCOMPRESS_DATA", ROOT.parent / "shared" / "data"))
# In ResNet-20 the later blocks of a stage have layers of the same shapes as the first one. Tests of one structure or type leave them
# dense: most of the time of a test is the search for candidates.
LATER_BLOCKS = ["--keep", "layer?.1.*", "--keep", "layer?.2.*"]
# Where a test is about files or samples rather than structures, those that are searched soonest do.
QUICK = ["--structures", "svd,tucker"]
PROGRAM = os.environ.get("KCOMPRESS", str(ROOT / ".build/release/kcompress"))


def shared(name):
    """A real checkpoint; the test is skipped where it is not there."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not beside the project")
    return path


def inference_session(path):
    """onnxruntime on one thread: the others would keep their processors busy while they wait."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def kcompress(*arguments, status=0):
    """Runs a command with --json and returns its document."""
    done = subprocess.run(
        [PROGRAM, *map(str, arguments), "--json"], capture_output=True, text=True)
    assert done.returncode == status, f"{arguments}: status {done.returncode}\n{done.stderr}\n{done.stdout}"
    return json.loads(done.stdout)


def whole_size(checkpoint, structure, *options):
    """The size of the file that a plan writes where everything may stay dense; the next plan for this structure finds its sweep."""
    plan = kcompress("plan", checkpoint, "--budget", "10MB", "--structures", structure, *options)
    assert {layer["structure"] for layer in plan["layers"]} == {"dense"}
    return plan["predicted"]["bytes"]


def compress(checkpoint, folder, budget, *options):
    """Plans and applies; returns the compressed file's path and the plan."""
    plan_path = folder / "model.plan.json"
    plan = kcompress("plan", checkpoint, "--budget", budget, "-o", plan_path, *options)
    output = folder / f"compressed{checkpoint.suffix}"
    result = kcompress(
        "apply", plan_path, "-o", output, "--report", folder / "model.report.html", "--overwrite")
    assert result["bytes"] == output.stat().st_size == plan["predicted"]["bytes"]
    assert output.stat().st_size <= budget
    return output, plan


@pytest.fixture(scope="session")
def loader(tmp_path_factory):
    """The printed loader of PyTorch, as a module."""
    path = tmp_path_factory.mktemp("loader") / "kcompress_torch.py"
    path.write_bytes(subprocess.run([PROGRAM, "loader", "pytorch"], stdout=subprocess.PIPE, check=True).stdout)
    spec = importlib.util.spec_from_file_location("kcompress_torch", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def load_compressed(loader):
    return loader.load_compressed
