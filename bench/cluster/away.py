"""A conductor that sends blocks away: each goes whole to one host, which takes all its trials.

A Dask task is a block. It is pinned to a worker and never repeated, neither by Dask nor by us: when
the worker dies the trial under way has failed, for that reason, and those that it had not come to
are not tried. Workers on one machine take turns, whatever their number: of all that share a kernel
one has a block at a time.
"""

from __future__ import annotations

__all__ = ["Away"]

import dataclasses
import json
import pickle
import queue
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from bench.cluster.block import Order
from bench.cluster.connecting import ClusterError
from bench.cluster.hosts import Host
from bench.measure.noise import Noise
from bench.measure.placement import Placement, allowed_cpus
from bench.measure.trial import untried
from bench.plan.order import PlannedCell, PlannedTrial
from bench.plan.rates import capacity
from bench.plan.scenarios import Profile, find_profile
from bench.run.conduct import PROBE_SECONDS, Look
from reports.record import Sample

LOOK_SECONDS = 1.0
END_SECONDS = 5.0
KEPT = (
    *("name", "machine", "fingerprint", "versions"),
    *("clock_ahead_ns", "round_trip_ns", "idle_cpu_share", "idle_switches_per_second"),
)
"""What the record of a run keeps of a host: not where it can be reached."""


@dataclasses.dataclass(slots=True)
class Sent:
    """A block under way."""

    host: Host
    trials: Sequence[PlannedTrial]
    future: Any
    done: int = 0  # trials of which there is a record


