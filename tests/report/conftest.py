"""A folder of finished cases: the stage `measure` on phantoms whose labels and affine are known."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from cerebatch.batch.ledger.records import Record, write_model
from cerebatch.intensity.tissue import TARGETS
from cerebatch.io.bids import Case, find_cases
from cerebatch.io.files import write_image, write_json
from cerebatch.io.scan import read_scan
from cerebatch.io.stamp import FileStamp
from cerebatch.labels import mirrored
from cerebatch.measures.icv import from_affine
from cerebatch.simulation.phantom.cerebellum import template_case
from cerebatch.spatial.space import LabelMap, cerebellum_box, inverse, resample
from cerebatch.stages.measure import VERSION, measure
from cerebatch.stages.prepare import Prepared

PROVENANCE = {
    "Method": "single case",
    "LabelledCase": {"File": "phantom.nii.gz", "SHA256": "0" * 64},
    "Settings": {"resolution": 4.0, "seed": 1},
    "Software": {"cerebatch": "0.0", "antspyx": "0.0", "numpy": "0.0"},
}


def finish(case: Case, dataset: Path, out: Path, work: Path, dseg: LabelMap) -> None:
    """Run `measure` on a phantom with some labels, and write its record."""
    scan, box = read_scan(case.t1w), cerebellum_box(4.0)
    truth = dataset / "derivatives/phantom-truth" / case.name / "anat"
    (path,) = truth.glob("*_xfm.txt")
    mni_from_native = np.loadtxt(path)
    prepared, segmented = work / case.name / "prepare", work / case.name / "segment"
    prepared.mkdir(parents=True)
    segmented.mkdir()
    image = resample(scan.image, scan.grid, box, inverse(mni_from_native), order=1)
    write_image(prepared / "T1w.nii.gz", image * np.float32(TARGETS["T1w"].wm / np.percentile(image, 98)), box, "MNI")
    found = Prepared(
        stored_shape=scan.stored_grid.shape,
        stored_affine=scan.stored_grid.affine.tolist(),
        mni_from_native=mni_from_native.tolist(),
        local_correlation=0.7,
        tissue_means={"T1w": [50.0, 150.0, 250.0]},
        icv=from_affine(mni_from_native),
        warnings=["A warning <with> marks & signs."],
    )
    (prepared / "prepared.json").write_text(found.model_dump_json())
    write_image(segmented / "dseg.nii.gz", dseg, box, "MNI")
    folder = out / case.name
    folder.mkdir(parents=True)
    measure(case, prepared, segmented, folder, provenance=PROVENANCE, resolution=4.0)
    outputs = {p.relative_to(folder).as_posix(): FileStamp.of(p) for p in folder.rglob("*") if p.is_file()}
    record = Record(
        stage="measure", version=VERSION, key="k", inputs={}, settings={}, outputs=outputs, folder=case.name
    )
    write_model(out / "records/cases" / case.name / "measure.json", record)


@pytest.fixture(scope="session")
def finished_out(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished cases: sub-phantom001 with its labels, sub-phantom002 with left and right exchanged."""
    folder = tmp_path_factory.mktemp("finished")
    out = folder / "out"
    dseg, _ = template_case(4.0)
    for case, labels in zip(find_cases(phantoms).cases, (dseg, mirrored(dseg)), strict=True):
        finish(case, phantoms, out, folder / "work", labels)
    write_json(out / "dataset_description.json", {"Name": "x", "BIDSVersion": "1.10.0", "DatasetType": "derivative"})
    return out


@pytest.fixture
def out(finished_out: Path, tmp_path: Path) -> Path:
    """A copy of the finished folder to write into, with times kept: records know them."""
    return shutil.copytree(finished_out, tmp_path / "out", copy_function=shutil.copy2)
