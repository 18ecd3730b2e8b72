"""The OpenAPI document against the running service: every answer is documented, and none is a defect of ours."""

from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from talent_image_pipeline_tests.service.live_service import API_TOKEN, LiveService

pytestmark = pytest.mark.xdist_group("service")

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
EXAMPLES = 15
ADDRESSES = {
    ("GET", "/api/admin/talents"),
    ("GET", "/api/admin/stats"),
    ("GET", "/api/admin/talent/{talent_id}"),
    ("PUT", "/api/admin/talent/{talent_id}/pin"),
    ("DELETE", "/api/admin/talent/{talent_id}/pin"),
    ("GET", "/api/admin/talent/{talent_id}/profile-image"),
    ("POST", "/api/admin/talent/{talent_id}/profile-image/sync"),
    ("POST", "/api/admin/talent/{talent_id}/profile-image/changed"),
    ("POST", "/api/admin/talent/sync/profile-images"),
    ("GET", "/api/admin/talent/sync/profile-images/{batch_id}"),
}
# Without a body or parameters there is nothing to get wrong.
WITH_CONTENT = {
    ("GET", "/api/admin/talents"),
    ("PUT", "/api/admin/talent/{talent_id}/pin"),
    ("POST", "/api/admin/talent/{talent_id}/profile-image/sync"),
    ("POST", "/api/admin/talent/sync/profile-images"),
    ("GET", "/api/admin/talent/sync/profile-images/{batch_id}"),
}


def document_of(service: LiveService) -> dict[str, Any]:
    document: dict[str, Any] = service.anonymous.get("/api/openapi.json").json()
    return document


def operations_in(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(method.upper(), path) for path, item in document["paths"].items() for method in item}


def test_the_document_holds_the_api_and_nothing_else(service: LiveService) -> None:
    assert operations_in(document_of(service)) == ADDRESSES


def test_every_operation_documents_the_errors_that_it_may_answer_in_the_one_shape(service: LiveService) -> None:
    document = document_of(service)
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert {"401", "413", "422", "431", "503"} <= set(operation["responses"]), (method, path)
            assert operation["security"], (method, path)
            for status, response in operation["responses"].items():
                if not status.startswith("2"):
                    reference = response["content"]["application/json"]["schema"]["$ref"]
                    assert reference.endswith("/ErrorAnswer"), (method, path, status)


def ask_anything(
    service: LiveService, document: dict[str, Any], method: str, path: str, *, mode: GenerationMode
) -> int:
    """Ask whatever the mode makes of the document, check every answer against it, and return how often was asked."""
    known = service.add_talent()
    operation = schemathesis.openapi.from_dict(document)[path][method]
    asked = 0

    @hypothesis.settings(
        max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode), is_known=hypothesis.strategies.booleans())
    def ask(case: schemathesis.Case[Any], is_known: bool) -> None:
        nonlocal asked
        if is_known and "talent_id" in (case.path_parameters or {}):
            case.path_parameters["talent_id"] = known
        headers = {"Authorization": f"Bearer {API_TOKEN}"}
        case.call_and_validate(base_url=service.address, headers=headers, checks=CHECKS, timeout=60)
        asked += 1

    ask()
    return asked


@pytest.mark.parametrize(("method", "path"), sorted(ADDRESSES))
def test_whatever_the_document_allows_no_answer_is_undocumented_or_a_server_error(
    service: LiveService, method: str, path: str
) -> None:
    asked = ask_anything(service, document_of(service), method, path, mode=GenerationMode.POSITIVE)

    # An operation without parameters has one request.
    assert asked >= (1 if path.endswith(("stats", "profile-images")) else 10)


@pytest.mark.parametrize(("method", "path"), sorted(WITH_CONTENT))
def test_whatever_the_document_forbids_no_answer_is_undocumented_or_a_server_error(
    service: LiveService, method: str, path: str
) -> None:
    assert ask_anything(service, document_of(service), method, path, mode=GenerationMode.NEGATIVE) >= 10


def test_an_answer_that_the_document_does_not_know_is_found(service: LiveService) -> None:
    document = document_of(service)
    path = "/api/admin/talent/{talent_id}/profile-image"
    del document["paths"][path]["get"]["responses"]["404"]

    with pytest.raises(BaseExceptionGroup) as found:
        ask_anything(service, document, "GET", path, mode=GenerationMode.POSITIVE)

    assert "Undocumented status code" in str(found.value.exceptions)
