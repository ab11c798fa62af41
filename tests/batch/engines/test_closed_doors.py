"""What other users of a machine or a cluster can read and reach of a run."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client
from distributed.security import Security

from cerebatch.batch.engines.launch import _made_private
from cerebatch.batch.engines.on_dask import dask_cluster, tls_files


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Path]]:
    """A scheduler without workers, and the private folder with its keys, made while files are open to everybody."""
    before = os.umask(0)
    try:
        with (
            _made_private(tmp_path_factory.mktemp("runs"), "a-run") as folder,
            dask_cluster("127.0.0.1", folder, dashboard=False, n_workers=0) as (cluster, _),
        ):
            yield cluster, folder
    finally:
        os.umask(before)


def test_only_the_user_may_enter_the_folder_and_read_the_keys(running: tuple[Any, Path]) -> None:
    _, folder = running
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in tls_files(folder)] == [0o600] * 3


def test_the_scheduler_refuses_who_has_no_key_and_who_made_his_own(running: tuple[Any, Path]) -> None:
    cluster, folder = running
    assert cluster.scheduler_address.startswith("tls://")
    with pytest.raises(OSError, match="closed"):
        Client(cluster.scheduler_address.replace("tls://", "tcp://"), timeout="3s")
    with pytest.raises(OSError, match=r"(?i)certificate|closed"):
        Client(cluster.scheduler_address, security=Security.temporary(), timeout="3s")
    authority, certificate, key = map(str, tls_files(folder))
    known = Security(tls_ca_file=authority, tls_client_cert=certificate, tls_client_key=key, require_encryption=True)
    with Client(cluster.scheduler_address, security=known, timeout="20s") as client:
        assert client.scheduler_info()["address"] == cluster.scheduler_address


def test_the_dashboard_can_be_off(running: tuple[Any, Path]) -> None:
    cluster, _ = running
    port = cluster.scheduler.services["dashboard"].port
    for page in ("status", "info/main/workers.html", "json/counts.json", "metrics"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=10)
