"""Stores in S3: the contract on three servers, options, errors, requests, forks and memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from podstack.backend import Backend, open_backend
from podstack.testing.backend_suite import BackendSuite, Peek
from podstack.testing.s3_servers import S3Server, s3_environment


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with s3_environment(monkeypatch):
        yield


class S3Suite(BackendSuite):
    """The contract in a bucket of its own of `server`, which a subclass supplies."""

    @pytest.fixture
    def bucket(self, server: S3Server) -> str:
        return server.new_bucket()

    @pytest.fixture
    def backend(self, server: S3Server, bucket: str) -> Iterator[Backend]:
        backend = open_backend(server.url(bucket, "team/store"))
        yield backend
        backend.close()

    @pytest.fixture
    def peek(self, server: S3Server, bucket: str) -> Peek:
        return lambda key: server.stored(bucket, f"team/store/{key}")


@pytest.mark.slow  # 10 ms a request, in Python
class TestS3OnMoto(S3Suite):
    @pytest.fixture
    def server(self, moto: S3Server) -> S3Server:
        return moto


_CUT = "rclone serves what becomes shorter meanwhile as the old content, cut to the new size"


class GivesUpSoon:
    """What rclone never answers is given up after 5 s and not after 30."""

    @pytest.fixture(autouse=True)
    def _give_up_soon(
        self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if request.function.__name__ in TestS3OnRclone.rare_gaps:
            monkeypatch.setattr("podstack.backends.s3_session.READ_TIMEOUT", 5)


class TestS3OnRclone(GivesUpSoon, S3Suite):
    rare_gaps = {  # noqa: RUF012 - as the suite declares it
        "test_readers_see_the_old_blob_or_the_new_one_never_a_mix": _CUT,
        "test_readers_never_see_a_mix_of_files_either": _CUT,
        "test_writing_deleting_and_listing_at_once_disturb_nobody": "rclone removes folders that "
        "become empty, and at times never answers the PUT that makes one again",
    }
    known_gaps = {  # noqa: RUF012 - as the suite declares it
        "test_deleting_what_is_absent_is_fine": "rclone keeps keys as files in folders, and "
        "answers 500 where the name of a folder that is not empty is deleted",
    }

    @pytest.fixture
    def server(self, rclone: S3Server) -> S3Server:
        return rclone


@pytest.mark.slow
class TestS3OnSeaweed(S3Suite):
    known_gaps = {  # noqa: RUF012 - as the suite declares it
        "test_a_deleted_blob_is_gone_everywhere": "SeaweedFS lists a folder for some seconds after "
        "its last blob is deleted",
    }

    @pytest.fixture
    def server(self, seaweed: S3Server) -> S3Server:
        return seaweed


class FastS3Suite(S3Suite):
    """The same with obstore from the first request on."""

    @pytest.fixture(autouse=True)
    def _at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("obstore")
        monkeypatch.setattr("podstack.backends.s3._USUAL", 0)  # it is for those who ask often


@pytest.mark.slow
class TestFastS3OnRclone(GivesUpSoon, FastS3Suite):
    known_gaps = TestS3OnRclone.known_gaps
    rare_gaps = TestS3OnRclone.rare_gaps

    @pytest.fixture
    def server(self, rclone: S3Server) -> S3Server:
        return rclone


@pytest.mark.slow
class TestFastS3OnSeaweed(FastS3Suite):
    known_gaps = TestS3OnSeaweed.known_gaps

    @pytest.fixture
    def server(self, seaweed: S3Server) -> S3Server:
        return seaweed


@pytest.mark.slow
class TestFastS3OnMoto(FastS3Suite):
    @pytest.fixture
    def server(self, moto: S3Server) -> S3Server:
        return moto
