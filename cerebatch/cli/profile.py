"""`cerebatch profile`: what profiles there are, what one says, and whether it will do."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cerebatch.batch.cluster.profile import Cluster, Profile

profile_app = typer.Typer(no_args_is_help=True, help="Places to run.")

SOMETHING_WRONG = 1
_FINE_MM = 1.0

NameOrPath = Annotated[str, typer.Argument(metavar="NAME", help="One of `profile list`, or the path of a YAML file.")]


@profile_app.command("list")
def list_() -> None:
    """Tell which profiles cerebatch brings."""
    from cerebatch.batch.cluster.profile_file import find_profile, profile_names

    for name in profile_names():
        print(f"{name}\t{find_profile(name).read_text().splitlines()[0].removeprefix('# ')}")


@profile_app.command()
def show(
    name: NameOrPath,
    out: Annotated[Path | None, typer.Option(help="OUT_DIR of the run, as it stands in the scripts.")] = None,
    as_file: Annotated[bool, typer.Option("--yaml", help="The file itself, with its comments, to copy.")] = False,
) -> None:
    """Print a profile with all that is filled in, and the job scripts that a run would submit."""
    from cerebatch.batch.cluster.profile import Cluster, load_profile
    from cerebatch.batch.cluster.profile_file import find_profile

    profile = load_profile(name)
    if as_file:
        print(find_profile(name).read_text(), end="")
        return
    print(_resolved(profile))
    if isinstance(profile, Cluster):
        for title, script in _scripts(profile, (out or Path("OUT_DIR")).absolute()):
            print(f"\n# {title}\n{script.rstrip()}")


@profile_app.command()
def check(
    name: NameOrPath,
    out: Annotated[Path, typer.Option(help="OUT_DIR of the run.")],
    work: Annotated[Path | None, typer.Option(help="Folder of intermediate files. [default: OUT_DIR/work]")] = None,
    cases: Annotated[int, typer.Option(min=1, help="Scans that are expected.")] = 1,
    resolution: Annotated[float, typer.Option(min=0.5, max=4.0, help="Edge of the MNI grid in mm.")] = 1.0,
    wait: Annotated[float, typer.Option(min=0.0, help="Minutes that test jobs may wait in the queue.")] = 10.0,
) -> None:
    """Look at folders and space, and submit a small job of each class; exit status 1 if anything is wrong."""
    from cerebatch.batch.cluster.profile import load_profile
    from cerebatch.batch.cluster.profile_check import Cohort
    from cerebatch.batch.cluster.profile_check import check as findings_of

    out_dir = out.resolve()
    cohort = Cohort(out_dir, (work or out_dir / "work").resolve(), cases, fine=resolution < _FINE_MM)
    all_well = True
    for finding in findings_of(load_profile(name), cohort, wait_minutes=wait):
        print(f"{'ok' if finding.ok else 'wrong':6}{finding.words}", flush=True)
        all_well &= finding.ok
    if not all_well:
        raise typer.Exit(SOMETHING_WRONG)


def _resolved(profile: Profile) -> str:
    import yaml

    from cerebatch.batch.cluster.profile import Local

    content = {"kind": profile.kind} | profile.model_dump(mode="json")
    if isinstance(profile, Local):
        content |= {"cores": profile.all_cores(), "memory_gb": round(profile.usable_memory_gb(), 1)}
    return yaml.safe_dump(content, sort_keys=False).rstrip()


def _scripts(profile: Cluster, out_dir: Path) -> Iterator[tuple[str, str]]:
    from cerebatch.batch.cluster.job_script import BatchJob, WorkerPlace, ray_node
    from cerebatch.batch.cluster.machine import address_on

    host = address_on(profile.interface)
    shown = out_dir / "logs" / "jobs" / "RUN"
    # dask-jobqueue makes the folder of the logs at once, and to show a script is to write nothing.
    with tempfile.TemporaryDirectory() as folder:
        secret = Path(folder)
        place = WorkerPlace(f"tls://{host}:PORT", secret / "ca.pem", secret / "cert.pem", secret / "key.pem", secret)
        for job_class in profile.classes:
            name = f"cerebatch-RUN-{job_class.name}-1"
            command = None
            if profile.gpu is not None and job_class is profile.gpu:
                command = ray_node(profile, profile.gpu, f"{host}:PORT", token=secret / "ray-token")(name)
            script = BatchJob(profile, job_class, place, name, command).script
            yield f"class {job_class.name}, up to {job_class.jobs} jobs", script.replace(folder, str(shown))
