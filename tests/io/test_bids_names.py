"""How filters are read, and how derivatives are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cerebatch.errors import SettingsError
from cerebatch.io.bids import ENTITIES, Case, output_name, parse_filters
from cerebatch.io.description import dataset_description


class TestFilters:
    def test_they_are_pairs_of_entity_and_value(self) -> None:
        assert parse_filters(["acq=mprage", "run=2"]) == {"acq": "mprage", "run": "2"}
        assert parse_filters(["acq = acq-mprage"]) == {"acq": "mprage"}
        assert parse_filters([]) == {}

    @pytest.mark.parametrize(
        ("text", "wrong"),
        [
            ("mprage", "entity=value"),
            ("acq=", "entity=value"),
            ("acq=a_b", "entity=value"),
            ("acquisition=mprage", "'acquisition' is no BIDS entity"),
            ("sub=01", "their own options"),
            ("ses=01", "their own options"),
        ],
    )
    def test_an_error_quotes_the_filter_and_says_what_is_wrong(self, text: str, wrong: str) -> None:
        with pytest.raises(SettingsError) as caught:
            parse_filters([text])
        assert repr(text) in str(caught.value)
        assert wrong in str(caught.value)

    def test_an_entity_may_be_given_once(self) -> None:
        with pytest.raises(SettingsError, match="already set to 'a'"):
            parse_filters(["acq=a", "acq=b"])


class TestNamesOfDerivatives:
    case = Case("X", "Y", Path("/bids/sub-X_ses-Y_T1w.nii.gz"))

    def test_a_label_map(self) -> None:
        name = output_name(
            self.case, "dseg", ".nii.gz", space="MNI152NLin2009aSym", res="1", seg="lobules", desc="crisp"
        )
        assert name == "sub-X_ses-Y_space-MNI152NLin2009aSym_seg-lobules_res-1_desc-crisp_dseg.nii.gz"

    def test_a_transform(self) -> None:
        name = output_name(self.case, "xfm", ".mat", from_="T1w", to="MNI152NLin2009aSym", mode="image")
        assert name == "sub-X_ses-Y_from-T1w_to-MNI152NLin2009aSym_mode-image_xfm.mat"

    @given(st.permutations(ENTITIES[2:]))
    def test_the_order_of_entities_is_that_of_bids(self, order: list[str]) -> None:
        name = output_name(self.case, "dseg", ".nii.gz", **dict.fromkeys(order, "1"))
        assert [part.split("-")[0] for part in name.split("_")[:-1]] == list(ENTITIES)

    @pytest.mark.parametrize("entities", [{"resolution": "1"}, {"sub": "Z"}, {"res": "0.5"}, {"desc": ""}])
    def test_names_that_bids_forbids_are_refused(self, entities: dict[str, str]) -> None:
        with pytest.raises(ValueError, match=next(iter(entities))):
            output_name(self.case, "dseg", ".nii.gz", **entities)

    def test_the_description_says_what_made_the_dataset(self) -> None:
        description = json.loads(json.dumps(dataset_description("1.2.3")))
        assert description["DatasetType"] == "derivative"
        assert description["BIDSVersion"] == "1.10.0"
        assert description["GeneratedBy"] == [{"Name": "cerebatch", "Version": "1.2.3"}]
