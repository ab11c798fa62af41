"""The project as a whole: what it depends on, imports, installs and says of the machines it was written on."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cerebatch.cli.extras import EXTRAS

ROOT = Path(__file__).parents[1]

CONDA_NAMES = {"pytorch": "torch", "ray-default": "ray"}
USERS_EXTRAS = ("cluster", "pdf", "train")
BUILD_TOOLS = {"cmake", "cxx-compiler", "ninja", "pip"}
HEAVY = (
    "ants",
    "dask",
    "distributed",
    "matplotlib",
    "nibabel",
    "nilearn",
    "pandas",
    "ray",
    "scipy",
    "torch",
)

MACHINE_PATH = re.compile(r"(?<![\w.~})\]*-])/(?:work|root|home/\w+|Users/\w+)/")
REGISTRY = re.compile(
    r"(?:pypi|pythonhosted|npmjs|anaconda|debian|download\.pytorch)\.(?:org|com)|index[-_]url", re.IGNORECASE
)


def bounds(requirements: list[str]) -> dict[str, str]:
    """Name -> bound of each requirement; no name twice."""
    parsed = [Requirement(requirement) for requirement in requirements]
    found = {canonicalize_name(each.name): str(each.specifier) for each in parsed}
    assert len(found) == len(parsed)
    return found


def everything(project: dict[str, Any]) -> list[str]:
    """Requirements of the package and of its extras for users."""
    extras = project["optional-dependencies"]
    return [*project["dependencies"], *(one for extra in USERS_EXTRAS for one in extras[extra])]


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def environment() -> dict[str, Any]:
    """environment.yml."""
    content = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert isinstance(content, dict)
    return content


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder away from the tree, with the wheel of the tree and nothing else."""
    target, build = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("build")
    # The tools that built the installation under test build this one too, where they are still there.
    isolation = ["--no-build-isolation"] if find_spec("scikit_build_core") and find_spec("pybind11") else []
    command = [
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        *isolation,
        "-C",
        f"build-dir={build}",
        "--target",
        target,
        ".",
    ]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """Files that git tracks."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("git is not installed")
    if done.returncode != 0 or not done.stdout:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def printed(script: str, cwd: Path, *options: str, **environment: str) -> str:
    """What a fresh interpreter prints in a folder, with options of its own."""
    done = subprocess.run(
        [sys.executable, "-P", *options, "-c", script],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class TestDependencies:
    def test_conda_and_pip_bring_the_same_packages_with_the_same_bounds(
        self, pyproject: dict[str, Any], environment: dict[str, Any]
    ) -> None:
        from_conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
        (from_pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
        named = bounds(from_conda + from_pip)
        found = {CONDA_NAMES.get(name, name): bound for name, bound in named.items() if name not in BUILD_TOOLS}
        project = pyproject["project"]
        assert found == {
            "python": project["requires-python"],
            **bounds(everything(project)),
            **bounds(pyproject["build-system"]["requires"]),
        }

    def test_all_is_every_extra_and_developers_have_it(self, pyproject: dict[str, Any]) -> None:
        extras = pyproject["project"]["optional-dependencies"]
        assert set(extras) == {*USERS_EXTRAS, "all", "dev"}
        assert extras["all"] == [f"cerebatch[{','.join(USERS_EXTRAS)}]"]
        assert "cerebatch[all]" in extras["dev"]

    def test_extras_bring_what_the_messages_about_them_say(self, pyproject: dict[str, Any]) -> None:
        declared = {
            extra: {name.replace("-", "_") for name in bounds(pyproject["project"]["optional-dependencies"][extra])}
            for extra in USERS_EXTRAS
        }
        assert declared == {extra: set(modules) for extra, modules in EXTRAS.items()}

    def test_the_compilers_that_build_the_kernels_are_in_the_environment(self, environment: dict[str, Any]) -> None:
        assert {entry for entry in environment["dependencies"] if isinstance(entry, str)} >= BUILD_TOOLS

    def test_the_environment_takes_its_packages_from_conda_forge_alone(self, environment: dict[str, Any]) -> None:
        assert (environment["name"], environment["channels"]) == ("cerebatch", ["conda-forge"])

    @pytest.mark.parametrize("package", ["cerebatch", "lifespan"])
    def test_every_package_that_is_imported_is_declared(self, pyproject: dict[str, Any], package: str) -> None:
        declared = set(bounds(everything(pyproject["project"])))
        distributions = packages_distributions()
        undeclared = {}
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    modules = [node.module]
                for module in (name.partition(".")[0] for name in modules):
                    if module in {*sys.stdlib_module_names, "cerebatch", "lifespan"}:
                        continue
                    names = {canonicalize_name(name) for name in distributions.get(module, [module])}
                    if not names & declared:
                        undeclared[str(path.relative_to(ROOT))] = module
        assert undeclared == {}


class TestImporting:
    @pytest.mark.parametrize("module", ["cerebatch", "cerebatch.cli.main", "lifespan"])
    def test_it_loads_nothing_heavy(self, module: str, tmp_path: Path) -> None:
        script = f"import sys, {module}; print(*sorted(set({HEAVY}) & set(sys.modules)))"
        assert printed(script, tmp_path) == ""

    def test_it_takes_less_than_three_tenths_of_a_second(self, tmp_path: Path) -> None:
        # Of the processor: the clock counts what else the machine does.
        script = "import time; began = time.process_time(); import cerebatch; print(time.process_time() - began)"
        assert float(printed(script, tmp_path)) < 0.3

    def test_its_names_are_those_of_the_stub(self, tmp_path: Path) -> None:
        stub = ast.parse((ROOT / "cerebatch/__init__.pyi").read_text())
        named = {alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
        script = "import cerebatch; print(*sorted(n for n in cerebatch.__all__ if getattr(cerebatch, n) is not None))"
        assert set(printed(script, tmp_path).split()) == {*named, "__version__"}

    def test_the_help_loads_nothing_heavy(self, tmp_path: Path) -> None:
        script = (
            "import contextlib, io, sys\n"
            "from cerebatch.cli.main import main\n"
            "sys.argv = ['cerebatch', 'run', '--help']\n"
            "with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):\n"
            "    main()\n"
            "assert '--labelled-case' in out.getvalue()\n"
            f"print(*sorted(set({HEAVY}) & set(sys.modules)))\n"
        )
        assert printed(script, tmp_path, COLUMNS="200", NO_COLOR="1", TERM="dumb") == ""


class TestAnInstallationAwayFromTheTree:
    @pytest.mark.parametrize(
        "name",
        [
            "cerebatch/__init__.py",
            "cerebatch/labels.tsv",
            "cerebatch/py.typed",
            "cerebatch/quality/flags.tsv",
            "cerebatch/report/citations.tsv",
            "cerebatch/report/templates/case.html",
            "cerebatch/report/templates/cohort.js",
            "cerebatch/batch/profiles/local.yaml",
            "cerebatch/networks/weights/1mm/dpn-lobules.json",
            "cerebatch/networks/weights/1mm/unet-sides.safetensors",
            "cerebatch/batch/profiles/serial.yaml",
            "lifespan/__init__.py",
            "lifespan/py.typed",
        ],
    )
    def test_it_holds(self, installed: Path, name: str) -> None:
        assert (installed / name).is_file()

    def test_it_holds_the_compiled_kernels(self, installed: Path) -> None:
        assert len(list((installed / "cerebatch").glob("_kernels.*.so"))) == 1

    def test_it_holds_two_import_packages_and_no_tests(self, installed: Path) -> None:
        packages = {path.name for path in installed.iterdir() if path.is_dir() and not path.name.endswith(".dist-info")}
        assert packages - {"bin"} == {"cerebatch", "lifespan"}

    def test_it_works_from_another_folder(self, installed: Path, tmp_path: Path) -> None:
        script = (
            "import json\n"
            "import cerebatch, lifespan\n"
            "from cerebatch import _kernels\n"
            "from cerebatch.batch.cluster.profile import load_profile\n"
            "from cerebatch.labels import LABELS\n"
            "files = [cerebatch.__file__, lifespan.__file__, _kernels.__file__]\n"
            "print(json.dumps([files, load_profile('local').kind, load_profile('serial').kind, len(LABELS)]))\n"
        )
        # Without `site`, or the hooks of an editable installation would lead back to the tree.
        packages = [path for path in sys.path if path.endswith("-packages")]
        paths = os.pathsep.join([str(installed), *packages])
        files, *found = json.loads(printed(script, tmp_path, "-S", PYTHONPATH=paths))
        assert found == ["local", "serial", 26]
        assert all(Path(file).is_relative_to(installed) for file in files)


class TestTrackedFiles:
    @pytest.mark.parametrize("forbidden", [MACHINE_PATH, REGISTRY], ids=["path of a machine", "address of a registry"])
    def test_none_contains(self, tracked: list[Path], forbidden: re.Pattern[str]) -> None:
        found = [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
            for path in tracked
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1)
            if forbidden.search(line)
        ]
        assert found == []

    @pytest.mark.parametrize("folder", ["work", "root", "home/me", "Users/me"])
    def test_a_path_of_a_machine_is_recognised(self, folder: str) -> None:
        assert MACHINE_PATH.search(f'open("/{folder}/x")')

    @pytest.mark.parametrize(
        "text", ["OUT_DIR/work/sub-01", "{out}/work/x", "~/work/x", "records/ and work/", "/data/x"]
    )
    def test_a_path_in_a_dataset_is_not(self, text: str) -> None:
        assert not MACHINE_PATH.search(text)

    @pytest.mark.parametrize("host", ["pypi", "files.pythonhosted", "conda.anaconda"])
    def test_an_address_of_a_registry_is_recognised(self, host: str) -> None:
        assert REGISTRY.search(f"https://{host}.org/simple")