class Away:
    """Runs blocks on the hosts of a cluster; a `Place` of `bench.run.conduct`."""

    def __init__(
        self,
        client: Any,
        hosts: Sequence[Host],
        cpus: Placement | None,
        say: Callable[[str], object],
    ) -> None:
        from bench.cluster.task import Ending

        self._client = client
        self._hosts = list(hosts)
        self._all = tuple(hosts)
        self._cpus = cpus
        self._say = say
        self._heard: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._topic = f"threadmill-{secrets.token_hex(8)}"
        self._used: dict[str, int] = dict.fromkeys((host.name for host in hosts), 0)
        self._number = 0
        client.register_plugin(Ending())
        client.subscribe_topic(self._topic, lambda event: self._heard.put(event[1]))
        client.subscribe_topic("all", lambda event: self._heard.put(event[1]))

    def look(self) -> Look:
        """Return what the first host is like before a run."""
        found = [event for event in self._alone([], find_profile("quick"), "") if "noise" in event]
        if not found:
            raise ClusterError(f"host {self._all[0].name} did not say what it is like")
        return Look(
            Noise(**found[0]["noise"]),
            found[0]["wake_up_ns"],
            self._all[0].fingerprint,
            {"hosts": [self._record(host) for host in self._all]},
        )

    def capacities(
        self,
        probes: Iterable[PlannedCell],
        profile: Profile,
        finished: Callable[[PlannedCell, float], object],
    ) -> dict[PlannedCell, float]:
        """Measure on the first host what each probe's model can do."""
        short = dataclasses.replace(profile, window_seconds=PROBE_SECONDS, ceiling_seconds=0.0)
        found = {}
        for probe in probes:
            for values in self._alone([PlannedTrial(probe, block=0)], short, ""):
                found[probe] = capacity(Sample.from_json(values))
                finished(probe, found[probe])
        return found

    def samples(
        self, blocks: Iterator[list[PlannedTrial]], profile: Profile, run_id: str
    ) -> Iterator[Sample]:
        """Yield the record of each trial as it comes in; KeyboardInterrupt after all that have."""
        under_way: dict[int, Sent] = {}
        begun, more = 0, True
        try:
            while more or under_way:
                # What was added for the sake of precision looks at all that went before.
                while more and (host := self._free(under_way)):
                    if begun >= profile.blocks and under_way:
                        break
                    trials = next(blocks, None)
                    more = trials is not None
                    if trials:
                        begun += 1
                        self._send(under_way, host, trials, profile, run_id)
                if not under_way:
                    if more:
                        raise ClusterError("no host is left to run on")
                    return
                yield from self._hear(under_way, run_id)
        except KeyboardInterrupt:
            yield from self._call_off(under_way)
            raise
        finally:
            self._client.cancel([sent.future for sent in under_way.values()])

    def _record(self, host: Host) -> dict[str, Any]:
        values = dataclasses.asdict(host)
        return {name: values[name] for name in KEPT}

    def _free(self, under_way: dict[int, Sent]) -> Host | None:
        busy = {sent.host.machine for sent in under_way.values()}
        free = [host for host in self._hosts if host.machine not in busy]
        return min(free, key=lambda host: self._used[host.name], default=None)

    def _send(
        self,
        under_way: dict[int, Sent],
        host: Host,
        trials: Sequence[PlannedTrial],
        profile: Profile,
        run_id: str,
    ) -> None:
        from bench.cluster.task import run_block

        self._number += 1
        self._used[host.name] += 1
        order = pickle.dumps(Order(trials, profile, run_id, self._cpus))
        future = self._client.submit(
            run_block,
            order,
            host.incarnation,
            self._topic,
            self._number,
            key=f"{self._topic}-{self._number}",
            workers=[host.address],
            allow_other_workers=False,
            retries=0,
            pure=False,
        )
        under_way[self._number] = Sent(host, trials, future)

    def _next(self, seconds: float) -> dict[str, Any] | None:
        try:
            return self._heard.get(timeout=seconds)
        except queue.Empty:
            return None

    def _hear(self, under_way: dict[int, Sent], run_id: str) -> Iterator[Sample]:
        """Wait for one event, and yield the records that follow from it."""
        event = self._next(LOOK_SECONDS)
        if event is None:
            lost: dict[int, str] = {}
            if self._client.status != "running":
                lost = dict.fromkeys(under_way, "the scheduler is gone")
                self._hosts.clear()
            lost = lost or {
                number: words for number, sent in under_way.items() if (words := _silent(sent))
            }
        elif event.get("action") == "remove-worker":
            gone = event["worker"]
            self._hosts = [host for host in self._hosts if host.address != gone]
            lost = {
                number: "its worker died"
                for number, sent in under_way.items()
                if sent.host.address == gone
            }
        elif event.get("block", 0) not in under_way:
            return
        elif "line" in event:
            yield self._taken(under_way[event["block"]], json.loads(event["line"]))
            return
        elif not event["ended"]:
            del under_way[event["block"]]
            return
        else:
            lost = {event["block"]: event["ended"]}
        for number, reason in lost.items():
            yield from self._failed(under_way.pop(number), reason, run_id)

    def _taken(self, sent: Sent, values: dict[str, Any]) -> Sample:
        sample = Sample.from_json(values)
        sent.done += not sample.cell.is_reference
        return dataclasses.replace(sample, host=sent.host.name)

    def _failed(self, sent: Sent, reason: str, run_id: str) -> Iterator[Sample]:
        """Yield the trial under way as failed, and say what of its block was not tried."""
        self._client.cancel([sent.future])
        left = sent.trials[sent.done :]
        if not left:
            return
        sentence = f"host {sent.host.name} was lost in this trial: {reason}"
        blank = untried(left[0], run_id, self._cpus or allowed_cpus())
        if len(left) > 1:
            self._say(
                f"{len(left) - 1} trials of block {left[0].block} are not tried:"
                f" host {sent.host.name} was lost ({reason.splitlines()[0]})"
            )
        yield dataclasses.replace(blank, failure=sentence, host=sent.host.name)

    def _call_off(self, under_way: dict[int, Sent]) -> Iterator[Sample]:
        """Have every block end, and yield what was finished by then."""
        self._client.cancel([sent.future for sent in under_way.values()])
        deadline = time.monotonic() + END_SECONDS
        while under_way and (left := deadline - time.monotonic()) > 0:
            event = self._next(left) or {}
            sent = under_way.get(event.get("block", 0))
            if sent and "line" in event:
                yield self._taken(sent, json.loads(event["line"]))
            elif sent:
                del under_way[event["block"]]

    def _alone(
        self, trials: Sequence[PlannedTrial], profile: Profile, run_id: str
    ) -> Iterator[dict[str, Any]]:
        """Run something on the first host, and yield the records as they are."""
        under_way: dict[int, Sent] = {}
        self._send(under_way, self._all[0], trials, profile, run_id)
        (number,) = under_way
        while True:
            event = self._next(LOOK_SECONDS) or {}
            if not event and (words := _silent(under_way[number])):
                raise ClusterError(f"host {self._all[0].name}: {words}")
            if event.get("block") == number and "line" in event:
                yield json.loads(event["line"])
            elif event.get("block") == number:
                if event["ended"]:
                    raise ClusterError(f"host {self._all[0].name}: {event['ended']}")
                return
            elif event.get("worker") == self._all[0].address or self._client.status != "running":
                raise ClusterError(f"host {self._all[0].name} was lost before the run")


def _silent(sent: Sent) -> str:
    """Return why a block will not be heard of again; empty: it is under way.

    To be asked when nothing has come for a while: a block's last event is sent before Dask is told
    that its task is finished, by the same way, so one that is finished and silent has none.
    """
    match sent.future.status:
        case "pending":
            return ""
        case "finished":
            return "its task ended without a word, as on a worker that was started anew"
        case "error":
            return f"its worker gave up: {sent.future.exception()}"
    return "its task was dropped by the scheduler"
