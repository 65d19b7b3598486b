"""Our own OpenAPI, taken at its word: whatever it allows is sent, and the server stands it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from podstack.testing.raw_http import ask
from podstack.testing.stage import DEADLINE

schemathesis = pytest.importorskip("schemathesis")


def test_every_operation_stands_what_its_description_allows(team: Any) -> None:
    """Bounded and always the same: no answer is a 5xx, none tells of the inside."""
    url = f"http://127.0.0.1:{team.server.port}/api/v1/openapi.json"
    bearer = {"Authorization": f"Bearer {team.root}"}
    schema = schemathesis.openapi.from_url(url, headers=bearer, timeout=DEADLINE)
    tried = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @given(case=operation.as_strategy())
        @settings(
            max_examples=15,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def stands(case: Any) -> None:
            nonlocal tried
            tried += 1
            base = url.rpartition("/api/")[0]
            answer = case.call(headers=bearer, base_url=base, timeout=DEADLINE)
            assert answer.status_code < 500, (case, answer.text)
            assert "Traceback" not in answer.text

        stands()

    assert tried > 50


@given(
    target=st.binary(max_size=200).map(
        lambda raw: b"/" + bytes(byte for byte in raw if byte not in b"\r\n #")
    ),
    method=st.sampled_from(["GET", "HEAD", "PUT", "DELETE", "POST"]),
)
@settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_no_target_is_answered_with_a_5xx(team: Any, target: bytes, method: str) -> None:
    for prefix in (b"", b"/api/v1/projects/alpha/objects"):
        answer = ask(team.server.port, method, prefix + target, token=team.root)
        assert answer.status < 500, answer.raw
        assert b"Traceback" not in answer.raw
