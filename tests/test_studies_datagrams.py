"""What the studies of datagrams say, of figures that are known."""

from __future__ import annotations

from bench.plan.order import cells
from bench.plan.scenarios import find_profile
from reports.studies.udp_loss import Count
from servers.catalog import find
from tests.studies_datagrams import echo_sample, loss_sample, size_sample
from tests.test_studies import drawn, figures, found

MODELS = ("serial", "process")


def test_udp_beside_tcp_says_what_the_difference_buys_and_what_it_loses() -> None:
    samples = [
        echo_sample(model, block, transport, cpu_us)
        for block in range(1, 4)
        for model, transport, cpu_us in (
            ("serial", "udp", 8.0),
            ("process", "udp", 9.0),
            ("thread-pool", "tcp", 10.0),
        )
    ]
    section = found("udp", samples)
    assert section.finding == (
        "Without a connection a request saves 2.00 us of the server\u2019s CPU (8.00 us with"
        " serial, 10.0 with thread-pool: 0.800 of it), and what it loses is every promise:"
        " order, once and no more, and arrival (0 requests were lost here)."
    )
    assert [figures(section, name)[0] for name in ("serial", "thread-pool")] == ["UDP", "TCP"]
    chart = drawn("udp", samples)
    assert all(
        words in chart for words in ("serial over UDP", "process over UDP", "thread-pool over TCP")
    )


def test_udp_without_tcp_has_nothing_to_stand_beside() -> None:
    assert drawn("udp", [echo_sample("serial", 1, "udp", 8.0)]) == ""


LOSSES = [
    *(loss_sample("serial", rate, 8_192, lost) for rate, lost in ((5_000, 1_000), (40_000, 9_000))),
    *(loss_sample("serial", rate, 106_496, lost) for rate, lost in ((5_000, 0), (40_000, 5_000))),
    loss_sample("process", 5_000, 8_192, 0),
    loss_sample("process", 40_000, 8_192, 1_000, late=500, dropped=495),
    loss_sample("process", 5_000, 106_496, 0),
    loss_sample("process", 40_000, 106_496, 1_000, dropped=900),
]


def test_loss_is_given_by_rate_and_buffer_beside_the_kernel_s_count() -> None:
    section = found("udp-loss", LOSSES)
    assert section.finding == (
        "At 40,000/s serial loses 90% of the requests with a receive buffer of 8,192 B, and process"
        " 10% with 8,192 B; in 6 of 8 cells what we count as lost and what the kernel says it"
        " dropped differ by no more than 1%."
    )
    assert figures(section, "serial") == ("10%", "90%", "10,000", "10,000", "10,000", "0%")
    assert figures(section, "process", 1) == ("0%", "10%", "1,000", "900", "900", "11%")
    assert all(f"receive buffer of {size} B" in drawn("udp-loss", LOSSES) for size in ("8,192",))


def test_counts_of_nothing_agree_and_a_loss_that_the_kernel_knows_not_is_all_apart() -> None:
    assert Count(0, 0, 0).apart == 0
    assert Count(10, 0, 0).apart == 1
    assert Count(99, 100, 100).apart == 0.01
    assert Count(100, 900, 100).apart == 0  # somebody else's were among the 900


SIZES = [
    size_sample(model, size, link, cpu_us, fragments=fragments)
    for model in MODELS
    for size, link, cpu_us, fragments in (
        (64, "", 8.0, 0),
        (1_473, "", 8.0, 0),
        (64, "veth", 8.0, 0),
        (1_473, "veth", 12.0, 2),
    )
]


def test_size_says_where_fragments_begin_and_what_they_cost() -> None:
    section = found("udp-size", SIZES)
    assert section.finding == (
        "From 64 to 1,473 B a datagram of serial goes in 2 fragments instead of whole, at"
        " 1.500 times the CPU."
    )
    assert [cell.split(", ")[-1] for cell in figures(section, "serial", 1)] == ["0", "2"]
    assert "over veth, MTU 1,500" in drawn("udp-size", SIZES)


def test_size_over_loopback_alone_says_that_it_is() -> None:
    section = found("udp-size", [sample for sample in SIZES if not sample.serving.link])
    assert section.finding.startswith("Only loopback")


def test_models_of_datagrams_are_in_the_rows_over_udp_of_the_profile_and_in_no_others() -> None:
    paired = cells([find("udp"), find("thread")], find_profile("udp").scenarios)
    assert [(cell.model.name, cell.scenario.name) for cell in paired] == [
        ("udp", "udp-echo"),
        ("udp", "udp-wait"),
        ("thread", "echo"),
    ]
