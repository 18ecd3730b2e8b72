"""Ports are chosen before anything starts: never a taken one, never one twice."""

import socket
from collections.abc import Iterator

import pytest

from talent_image_pipeline.cli.ports import PortsTakenError, WantedPort, choose_ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def wanted(port: int, *, is_exact: bool = False) -> WantedPort:
    return WantedPort(purpose="the gallery", port=port, is_exact=is_exact, option="--service-port")


def test_a_free_port_is_taken_as_it_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    assert choose_ports([wanted(port)]) == [port]


def test_the_next_free_port_stands_in_for_a_taken_one_and_none_is_given_twice(taken: int) -> None:
    first, second = choose_ports([wanted(taken), wanted(taken)])

    assert taken < first < second


def test_a_taken_port_that_a_person_asked_for_is_an_error_that_names_the_option(taken: int) -> None:
    with pytest.raises(PortsTakenError, match=rf"Port {taken} is taken.*the gallery.*--service-port"):
        choose_ports([wanted(taken, is_exact=True)])
