# Everything happens in a virtual environment of its own, .venv/. `make help` lists what there is.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := demo-out
PROOF := proof-out
# ANTs runs on one thread, so two files of tests at a time fill two cores.
PYTEST := $(BIN)/pytest --numprocesses 2 --dist loadfile

# Real scans and maps are never in the repository; without them the tests that need them are skipped.
CEREBATCH_DATA ?= $(abspath $(wildcard ../shared/data))
export CEREBATCH_DATA

# Python and profiles are read where they lie (an editable installation); only what is compiled or declared is installed again.
INSTALLED := CMakeLists.txt constraints.txt pyproject.toml $(shell find cpp -type f)

.PHONY: help install demo test lint docs $(addprefix proof-,foundation atlas cluster networks enhance lifespan augment fine-tune reports tests)

.DEFAULT_GOAL := help

# What a line says after ## is its help.
help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1 /p' $(MAKEFILE_LIST) | sed 's/ /:/' | sed 's/^\([^:]*\):/  \1\t/'
	@echo 'proof-NAME: what docs/proofs.md tells, minutes to hours (foundation, atlas, cluster, networks, enhance, lifespan, augment, fine-tune, reports, tests)'

install: $(VENV)/.installed ## the environment, with everything that developers need

$(VENV)/.installed: $(INSTALLED)
	@$(PYTHON) -c 'import sys; sys.exit("cerebatch needs Python 3.11 or newer; set PYTHON=python3.11 or such") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install ## one real scan without a download becomes label maps, volumes and a page
	test -f $(DEMO)/mni152/dataset_description.json || $(BIN)/cerebatch template $(DEMO)/mni152
	$(BIN)/cerebatch segment $(DEMO)/mni152/sub-mni152/anat/sub-mni152_T1w.nii.gz --out $(DEMO)/results
	@echo
	@echo 'The scan is the MNI152 template, the mean of 152 people (brain-extracted); its labels are what the networks see in it.'
	@echo 'Look at:'
	@echo '  page       $(DEMO)/results/reports/sub-mni152.html'
	@echo '  pictures   $(DEMO)/results/sub-mni152/figures/'
	@echo '  volumes    $(DEMO)/results/sub-mni152/anat/sub-mni152_seg-lobules_volumes.tsv'
	@echo '  label map  $(DEMO)/results/sub-mni152/anat/sub-mni152_seg-lobules_dseg.nii.gz'

lint: install ## style, types, arrows between the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

test: lint ## lint, then all tests but the longest
	$(PYTEST) -m 'not long'

# Minutes to hours; results are recorded in docs/proofs.md.
proof-foundation: install
	@test -n '$(CEREBATCH_DATA)' || { echo 'make proof-foundation: set CEREBATCH_DATA'; exit 2; }
	$(BIN)/python -m benchmarks.accuracy.registration '$(CEREBATCH_DATA)' --out $(PROOF)/registration.tsv
	$(BIN)/python -m benchmarks.accuracy.orientations '$(CEREBATCH_DATA)' --out $(PROOF)/orientations.tsv
	$(BIN)/python -m benchmarks.speed.pipeline '$(CEREBATCH_DATA)'

