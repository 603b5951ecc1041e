"""Another package adds a method, a metric, a format, a tracker, a page and a task: installed and used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = Path(__file__).with_name("sample_package")

LISTED = """
from attribution.formats import list_formats
from attribution.methods import list_methods
from attribution.metrics import list_metrics
from attribution.models.tasks import list_tasks
from attribution.trackers import list_trackers
from components.pages import list_pages
assert "word_length" in list_methods()
assert "largest_share" in list_metrics()
assert "txt" in list_formats() and "txt" in list_formats("comparison")
assert "txt" not in list_formats("evaluation")
assert "lines" in list_trackers()
assert "verdict" in list_tasks()
assert "hello" in [page.path for page in list_pages()]
"""

LIBRARY = """
from pathlib import Path
from attribution import attribute, compare, evaluate, load
function = load(lambda texts: [[0.4, 0.6]] * len(texts), labels=("no", "yes"))
result = attribute("a good film", function, "word_length", "yes")
assert [round(score) for score in result.scores[0]] == [1, 4, 4], result.scores
result.save("result.txt", separator=True)
assert Path("result.txt").read_text() == "a=1 good=4 film=4"
compare("a good film", function, ["word_length", "random"]).save("comparison.txt")
assert "Word length" in Path("comparison.txt").read_text()
found = evaluate(["a good film"], function, "word_length", "largest_share", target="yes")
assert abs(found.figure("word_length", "largest_share").mean - 4 / 9) < 1e-9
"""

TRACKER = """
import json
from pathlib import Path
from attribution import trackers
with trackers.track("lines", "run", folder="spool", path=str(Path("run.jsonl").resolve())) as session:
    session.parameters({"seed": 3})
    session.figures({"value": 0.5})
assert not session.status.problem, session.status
kinds = [json.loads(line)[0] for line in Path("run.jsonl").read_text().splitlines()]
assert kinds == ["parameters", "figures", "finish"], kinds
"""

TASK = """
import transformers
from attribution import attribute, load
from tests.tiny import bert
model, tokenizer = bert()
class BertForVerdict(transformers.BertForSequenceClassification):
    pass
verdict = BertForVerdict(model.config).eval()
verdict.load_state_dict(model.state_dict())
ours = attribute("the film was good", load(verdict, tokenizer), "saliency")
usual = attribute("the film was good", load(model, tokenizer), "saliency")
assert ours.model.task == "verdict", ours.model
assert (ours.scores == usual.scores).all()
"""

PAGE = """
import os
import httpx
from components.application import build, serve
demo, engine = build()
_, url, _ = serve(demo, engine, block=False, host="127.0.0.1", quiet=True)
page = httpx.get(f"{url}hello", timeout=60)
assert page.status_code == 200, page
assert "Hello from a plug-in" in httpx.get(f"{url}config", timeout=60).text
assert "word_length" in httpx.get(f"{url}api/methods", timeout=60).text
demo.close()
os._exit(0)  # the model that is loaded meanwhile is not waited for
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample package, installed by pip into a folder of its own, without a look at the network."""
    target = tmp_path_factory.mktemp("installed")
    source = tmp_path_factory.mktemp("source") / SAMPLE.name
    shutil.copytree(SAMPLE, source)  # a build leaves files beside the sources
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*pip, "--target", str(target), str(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return target


def run(code: str, installed: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a new process that finds the installed package."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)])}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


EACH = """
import json, sys, traceback
outcomes = {}
for name, code in json.loads(sys.argv[1]).items():
    try:
        exec(code, {"__name__": "__main__"})
        outcomes[name] = ""
    except BaseException:
        outcomes[name] = traceback.format_exc()
print(json.dumps(outcomes))
"""
PARTS = {"listed": LISTED, "method, format and metric": LIBRARY, "tracker": TRACKER, "task": TASK}


@pytest.fixture(scope="module")
def parts(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], str]:
    """The traceback of each part, empty where it works, and standard error, from a single process."""
    program = f"import sys; sys.argv = ['', {json.dumps(PARTS)!r}]\n{EACH}"
    done = run(program, installed, tmp_path_factory.mktemp("parts"))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.mark.parametrize("part", PARTS)
def test_they_work(part: str, parts: tuple[dict[str, str], str]) -> None:
    assert not parts[0][part], parts[0][part]


def test_a_broken_plugin_is_skipped_with_a_warning(parts: tuple[dict[str, str], str]) -> None:
    assert "Skipped plug-in 'broken' of sample-package (attribution.formats)" in parts[1]
    assert "Skipped plug-in 'broken' of sample-package (attribution.pages)" in parts[1]


def test_a_page_is_served(installed: Path, tmp_path: Path) -> None:
    done = run(PAGE, installed, tmp_path)
    assert done.returncode == 0, done.stderr
