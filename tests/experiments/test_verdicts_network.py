"""The verdict rules of the experiments on sockets and datagrams, on figures that were made up."""

from __future__ import annotations

import pytest

from bench.experiments.sockets import digest, nagle, receive_size, udp_edges
from bench.experiments.sockets.backlog import AGAIN, WAITING
from tests.experiments.made_up import Figures, judged, one_figure, verdict

NAGLE, NODELAY = nagle.case_of(nodelay=False, quick=False), nagle.case_of(nodelay=True, quick=False)
QUICK = nagle.case_of(nodelay=False, quick=True)
STUCK = ("as they are", "largest")
HEADED = ("behind their length", "as they were sent")
SHELL, SPAWN = ("the shell itself", "a command"), ("os.posix_spawn", "a command")
LAST = "last answer, in units"

CASES = [
    *judged(
        "sticky",
        {STUCK: 40, HEADED: 100},
        ("refuted", {STUCK: 20}),
        ("refuted", {HEADED: (99, 100)}),
        ("untold", {STUCK: (20, 40)}),
    ),
    *judged(
        "receive-size",
        {
            ("recv(1024), once", receive_size.GOT): 0.015,
            ("recv(1024), once", receive_size.STALE): 1,
        },
        ("refuted", {("recv(1024), once", receive_size.GOT): 1.0}),
        ("refuted", {("recv(1024), once", receive_size.STALE): 0}),
        ("untold", {("recv(1024), once", receive_size.GOT): (0.01, 0.5)}),
    ),
    *judged(
        "nagle",
        one_figure(nagle.FIGURE, {NAGLE: 0.04, NODELAY: 0.0001, QUICK: 0.0001}),
        ("refuted", one_figure(nagle.FIGURE, {NAGLE: 0.0001})),
        ("refuted", one_figure(nagle.FIGURE, {QUICK: 0.04})),
        ("untold", one_figure(nagle.FIGURE, {NAGLE: (0.0003, 0.04)})),
    ),
    *judged(
        "backlog",
        {("listen(5)", WAITING): 5, ("SYN, time 1", AGAIN): 1.02},
        ("refuted", {("listen(5)", WAITING): 6}),
        ("refuted", {("SYN, time 1", AGAIN): 3.0}),
        ("untold", {("SYN, time 1", AGAIN): (0.9, 1.5)}),
    ),
    *judged(
        "empty",
        {
            ("TCP", "something arrives"): 0,
            ("UDP", "something arrives"): 1,
            ("UDP", "bytes of the first receive"): 0,
        },
        ("refuted", {("TCP", "something arrives"): 1}),
        ("refuted", {("UDP", "something arrives"): 0}),
        ("refuted", {("UDP", "bytes of the first receive"): 4}),
    ),
    *judged(
        "udp-edges",
        {
            ("100 of 20 B", udp_edges.LARGEST): 20,
            ("recv(10) of 20 B", udp_edges.REST): 0,
            ("one of 1,472 B", udp_edges.ARRIVED): 1,
            ("one of 65,508 B", udp_edges.ARRIVED): 0,
        },
        ("refuted", {("100 of 20 B", udp_edges.LARGEST): 40}),
        ("refuted", {("recv(10) of 20 B", udp_edges.REST): 1}),
        ("refuted", {("one of 1,472 B", udp_edges.ARRIVED): 0}),
    ),
    *judged(
        "udp-delay",
        one_figure(LAST, {"one after another": 8.1, "a thread each": 1.1}),
        ("refuted", one_figure(LAST, {"one after another": 1.2})),
        ("refuted", one_figure(LAST, {"a thread each": 8})),
        ("untold", one_figure(LAST, {"a thread each": (1, 4)})),
    ),
    *judged(
        "command",
        {SHELL: 3, SPAWN: 1},
        ("refuted", {SHELL: 0.9}),
        ("untold", {SHELL: (0.9, 1.4)}),
    ),
    *judged(
        "digest",
        one_figure(digest.CPU, {digest.NONE: 1, digest.MD5: 4, "SHA-256": 5, "BLAKE2b": 6}),
        ("refuted", one_figure(digest.CPU, {"SHA-256": 2})),
        ("refuted", one_figure(digest.CPU, {digest.NONE: 4})),
        ("untold", one_figure(digest.CPU, {"SHA-256": (3, 6)})),
    ),
]


@pytest.mark.parametrize(("name", "figures", "expected"), CASES)
def test_a_verdict_follows_from_the_figures(name: str, figures: Figures, expected: str) -> None:
    assert verdict(name, figures) == expected


def test_without_a_watched_syn_only_the_number_that_wait_is_judged() -> None:
    assert verdict("backlog", {("listen(5)", WAITING): 5}) == "holds"


def test_without_another_digest_it_cannot_be_told_which_is_the_cheapest() -> None:
    figures = one_figure(digest.CPU, {digest.NONE: 1, digest.MD5: 4})
    assert verdict("digest", figures) == "untold"