# Two hours on 2 cores. The library and the run lie in $(PROOF)/atlas and are gone on with when they are there.
proof-atlas: install
	@test -n '$(CEREBATCH_DATA)' || { echo 'make proof-atlas: set CEREBATCH_DATA'; exit 2; }
	test -d $(PROOF)/atlas/one.zarr -a ! -d $(PROOF)/atlas/one.zarr.fits || \
	  $(BIN)/cerebatch library build $(PROOF)/atlas/one.zarr --lobules '$(CEREBATCH_DATA)/lobules' --heads '$(CEREBATCH_DATA)/heads'
	test -d $(PROOF)/atlas/half.zarr -a ! -d $(PROOF)/atlas/half.zarr.fits || \
	  $(BIN)/cerebatch library build $(PROOF)/atlas/half.zarr --lobules '$(CEREBATCH_DATA)/lobules' --heads '$(CEREBATCH_DATA)/heads' --cases 16 --resolution 0.5
	$(BIN)/python -m benchmarks.accuracy.borders '$(CEREBATCH_DATA)/lobules' $(PROOF)/atlas/one.zarr $(PROOF)/atlas/half.zarr
	$(BIN)/python -m benchmarks.accuracy.leave_one_out $(PROOF)/atlas/one.zarr --out $(PROOF)/atlas/leave_one_out.tsv
	$(BIN)/cerebatch run '$(CEREBATCH_DATA)/scans' $(PROOF)/atlas/scans participant --method atlas --library $(PROOF)/atlas/one.zarr
	test -d $(PROOF)/atlas/mni152 || $(BIN)/cerebatch template $(PROOF)/atlas/mni152
	$(BIN)/cerebatch run $(PROOF)/atlas/mni152 $(PROOF)/atlas/scans participant --method atlas --library $(PROOF)/atlas/one.zarr
	$(BIN)/python -m benchmarks.accuracy.real_scans $(PROOF)/atlas/scans $(PROOF)/atlas/one.zarr --suit '$(CEREBATCH_DATA)/atlas' \
	  --freesurfer 'whole02=$(CEREBATCH_DATA)/scans-labelled/sub-whole02_desc-aparcaseg_dseg.nii.gz' --out $(PROOF)/atlas/scans.tsv
	$(BIN)/cerebatch run $(PROOF)/atlas/mni152 $(PROOF)/atlas/half participant --method atlas --library $(PROOF)/atlas/half.zarr --resolution 0.5
	$(BIN)/python -m benchmarks.speed.fusion

# An hour on 2 cores; nothing but this machine is needed.
proof-cluster: install
	mkdir -p $(PROOF)/cluster
	$(BIN)/python -m benchmarks.speed.runner overhead
	$(BIN)/python -m benchmarks.speed.runner actor
	$(BIN)/python -m benchmarks.faults.driver_kills --kills 20
	$(BIN)/python -m benchmarks.speed.runner cohort
	$(BIN)/python -m benchmarks.speed.runner many
	test -d $(PROOF)/cluster/phantoms || $(BIN)/cerebatch simulate $(PROOF)/cluster/phantoms --phantoms --people 60 --voxel-size 2
	$(BIN)/python -m benchmarks.speed.runner scaling $(PROOF)/cluster/phantoms \
	  --labelled-case $(PROOF)/cluster/phantoms/derivatives/phantom-truth/tpl-MNI152NLin2009aSym_seg-lobules_res-1_dseg.nii.gz

