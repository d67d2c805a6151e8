"""The load engine and its plain-Python oracle, on servers whose delays and faults are known."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.engine import _engine
from clients.engine.driver import MAX_INTERVALS, Driver, Engine
from clients.engine.exchange import Exchange, file_content, file_name
from clients.engine.reference import Reference
from clients.load import ERROR_KINDS, AimedLoad
from clients.pacing import due_times
from reports import histogram
from reports.histogram import summarize
from reports.tally import Tally
from servers import protocol
from tests import scripted

MakeDriver = Callable[[AimedLoad], Driver]
DRIVERS: list[MakeDriver] = [Engine, Reference]

each_driver = pytest.mark.parametrize("driver", DRIVERS, ids=["engine", "reference"])


def drive(
    driver: MakeDriver,
    port: int,
    *,
    seconds: float = 0.2,
    warm_up: float = 0.0,
    drain: float = 0.1,
    **load: Any,
) -> Tally:
    """Drive a load through all its phases and return the tally."""
    with closing(driver(AimedLoad(port=port, **load))) as driving:
        driving.open()
        if warm_up:
            driving.warm_up(warm_up)
        driving.measure(seconds, seconds / 4)
        driving.drain(drain)
        return Tally.from_raw(driving.tally())


def faults(tally: Tally) -> dict[str, int]:
    """Return the errors that occurred."""
    return {kind: count for kind, count in tally.errors.items() if count}


@each_driver
@pytest.mark.parametrize(
    "load",
    [
        {"size_bytes": 0},
        {"size_bytes": 3},
        {"size_bytes": 64, "depth": 16},
        {"size_bytes": 1_000_000, "connections": 2},
        {"size_bytes": 200, "depth": 7, "kind": "UPPER"},
        {"size_bytes": 5, "kind": "COMPUTE", "argument": 10},
        {"size_bytes": 64, "session": 1},
        {"size_bytes": 64, "session": 5, "depth": 3},
    ],
    ids=str,
)
def test_a_right_server_gives_no_errors_and_serves_every_connection(
    driver: MakeDriver, load: dict[str, Any]
) -> None:
    with scripted.scripted_server(scripted.echo) as port:
        tally = drive(driver, port, drain=5.0, **{"connections": 4, **load})
    assert faults(tally) == {}
    assert tally.served == len(tally.requests_per_connection)
    assert tally.unanswered.count == 0
    assert sum(tally.requests_per_connection) == tally.requests
    assert sum(tally.interval_requests) == tally.requests
    assert tally.answered.count >= tally.requests > 0


FILE_SIZES = [0, 5, 2**18, 1_000_000]


@each_driver
@pytest.mark.parametrize("size", FILE_SIZES)
@pytest.mark.parametrize("kind", ["GET", "PUT"])
def test_files_are_moved_either_way_as_a_server_of_wire_md_moves_them(
    driver: MakeDriver, kind: str, size: int
) -> None:
    content = b"".join(file_content(size))
    files = {file_name(size): content} if kind == "GET" else {}
    with scripted.scripted_server(scripted.file_server(files)) as port:
        tally = drive(driver, port, connections=2, kind=kind, size_bytes=size, depth=2, drain=5.0)
    assert faults(tally) == {}
    assert tally.requests > 0
    assert files == {file_name(size): content}


def _get_answer() -> list[bytes]:
    content = b"".join(file_content(1_000_000))
    return scripted.transfer(0, file_name(1_000_000), content)


def _with_a_wrong_byte(frame: bytes) -> bytes:
    middle = len(frame) // 2
    return frame[:middle] + bytes([frame[middle] ^ 1]) + frame[middle + 1 :]


_REFUSAL = protocol.frame(protocol.ERROR, 0, protocol.ChangedError("no").body())
BAD_GETS: dict[str, tuple[str, Callable[[list[bytes]], list[bytes]]]] = {
    "a wrong byte in the middle of DATA": (
        "mismatch",
        lambda frames: [*frames[:2], _with_a_wrong_byte(frames[2]), *frames[3:]],
    ),
    "a DATA frame left out": ("mismatch", lambda frames: [*frames[:2], *frames[3:]]),
    "a wrong digest": ("mismatch", lambda frames: [*frames[:-1], _with_a_wrong_byte(frames[-1])]),
    "an error frame instead of META": ("error_frame", lambda _: [_REFUSAL]),
    "an error frame instead of DATA": ("error_frame", lambda frames: [*frames[:3], _REFUSAL]),
    "an error frame instead of END": ("error_frame", lambda frames: [*frames[:-1], _REFUSAL]),
    "an error frame in two pieces": (
        "error_frame",
        lambda frames: [*frames[:-1], _REFUSAL[:3], _REFUSAL[3:]],
    ),
    "the end in mid-file": ("eof", lambda frames: frames[:2]),
}


@each_driver
@pytest.mark.parametrize("fault", BAD_GETS)
def test_each_fault_in_a_file_counts_under_its_own_name(driver: MakeDriver, fault: str) -> None:
    kind, change = BAD_GETS[fault]

    def script(connection: socket.socket) -> None:
        for index, _ in enumerate(scripted.requests(connection)):
            for piece in _get_answer() if index == 0 else change(_get_answer()):
                connection.sendall(piece)
            if index:
                return

    with scripted.scripted_server(script) as port:
        tally = drive(driver, port, connections=2, kind="GET", size_bytes=1_000_000, seconds=0.4)
    assert set(faults(tally)) - {"unfinished"} == {kind}
    assert tally.requests >= 2


@each_driver
def test_a_refused_upload_is_an_error_frame(driver: MakeDriver) -> None:
    with scripted.scripted_server(scripted.answers_get(_REFUSAL)) as port:
        tally = drive(driver, port, connections=1, kind="PUT", size_bytes=10)
    assert tally.errors["error_frame"] > 0
    assert set(faults(tally)) <= {"error_frame", "unfinished"}


@given(st.integers(0, 600_000))
def test_the_content_of_a_file_follows_from_its_size_and_has_it(size: int) -> None:
    pieces = list(file_content(size))
    assert sum(map(len, pieces)) == size
    assert all(len(piece) == protocol.DATA_BYTES for piece in pieces[:-1])
    assert b"".join(file_content(size)) == b"".join(pieces)


@each_driver
@pytest.mark.parametrize("length_prefix", [0, 2, 8])
def test_raw_echo_drives_a_server_that_knows_nothing_of_our_frames(
    driver: MakeDriver, length_prefix: int
) -> None:
    with scripted.scripted_server(scripted.echo_raw) as port:
        tally = drive(
            driver, port, framing="rawecho", length_prefix=length_prefix, size_bytes=100, depth=2
        )
    assert faults(tally) == {}
    assert tally.requests > 0


def test_a_length_prefixed_echo_server_understands_the_prefix() -> None:
    bodies: set[int] = set()

    def length_prefixed_echo(connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while head := stream.read(4):
                body = stream.read(int.from_bytes(head, "big"))
                bodies.add(len(body))
                connection.sendall(head + body)

    with scripted.scripted_server(length_prefixed_echo) as port:
        tally = drive(
            Engine, port, framing="rawecho", length_prefix=4, size_bytes=100, connections=2
        )
    assert bodies == {96}
    assert faults(tally) == {}


@each_driver
def test_answers_that_arrive_a_byte_at_a_time_are_put_together(
    driver: MakeDriver,
) -> None:
    with scripted.scripted_server(scripted.fragmented) as port:
        tally = drive(driver, port, connections=2, size_bytes=5, drain=5.0)
    assert faults(tally) == {}
    assert tally.requests > 0


@each_driver
@pytest.mark.parametrize("fault", scripted.FAULTS)
def test_each_fault_counts_under_its_own_name(driver: MakeDriver, fault: str) -> None:
    kind, end = scripted.FAULTS[fault]
    with scripted.scripted_server(scripted.answers_then(3, end)) as port:
        tally = drive(driver, port, connections=2, size_bytes=16, seconds=0.1)
    assert set(faults(tally)) - {"unfinished"} <= {kind}
    assert tally.errors[kind] >= 2
    assert tally.requests >= 6


@each_driver
def test_a_request_lost_to_a_fault_stays_in_the_figures_with_its_age(
    driver: MakeDriver,
) -> None:
    _, end = scripted.FAULTS["closes in mid-frame"]
    with scripted.scripted_server(scripted.answers_then(3, end)) as port:
        tally = drive(driver, port, connections=2, depth=2, seconds=0.1)
    assert tally.unanswered.count == sum(tally.errors.values()) >= 4


@each_driver
def test_a_fault_without_any_answer_counts_the_same(driver: MakeDriver) -> None:
    kind, end = scripted.FAULTS["wrong tag"]
    with scripted.scripted_server(scripted.answers_then(0, end)) as port:
        tally = drive(driver, port, connections=2, seconds=0.1)
    assert tally.requests == 0
    assert tally.served == 0
    assert tally.errors[kind] >= 2


def test_engine_and_reference_agree_on_a_server_that_falls_silent_after_known_answers() -> None:
    def outcome(driver: MakeDriver) -> dict[str, Any]:
        silent = scripted.answers_then(10, scripted.FAULTS["says nothing"][1])
        with scripted.scripted_server(silent) as port:
            tally = drive(driver, port, connections=3, depth=4, seconds=0.4)
        return {
            "requests": tally.requests,
            "answered": tally.answered.count,
            "unanswered": tally.unanswered.count,
            "errors": dict(tally.errors),
            "per_connection": list(tally.requests_per_connection),
            "connects": tally.connecting.count,
        }

    assert outcome(Engine) == outcome(Reference)
    assert outcome(Engine)["per_connection"] == [10, 10, 10]
    assert outcome(Engine)["unanswered"] == 12


@each_driver
def test_latency_is_at_least_the_servers_delay_and_runs_to_the_answer(
    driver: MakeDriver,
) -> None:
    def delayed(connection: socket.socket) -> None:
        for request in scripted.requests(connection):
            time.sleep(0.01)
            connection.sendall(scripted.answer(request))

    with scripted.scripted_server(delayed) as port:
        tally = drive(driver, port, connections=2, drain=5.0)
    assert tally.answered.min() >= 9_990_000
    # Each connection has one request at a time, so its latencies add up to no more than the
    # window and the last answer's wait.
    assert tally.answered.mean() * tally.answered.count <= 2 * (0.2e9 + tally.answered.max()) * 1.01


@each_driver
def test_unanswered_requests_have_their_age_and_make_percentiles_lower_bounds(
    driver: MakeDriver,
) -> None:
    silent = scripted.answers_then(0, scripted.FAULTS["says nothing"][1])
    with scripted.scripted_server(silent) as port:
        tally = drive(driver, port, connections=20, warm_up=0.1)
    assert tally.unanswered.count == 20
    assert tally.unanswered.min() >= 300_000_000  # sent in the warm-up, and aged since then
    latency = summarize(tally.answered, tally.unanswered)
    assert latency["p50_at_least"] is True
    assert tally.errors["unfinished"] == 20


@each_driver
def test_a_refusing_port_counts_refusals_and_nothing_else(driver: MakeDriver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    tally = drive(driver, port, connections=3, seconds=0.05)
    assert set(faults(tally)) == {"refused"}
    assert tally.errors["refused"] >= 3


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port whose backlog is full, so that the kernel drops further SYNs."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(8)]
        try:
            for client in waiting:
                client.setblocking(False)
                client.connect_ex(address)
            yield address[1]
        finally:
            for client in waiting:
                client.close()


@each_driver
def test_a_connect_that_takes_too_long_is_a_connect_timeout(
    driver: MakeDriver, full_port: int
) -> None:
    tally = drive(driver, full_port, connections=3, seconds=0.05, connect_timeout_seconds=0.1)
    assert set(faults(tally)) == {"connect_timeout"}
    assert tally.errors["connect_timeout"] >= 3


@each_driver
def test_a_request_that_takes_too_long_is_a_timeout(driver: MakeDriver) -> None:
    silent = scripted.answers_then(0, scripted.FAULTS["says nothing"][1])
    with scripted.scripted_server(silent) as port:
        tally = drive(driver, port, connections=3, request_timeout_seconds=0.05)
    assert tally.errors["timeout"] >= 3
    assert set(faults(tally)) <= {"timeout", "unfinished"}


@each_driver
def test_a_server_that_stalls_delays_its_answers_and_not_the_end_of_the_window(
    driver: MakeDriver,
) -> None:
    released = threading.Event()

    def stall(connection: socket.socket, request: protocol.Frame) -> None:
        released.wait(scripted.TIMEOUT_SECONDS)
        connection.sendall(scripted.answer(request))
        scripted.echo(connection)

    with (
        scripted.scripted_server(scripted.answers_then(3, stall)) as port,
        closing(driver(AimedLoad(port=port, connections=2))) as driving,
    ):
        driving.open()
        driving.measure(0.3, 0.1)  # ends, though nothing is answered any more
        released.set()
        driving.drain(5.0)
        tally = Tally.from_raw(driving.tally())
    assert faults(tally) == {}
    assert tally.requests == 6
    assert tally.answered.count == 8
    assert tally.answered.max() >= 100_000_000


@each_driver
def test_a_server_that_reads_slowly_gets_every_byte_in_order(
    driver: MakeDriver,
) -> None:
    def slow(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        framing = protocol.Connection()
        while data := connection.recv(50_000):
            for request in framing.receive(data):
                connection.sendall(scripted.answer(request))

    with scripted.scripted_server(slow) as port:
        tally = drive(driver, port, connections=1, size_bytes=1_000_000, depth=2, drain=5.0)
    assert faults(tally) == {}
    assert tally.answered.count > 0


@each_driver
def test_requests_carry_the_connection_and_sequence_that_the_exchange_says(
    driver: MakeDriver,
) -> None:
    seen: list[list[bytes]] = []

    def record(connection: socket.socket) -> None:
        seen.append(frames := [])
        for request in scripted.requests(connection):
            frames.append(protocol.frame(*request))
            connection.sendall(scripted.answer(request))

    with scripted.scripted_server(record) as port:
        drive(
            driver, port, connections=3, depth=2, size_bytes=20, session=7, seconds=0.05, drain=5.0
        )
    exchange = Exchange.of(AimedLoad(port=port, size_bytes=20))
    lives: Counter[int] = Counter()
    in_order = sorted(filter(None, seen), key=lambda f: int.from_bytes(f[0][8:12], "little"))
    for frames in in_order:
        number = int.from_bytes(frames[0][12:16], "little")
        expected = [
            exchange.request.bytes_of(number, lives[number] + index) for index in range(len(frames))
        ]
        assert frames == expected
        lives[number] += len(frames)
    assert set(lives) == {0, 1, 2}


@each_driver
def test_a_session_ends_after_its_requests_and_connects_anew(
    driver: MakeDriver,
) -> None:
    lengths: list[int] = []

    def count(connection: socket.socket) -> None:
        length = 0
        for request in scripted.requests(connection):
            length += 1
            connection.sendall(scripted.answer(request))
        lengths.append(length)

    with scripted.scripted_server(count) as port:
        tally = drive(driver, port, connections=2, session=3, depth=2, drain=5.0)
    # Only the sessions that the end of the run cut off are shorter.
    assert len([length for length in lengths if length != 3]) <= 2
    assert set(lengths) <= {0, 1, 2, 3}
    # The kernel may have completed a connect of which the driver had yet to be told.
    assert len(lengths) - 2 <= tally.connecting.count <= len(lengths)
    assert faults(tally) == {}


@each_driver
def test_the_warm_up_is_outside_every_figure(driver: MakeDriver) -> None:
    silent = scripted.answers_then(5, scripted.FAULTS["says nothing"][1])
    with scripted.scripted_server(silent) as port:
        tally = drive(driver, port, connections=2, warm_up=0.3)
    assert tally.requests == 0
    assert tally.answered.count == 0
    assert tally.served == 0
    assert tally.unanswered.count == 2


@each_driver
def test_a_window_can_be_measured_again_on_the_same_connections(
    driver: MakeDriver,
) -> None:
    accepted: list[socket.socket] = []

    def count(connection: socket.socket) -> None:
        accepted.append(connection)
        scripted.echo(connection)

    with (
        scripted.scripted_server(count) as port,
        closing(driver(AimedLoad(port=port, connections=2))) as driving,
    ):
        driving.open()
        tallies = []
        for _ in range(3):
            driving.measure(0.1, 0.05)
            driving.drain(5.0)
            tallies.append(Tally.from_raw(driving.tally()))
    assert len(accepted) == 2
    for tally in tallies:
        assert sum(tally.requests_per_connection) == tally.requests > 0
        assert faults(tally) == {}


@each_driver
def test_the_time_axis_has_every_interval_and_its_latencies(
    driver: MakeDriver,
) -> None:
    with scripted.scripted_server(scripted.echo) as port:
        tally = drive(driver, port, connections=2, drain=5.0)
    assert tally.interval_seconds == pytest.approx(0.05)
    assert len(tally.interval_requests) == len(tally.interval_latencies) == 4
    for requests, latencies in zip(tally.interval_requests, tally.interval_latencies, strict=True):
        assert requests >= latencies.count > 0
    late = tally.answered.count - sum(h.count for h in tally.interval_latencies)
    assert 0 <= late <= 2  # answered in the drain


@each_driver
@pytest.mark.parametrize("arrivals", ["uniform", "poisson"])
def test_an_open_loop_sends_what_is_due_in_the_window_no_more_and_no_less(
    driver: MakeDriver, arrivals: str
) -> None:
    # Of the schedule: the warm-up covers what is before. No uniform request is due at an edge.
    window_ns = (0.1005e9, 0.3005e9)
    due = itertools.takewhile(lambda due: due < window_ns[1], due_times(1000, arrivals, 7))
    expected = sum(window_ns[0] <= time for time in due)
    with scripted.scripted_server(scripted.echo) as port:
        tally = drive(
            driver, port, connections=4, rate=1000, arrivals=arrivals, seed=7,
            warm_up=0.1005, drain=5.0,
        )  # fmt: skip
    assert faults(tally) == {}
    assert tally.answered.count == tally.services.count == tally.send_lags.count == expected
    assert expected > 100


@each_driver
def test_requests_that_a_silent_server_keeps_waiting_are_unfinished_not_dropped(
    driver: MakeDriver,
) -> None:
    silent = scripted.answers_then(0, scripted.FAULTS["says nothing"][1])
    with scripted.scripted_server(silent) as port:
        tally = drive(driver, port, connections=3, rate=1000, seconds=0.1995)
    assert tally.answered.count == 0
    assert tally.errors["unfinished"] == tally.unanswered.count == 200
    assert tally.send_lags.count == 3  # the others never found a free connection


@each_driver
def test_response_time_counts_the_wait_for_a_free_connection_and_service_time_does_not(
    driver: MakeDriver,
) -> None:
    def takes_10_ms(connection: socket.socket) -> None:
        for request in scripted.requests(connection):
            time.sleep(0.01)
            connection.sendall(scripted.answer(request))

    with scripted.scripted_server(takes_10_ms) as port:
        tally = drive(driver, port, connections=1, rate=200, seconds=0.199, drain=5.0)
    # Request k is due at 5k ms, and 10(k + 1) ms is the soonest that it can be answered.
    assert tally.answered.count == 40
    assert tally.answered.max() >= 1e6 * (400 - 195)
    assert tally.services.min() >= 9_990_000
    assert tally.services.mean() < tally.answered.mean()
    assert tally.send_lags.max() >= 1e6 * (390 - 195)


def test_a_due_request_goes_to_the_connection_that_has_been_free_for_longest() -> None:
    with scripted.scripted_server(scripted.echo) as port:
        tally = drive(Engine, port, connections=5, rate=500, drain=5.0)
    # One connection alone could carry this load; taken in turns they share it about evenly.
    assert min(tally.requests_per_connection) >= 10


@each_driver
def test_idle_connections_prove_that_they_are_served_and_then_keep_quiet(
    driver: MakeDriver,
) -> None:
    lengths: list[int] = []

    def count(connection: socket.socket) -> None:
        requests = 0
        for request in scripted.requests(connection):
            requests += 1
            connection.sendall(scripted.answer(request))
        lengths.append(requests)

    with scripted.scripted_server(count) as port:
        tally = drive(
            driver, port, connections=2, idle_connections=20, connect_at_once=5, drain=5.0
        )
    assert tally.idle_served == 20
    assert sorted(lengths)[:20] == [1] * 20
    assert len(tally.requests_per_connection) == tally.served == 2
    assert faults(tally) == {}


def test_a_connect_whose_syn_was_sent_again_is_counted() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        listener.settimeout(10)

        def accept_late() -> None:
            with contextlib.suppress(OSError):
                while True:
                    listener.accept()[0].close()

        with socket.create_connection(listener.getsockname()):  # it fills the backlog
            late = threading.Timer(0.3, accept_late)  # after the first SYN, before the second
            late.start()
            tally = drive(Engine, listener.getsockname()[1], connections=3, seconds=0.02)
            listener.shutdown(socket.SHUT_RDWR)
            late.join()
    assert tally.connect_retries >= 1
    assert tally.connecting.max() >= 900_000_000


def test_threads_share_the_connections_out_and_add_their_figures_up() -> None:
    with scripted.scripted_server(scripted.echo) as port:
        tally = drive(Engine, port, connections=7, engine_threads=3, drain=5.0)
    assert len(tally.requests_per_connection) == 7
    assert tally.served == 7
    assert sum(tally.requests_per_connection) == sum(tally.interval_requests) == tally.requests
    assert faults(tally) == {}


def test_an_interrupt_ends_the_phase_early(monkeypatch: pytest.MonkeyPatch) -> None:
    under_way = threading.Semaphore(0)  # once for each thread, which has a connection each

    def script(connection: socket.socket) -> None:
        for number, request in enumerate(scripted.requests(connection)):
            if not number:
                under_way.release()
            connection.sendall(scripted.answer(request))

    def interrupt(*_: object) -> None:
        for _thread in range(2):
            assert under_way.acquire(timeout=scripted.TIMEOUT_SECONDS)
        raise KeyboardInterrupt

    with (
        scripted.scripted_server(script) as port,
        closing(Engine(AimedLoad(port=port, connections=2, engine_threads=2))) as engine,
    ):
        engine.open()

        monkeypatch.setattr("concurrent.futures.Future.result", interrupt)
        with pytest.raises(KeyboardInterrupt):
            engine.measure(5.0, 0.1)
        tally = Tally.from_raw(engine.tally())
    # Had the threads gone on, the server would have answered until the end.
    assert len(tally.interval_requests) == 50
    assert tally.interval_requests[-1] == 0


def test_more_intervals_than_memory_is_meant_for_are_refused() -> None:
    with (
        scripted.scripted_server(scripted.echo) as port,
        closing(Engine(AimedLoad(port=port, connections=1))) as engine,
        pytest.raises(ValueError, match="intervals"),
    ):
        engine.measure(1.0, 1.0 / (MAX_INTERVALS + 1))


@given(st.integers(0, 2**62))
def test_the_engine_and_the_reports_share_one_histogram_layout(value_ns: int) -> None:
    assert _engine.slot_of(value_ns) == histogram.slot_of(value_ns)


def test_every_error_kind_is_in_a_tally_zeros_included() -> None:
    with scripted.scripted_server(scripted.echo) as port:
        assert tuple(drive(Engine, port, connections=1, seconds=0.02).errors) == ERROR_KINDS
