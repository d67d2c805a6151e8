"""The pulse that ends what a stop has left: one at a time."""

from __future__ import annotations

from servers.life.stopping import Stop


def test_a_pulse_that_comes_while_another_is_at_work_does_nothing() -> None:
    stop = Stop()
    begun: list[int] = []

    def each_pulse() -> None:
        begun.append(len(begun))
        if len(begun) < 3:
            stop._pulse()  # as the next SIGALRM does when this one takes too long

    stop.each_pulse = each_pulse
    stop._pulse()
    assert begun == [0]
    stop._pulse()  # and the next one has its turn
    assert begun == [0, 1]