# Most of a day on 2 cores; every training goes on where it was killed.
proof-networks: install
	@test -n '$(CEREBATCH_DATA)' || { echo 'make proof-networks: set CEREBATCH_DATA'; exit 2; }
	test -d $(PROOF)/atlas/one.zarr -a ! -d $(PROOF)/atlas/one.zarr.fits || \
	  $(BIN)/cerebatch library build $(PROOF)/atlas/one.zarr --lobules '$(CEREBATCH_DATA)/lobules' --heads '$(CEREBATCH_DATA)/heads'
	test -d $(PROOF)/networks/tests/plain || $(BIN)/python -m benchmarks.accuracy.known_scans '$(CEREBATCH_DATA)' $(PROOF)/networks/tests/plain
	test -d $(PROOF)/networks/tests/erased || $(BIN)/python -m benchmarks.accuracy.known_scans '$(CEREBATCH_DATA)' $(PROOF)/networks/tests/erased --erased
	$(BIN)/python -m recipes.train_folds $(PROOF)/atlas/one.zarr $(PROOF)/networks
	$(BIN)/python -m benchmarks.accuracy.held_out $(PROOF)/networks/tests $(PROOF)/atlas/one.zarr $(PROOF)/networks/folds --out $(PROOF)/networks/held_out.tsv
	$(BIN)/python -m benchmarks.accuracy.perturbations $(PROOF)/networks/tests $(PROOF)/atlas/one.zarr $(PROOF)/networks/folds --out $(PROOF)/networks/perturbations.tsv
	$(BIN)/python -m benchmarks.speed.ensemble $(PROOF)/networks/shipped
	$(BIN)/cerebatch run '$(CEREBATCH_DATA)/scans' $(PROOF)/networks/scans participant --library $(PROOF)/atlas/one.zarr
	$(BIN)/python -m benchmarks.accuracy.real_scans $(PROOF)/networks/scans $(PROOF)/atlas/one.zarr --suit '$(CEREBATCH_DATA)/atlas' \
	  --adults brain01 brain02 brain05 brain09 brain12 brain16 brain22 brain30 --hnu '$(CEREBATCH_DATA)/reliability/hnu_deepceres_volumes.csv' \
	  --freesurfer 'whole02=$(CEREBATCH_DATA)/scans-labelled/sub-whole02_desc-aparcaseg_dseg.nii.gz' --out $(PROOF)/networks/scans.tsv
	$(BIN)/python -m benchmarks.accuracy.robustness mirror cerebatch/networks/weights/1mm $(wildcard $(patsubst %,$(CEREBATCH_DATA)/scans/sub-%/anat/*_T1w.nii.gz,brain01 whole02))
	$(BIN)/python -m benchmarks.accuracy.robustness shrink cerebatch/networks/weights/1mm $(wildcard $(CEREBATCH_DATA)/scans/sub-brain01/anat/*_T1w.nii.gz)
	$(BIN)/python -m benchmarks.accuracy.robustness rescan cerebatch/networks/weights/1mm $(wildcard $(patsubst %,$(CEREBATCH_DATA)/scans/sub-%/anat/*_T1w.nii.gz,brain01 brain30 whole02)) \
	  --reliability '$(CEREBATCH_DATA)/reliability/hnu_deepceres_volumes.csv'

# Super-resolution, T2 synthesis, deep registration, intracranial volume, 0.5 mm. Hours on 2 cores, after proof-atlas and proof-networks.
proof-enhance: install
	@test -n '$(CEREBATCH_DATA)' || { echo 'make proof-enhance: set CEREBATCH_DATA, and run make proof-networks first'; exit 2; }
	$(BIN)/python -m pip install --quiet --constraint constraints.txt scikit-image
	$(BIN)/python -m recipes.train_helpers '$(CEREBATCH_DATA)' $(PROOF)/atlas/one.zarr $(PROOF)/atlas/half.zarr $(PROOF)/helpers
	$(BIN)/python -m benchmarks.accuracy.icv '$(CEREBATCH_DATA)' $(PROOF)/helpers --out $(PROOF)/helpers/icv.tsv
	$(BIN)/python -m benchmarks.accuracy.superres $(PROOF)/helpers/shipped/superres.safetensors '$(CEREBATCH_DATA)/scans' $(PROOF)/atlas/scans \
	  --participants brain16 brain22 brain30 whole01 --pictures $(PROOF)/helpers/superres --out $(PROOF)/helpers/superres.tsv
	$(BIN)/python -m benchmarks.accuracy.t2_synthesis $(PROOF)/helpers/shipped/t2synth.safetensors $(PROOF)/atlas/scans \
	  --participants pair07 --pictures $(PROOF)/helpers/t2synth --out $(PROOF)/helpers/t2synth.tsv
	$(BIN)/python -m benchmarks.accuracy.deep_registration $(PROOF)/atlas/one.zarr $(PROOF)/helpers --out $(PROOF)/helpers/registration.tsv
	$(BIN)/python -m benchmarks.accuracy.intensity_correction $(PROOF)/atlas/half.zarr
	$(BIN)/python -m recipes.train_half $(PROOF)/atlas/one.zarr $(PROOF)/atlas/half.zarr $(PROOF)/networks
	test -d $(PROOF)/networks/tests/fine || \
	  $(BIN)/python -m benchmarks.accuracy.known_scans '$(CEREBATCH_DATA)' $(PROOF)/networks/tests/fine --persons 3 --heads 13,14 --images-per-person 2 --voxel-mm 0.7
	$(BIN)/python -m benchmarks.accuracy.resolutions $(PROOF)/networks/tests $(PROOF)/atlas/one.zarr $(PROOF)/networks $(PROOF)/helpers --out $(PROOF)/helpers/resolutions.tsv
	$(BIN)/python -m benchmarks.speed.pipeline '$(CEREBATCH_DATA)' --library $(PROOF)/atlas/one.zarr --weights $(PROOF)/networks/shipped \
	  --auxiliary-weights $(PROOF)/helpers/shipped --out $(PROOF)/helpers/pipeline.png
	$(BIN)/python -m benchmarks.speed.pipeline '$(CEREBATCH_DATA)' --library $(PROOF)/atlas/half.zarr --weights $(PROOF)/networks/half/shipped \
	  --resolution 0.5 --precision bfloat16 --out $(PROOF)/helpers/pipeline-half.png

# An hour or less on 2 cores. PCNtoolkit is measured where it is installed.
proof-lifespan: install
	@test -n '$(CEREBATCH_DATA)' || { echo 'make proof-lifespan: set CEREBATCH_DATA'; exit 2; }
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.lifespan.speed
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.lifespan.truth
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.lifespan.other_truths
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.lifespan.compare
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.lifespan.people '$(CEREBATCH_DATA)/volumes'
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.lifespan.sexes '$(CEREBATCH_DATA)/volumes'
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.lifespan.peers '$(CEREBATCH_DATA)/volumes'

# Hours on 2 cores. The set is gone on with when it is there.
proof-augment: install
	@test -n '$(CEREBATCH_DATA)' || { echo 'make proof-augment: set CEREBATCH_DATA'; exit 2; }
	test -d $(PROOF)/atlas/one.zarr -a ! -d $(PROOF)/atlas/one.zarr.fits || \
	  $(BIN)/cerebatch library build $(PROOF)/atlas/one.zarr --lobules '$(CEREBATCH_DATA)/lobules' --heads '$(CEREBATCH_DATA)/heads'
	test -d $(PROOF)/augment/trial.zarr -a ! -d $(PROOF)/augment/trial.zarr.fits || \
	  $(BIN)/cerebatch library build $(PROOF)/augment/trial.zarr --resolution 4.0 --lobules '$(CEREBATCH_DATA)/lobules' --heads '$(CEREBATCH_DATA)/heads'
	$(BIN)/python -m benchmarks.faults.many_targets $(PROOF)/augment/many --library $(PROOF)/augment/trial.zarr
	test -d $(PROOF)/atlas/scans || \
	  $(BIN)/cerebatch run '$(CEREBATCH_DATA)/scans' $(PROOF)/atlas/scans participant --method atlas --library $(PROOF)/atlas/one.zarr
	$(BIN)/python -m benchmarks.speed.augment rate $(PROOF)/atlas/one.zarr $(PROOF)/atlas/scans $(PROOF)/augment/scans.zarr
	$(BIN)/python -m benchmarks.accuracy.augmented_scans $(PROOF)/augment/scans.zarr $(PROOF)/atlas/scans --library $(PROOF)/atlas/one.zarr \
	  --picture $(PROOF)/augment/scans.png \
	  --freesurfer sub-whole02='$(CEREBATCH_DATA)/scans-labelled/sub-whole02_desc-aparcaseg_dseg.nii.gz'
	$(BIN)/python -m benchmarks.speed.augment patches $(PROOF)/augment/scans.zarr
	$(BIN)/python -m benchmarks.speed.augment ants $(PROOF)/atlas/one.zarr

# Section 3.6: fine-tuning on a set whose targets are children and old people, tested on people and heads that neither
# the networks nor the set knew. Some six hours and a half on 2 cores.
TUNE := $(PROOF)/augment/tune
TRUTH := derivatives/simulated-truth/seg-lobules_volumes.tsv
proof-fine-tune: install
	@test -n '$(CEREBATCH_DATA)' || { echo 'make proof-fine-tune: set CEREBATCH_DATA, and run make proof-atlas first'; exit 2; }
	mkdir -p $(TUNE)/lobules $(TUNE)/heads $(TUNE)/heads-held
	cp '$(CEREBATCH_DATA)'/lobules/subject-[12]_dseg.nii.gz $(TUNE)/lobules
	cp '$(CEREBATCH_DATA)'/heads/head-0?_dseg.nii.gz '$(CEREBATCH_DATA)'/heads/head-1[0-2]_dseg.nii.gz $(TUNE)/heads
	cp '$(CEREBATCH_DATA)'/heads/head-1[3-6]_dseg.nii.gz $(TUNE)/heads-held
	test -f $(TUNE)/targets/$(TRUTH) || \
	  $(BIN)/cerebatch simulate $(TUNE)/targets --people 24 --lobules $(TUNE)/lobules --heads $(TUNE)/heads --seed 7
	$(BIN)/cerebatch augment $(PROOF)/atlas/one.zarr $(TUNE)/targets $(TUNE)/set.zarr \
	  $(foreach one,subject-3 subject-5 head-13 head-14 head-15 head-16,--hold-out $(one)) || true
	$(BIN)/python -m recipes.fine_tune $(PROOF)/atlas/one.zarr $(TUNE)/set.zarr $(TUNE)/networks
	test -d $(TUNE)/images || \
	  $(BIN)/python -m benchmarks.accuracy.known_scans '$(CEREBATCH_DATA)' $(TUNE)/images --persons 3,5 --images-per-person 4
	test -f $(TUNE)/cohort/$(TRUTH) || $(BIN)/cerebatch simulate $(TUNE)/cohort --people 300 \
	  --lobules '$(CEREBATCH_DATA)/lobules' --source subject-3 --heads $(TUNE)/heads-held --seed 11
	for dataset in images cohort; do $(BIN)/python -m benchmarks.accuracy.before_after $(TUNE)/$$dataset $(TUNE)/$$dataset-scores \
	  --networks before=$(TUNE)/networks/before original=$(TUNE)/networks/original after=$(TUNE)/networks/augmented || exit 1; done
	$(BIN)/cerebatch lifespan compare $(TUNE)/cohort-scores/before.tsv $(TUNE)/cohort-scores/after.tsv --tool cerebatch

# What people look at: faults that quality control must find, and the cohort's page in a browser. An hour on 2 cores.
proof-tests: install
	$(PYTEST) -m long

proof-reports: install
	@test -n '$(CEREBATCH_DATA)' || { echo 'make proof-reports: set CEREBATCH_DATA, and run make proof-atlas first'; exit 2; }
	$(BIN)/python -m benchmarks.speed.cohort_page --cases 5000
	$(BIN)/python -m benchmarks.faults.quality outputs $(PROOF)/atlas/scans --scans '$(CEREBATCH_DATA)/scans' $(PROOF)/atlas/mni152 --out $(PROOF)/quality_outputs.tsv
	test -d $(PROOF)/quality/phantoms || $(BIN)/cerebatch simulate $(PROOF)/quality/phantoms --phantoms --people 12 --voxel-size 2 --seed 11
	$(BIN)/python -m benchmarks.faults.quality scans $(PROOF)/quality/phantoms $(PROOF)/quality/work --out $(PROOF)/quality_scans.tsv \
	  --labelled-case $(PROOF)/quality/phantoms/derivatives/phantom-truth/tpl-MNI152NLin2009aSym_seg-lobules_res-1_dseg.nii.gz

docs: install ## the site, in build/site
	$(BIN)/mkdocs build
