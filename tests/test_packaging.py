"""The wheels: their contents, the light client without the extra [app], and the app outside a checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from attribution.extras import APP
from attribution.settings import VERSION

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LIGHT, MODELS = "attribution_visualization_tool", "attribution_visualization_tool_models"
SOURCES = ("attribution", "components", "bundled", "setup.py", "pyproject.toml", "README.md", "LICENSE")
INSTALL = "pip install attribution-visualization-tool[app], or ask a server with Client(...)"


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both wheels, built by the documented command, by the name of the distribution."""
    folder = tmp_path_factory.mktemp("build")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            skipped = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
            shutil.copytree(ROOT / name, folder / name, ignore=skipped)
        else:
            shutil.copy(ROOT / name, folder / name)
    pip("wheel", "--no-build-isolation", "--wheel-dir", "dist", ".", "./bundled", cwd=folder)
    return {path.name.partition("-")[0]: path for path in (folder / "dist").glob("*.whl")}


@pytest.fixture(scope="session")
def light(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with only the light client, where the packages of the extra cannot be imported."""
    folder = tmp_path_factory.mktemp("light")
    pip("install", "--no-index", "--target", str(folder), str(wheels[LIGHT]), cwd=folder)
    blocked = "\n".join(f"sys.modules[{name!r}] = None" for name in sorted(APP))
    (folder / "sitecustomize.py").write_text(f"import sys\n{blocked}\n")
    return folder


@pytest.fixture(scope="session")
def complete(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both wheels, for use with the packages of the extra."""
    folder = tmp_path_factory.mktemp("complete")
    pip("install", "--no-index", "--target", str(folder), *map(str, wheels.values()), cwd=folder)
    return folder


def pip(command: str, *arguments: str, cwd: Path) -> None:
    line = [
        sys.executable,
        "-m",
        "pip",
        command,
        "--quiet",
        "--no-deps",
        "--disable-pip-version-check",
        *arguments,
    ]
    done = subprocess.run(line, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def environment(folder: Path, **variables: str) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(folder),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        **variables,
    }


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(light: Path, tmp_path: Path) -> Run:
    """Run Python in the light client, in an empty folder outside the checkout."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, *arguments]
        return subprocess.run(
            line, cwd=tmp_path, env=environment(light), capture_output=True, text=True, check=False
        )

    return call


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


class TestWheels:
    def test_the_light_wheel_has_no_weights(self, wheels: dict[str, Path]) -> None:
        assert set(wheels) == {LIGHT, MODELS}
        assert not [name for name in names(wheels[LIGHT]) if name.endswith(".safetensors")]
        assert wheels[LIGHT].stat().st_size < 2_000_000

    def test_no_package_can_collide(self, wheels: dict[str, Path]) -> None:
        for name, wheel in wheels.items():
            roots = {entry.partition("/")[0] for entry in names(wheel)}
            packages = {root for root in roots if not root.endswith(".dist-info")}
            assert packages == ({"attribution", LIGHT} if name == LIGHT else {MODELS})

    @pytest.mark.parametrize(
        ("package", "folder"), [("attribution", "attribution"), (LIGHT, "components"), (MODELS, "bundled")]
    )
    def test_they_contain_every_file_of_the_checkout(
        self, wheels: dict[str, Path], package: str, folder: str
    ) -> None:
        listed = subprocess.run(
            ["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split()
        outside = {"bundled/pyproject.toml", "bundled/README.md"}
        expected = {path.replace(folder, package, 1) for path in listed if path not in outside}
        built = set(names(wheels[MODELS if package == MODELS else LIGHT]))
        vendored = {path for path in expected if "/vendor/" in path}
        assert expected - vendored - built == set()
        assert f"{'attribution'}/py.typed" in names(wheels[LIGHT])

    def test_the_extra_names_the_weights_and_every_package(self) -> None:
        extras = PROJECT["optional-dependencies"]
        own, *others = extras["app"]
        assert own == f"{PROJECT['name']}[local]"
        requirements = [*extras["local"], *others]
        assert not {"gradio", "lime", "matplotlib"} & {
            re.split(r"[<>=]", line)[0] for line in extras["local"]
        }
        bundled = tomllib.loads((ROOT / "bundled" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert f"{bundled['name']}=={bundled['version']}" in requirements
        packages = {re.split(r"[<>=]", line)[0] for line in requirements} - {
            bundled["name"],
            "huggingface_hub",
        }
        assert packages | {"tokenizers"} == APP


CALLS = (
    "attribution.attribute('x')",
    "list(attribution.attribute_many(['x']))",
    "attribution.compare('x')",
    "attribution.evaluate(['x'])",
    "attribution.assess([])",
    "attribution.estimate('x')",
    "attribution.attentions('x')",
    "attribution.load('x')",
    "attribution.remote",
    "attribution.run_batch(['x'], 'run')",
    "attribution.list_methods()",
    "attribution.list_metrics()",
    "__import__('attribution.engine')",
    "__import__('attribution.pages').pages.load_interface('application')",
)


@pytest.fixture(scope="module")
def errors(light: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The errors of all ``CALLS`` in the light client, from a single process."""
    program = (
        f"import attribution, json\nerrors = {{}}\nfor call in {CALLS!r}:\n"
        "    try: errors[call] = f'no error: {eval(call)}'\n"
        "    except Exception as error: errors[call] = f'{type(error).__name__}: {error}'\n"
        "print(json.dumps(errors))"
    )
    folder = tmp_path_factory.mktemp("calls")
    line = [sys.executable, "-c", program]
    done = subprocess.run(
        line, cwd=folder, env=environment(light), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    parsed: dict[str, str] = json.loads(done.stdout)
    return parsed


class TestLightClient:
    @pytest.mark.parametrize("call", CALLS)
    def test_what_needs_a_model_says_how_to_get_it(self, call: str, errors: dict[str, str]) -> None:
        assert errors[call].startswith("NotInstalled: ") and INSTALL in errors[call]

    @pytest.mark.parametrize(
        "arguments",
        [
            ["A fine film."],
            ["A fine film.", "--estimate"],
            ["--list-methods"],
            ["serve", "--port", "1"],
            ["evaluate", "texts.txt"],
            ["evaluate", "--list-metrics"],
            ["batch", "texts.csv", "--out", "run"],
        ],
        ids=" ".join,
    )
    def test_the_command_line_says_it_in_a_single_line(
        self, run: Run, tmp_path: Path, arguments: list[str]
    ) -> None:
        (tmp_path / "texts.txt").write_text("A fine film.\n")
        (tmp_path / "texts.csv").write_text("text\nA fine film.\n")
        done = run("-m", "attribution", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("error: This needs ") and INSTALL in done.stderr
        assert len(done.stderr.splitlines()) == 1

    @pytest.mark.parametrize(
        "arguments", [["--help"], ["serve", "--help"], ["--list-models"], ["track", "--list"]], ids=" ".join
    )
    def test_commands_without_a_model_work(self, run: Run, arguments: list[str]) -> None:
        done = run("-m", "attribution", *arguments)
        assert (done.returncode, done.stderr) == (0, "") and done.stdout

    def test_a_server_computes(self, run: Run, url: str) -> None:
        done = run(
            "-c",
            "from attribution import Client\n"
            f"client = Client({url!r})\n"
            "result = client.attribute('A wonderful film.', method='saliency')\n"
            "result.save('picture.svg')\n"
            "with client.run_batch(['A fine film.', 'A dull one.'], 'run', method=['saliency']) as run:\n"
            "    results = list(run.results())\n"
            "print(result.method, [each.predicted for each in results])\n",
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "saliency ['positive', 'negative']\n"


def test_the_app_starts_outside_a_checkout_and_its_log_has_the_address(
    complete: Path, tmp_path: Path
) -> None:
    """With the bundled models, offline, next to a foreign folder named ``components``."""
    (tmp_path / "components").mkdir()
    (tmp_path / "components" / "__init__.py").write_text("raise ImportError('not the interface')")
    log = tmp_path / "log"
    variables = environment(complete, HF_HOME=str(tmp_path / "home"))
    variables.pop("PYTHONUNBUFFERED", None)
    line = [sys.executable, "-m", "attribution", "serve"]
    with log.open("wb") as out:
        server = subprocess.Popen(line, cwd=tmp_path, env=variables, stdout=out, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + 120
        while not (address := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
            assert server.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        answer = httpx.post(
            f"{address[0]}/api/attribute", json={"text": "A wonderful film."}, timeout=120
        ).json()
        assert answer["prediction"]["label"] == "positive"
        assert answer["version"] == VERSION
        assert "Loading weights" not in log.read_text()
    finally:
        server.terminate()
        server.wait(20)


def test_the_console_script_is_the_command_line(wheels: dict[str, Path]) -> None:
    with zipfile.ZipFile(wheels[LIGHT]) as archive:
        entry = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "attribution = attribution.__main__:run" in archive.read(entry).decode()
