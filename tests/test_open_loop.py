"""A server that stands still: what an open loop sees of it and a closed loop does not.

On counts of events, with no upper bound on any time: a slower machine can only add late responses.
"""

from __future__ import annotations

import socket
import threading
import time

from clients.engine.driver import Engine
from clients.load import AimedLoad
from clients.targets import known as known_server
from reports.histogram import slot_of
from reports.tally import Tally
from tests.scripted import Script, answer, requests, scripted_server

STALL_SECONDS, PERIOD_SECONDS, WINDOW_SECONDS = 0.1, 0.4, 0.8
RATE = 1_000.0
LATE_NS = 10_000_000


def stalling() -> Script:
    """Return a script that answers nothing in the first part of every period."""
    answer_time = known_server.stall(STALL_SECONDS, PERIOD_SECONDS)
    turn = threading.Lock()  # the stall is the server's, not a connection's

    def script(connection: socket.socket) -> None:
        for request in requests(connection):
            with turn:
                while (left := answer_time(now := time.monotonic()) - now) > 0:
                    time.sleep(left)
            connection.sendall(answer(request))

    return script


def drive(load: AimedLoad) -> Tally:
    engine = Engine(load)
    try:
        engine.open()
        engine.measure(WINDOW_SECONDS, WINDOW_SECONDS)
        engine.drain(5.0)
        return Tally.from_raw(engine.tally())
    finally:
        engine.close()


def late(tally: Tally) -> int:
    """Return how many responses took longer than LATE_NS."""
    return int(tally.answered.counts[slot_of(LATE_NS) + 1 :].sum())


def test_an_open_loop_counts_every_request_that_was_due_in_a_stall() -> None:
    with scripted_server(stalling()) as port:
        tally = drive(AimedLoad(port=port, connections=4, rate=RATE))
    assert tally.answered.count == RATE * WINDOW_SECONDS  # nothing was dropped
    # Due in a stall more than 10 ms before its end: late, whatever the machine does. A window of
    # whole periods holds this many of them, less one at either edge of each of three stalls.
    stalls = WINDOW_SECONDS / PERIOD_SECONDS
    must = stalls * (STALL_SECONDS - LATE_NS / 1e9) * RATE - 2 * (stalls + 1)
    assert late(tally) >= must


def test_most_of_what_a_closed_loop_sees_is_not_late() -> None:
    with scripted_server(stalling()) as port:
        closed = drive(AimedLoad(port=port, connections=4))
    # A fifth and more of the time is stalled; it asks once per connection and stall meanwhile.
    assert closed.requests > 2 * late(closed)


def test_the_stall_rule_moves_every_time_in_a_stall_to_its_end_and_no_other() -> None:
    answered = known_server.stall(0.25, 1.0)
    assert [answered(now) for now in (8.0, 8.125, 8.25, 8.5, 9.0)] == [8.25, 8.25, 8.25, 8.5, 9.25]
    assert known_server.delay(0.5)(8.0) == 8.5
