"""Errors that are no load, and servers that go away, with the default config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from measure import Figure, Served, provider
from pace import PATIENCE_S, side_by_side
from support.nginx import Nginx, missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Bench

LATENCY = {"latency_s": 0.2}


def errors(bench: Bench) -> Iterator[Figure]:
    """5% random 503: the rate of ``auto`` beside a fixed 64's."""
    auto, fixed = side_by_side(bench, 5000, 64, error_share=0.05, **LATENCY)
    yield share_of("5,000 samples, 5% random 503, 200 ms", "a fixed 64", auto, fixed, 0.85)


def waits(bench: Bench) -> Iterator[Figure]:
    """2% random 503 with Retry-After, beside the same server without."""
    faults = {"error_share": 0.02, "error_retry_after_s": 1}
    yield beside_without(bench, "10,000 samples, 2% 503 with Retry-After 1", 10_000, **faults)


def refused(bench: Bench) -> Iterator[Figure]:
    """10% of the connections are refused, beside the same server that takes all."""
    what = "5,000 samples, 10% refused connections"
    yield beside_without(bench, what, 5000, close=True, refuse_share=0.1)


def beside_without(
    bench: Bench,
    what: str,
    count: int,
    *,
    close: bool = False,
    **faults: Any,  # noqa: ANN401 - a field's own type
) -> Figure:
    """The default config against a server with faults, and against the same without."""
    with_faults, without = (
        bench.served(count, at_most_s=PATIENCE_S, close=close, **LATENCY, **some)
        for some in (faults, {})
    )
    return share_of(what, "the rate without", with_faults, without, 0.8)


def share_of(what: str, other: str, run: Served, beside: Served, least: float) -> Figure:
    share = run.rate / beside.rate
    sent = run.run.metadata["summary"]["requests"]
    lost = 1 - run.stats["statuses"].get("200", 0) / sent
    return Figure(
        what,
        f"{share:.0%} of {other}; {lost:.1%} of the attempts failed{run.outcome}",
        f"at least {least:.0%}; all ok",
        share >= least and not run.run.not_ok,
    )


def nginx_limit(bench: Bench) -> Iterator[Figure]:
    """nginx `limit_req` of 20/s without burst and without headers, before a server of 5 ms."""
    zone = "limit_req_zone $binary_remote_addr zone=all:1m rate=20r/s;"
    for status in (503, 429):
        location = f"limit_req zone=all; limit_req_status {status};"
        what = f"200 samples, nginx limit_req 20/s with {status}, 5 ms"
        if missing():
            yield Figure(what, missing(), "nginx", met=True)
            continue
        run = behind_nginx(bench, 200, http=zone, location=location, latency_s=0.005)
        ratio = run.stats["span_s"] / ((run.stats["requests"] - 1) / 20)
        yield Figure(
            what,
            f"{run.stats['span_s']:.1f} s, {ratio:.2f} of the limit's{run.outcome}",
            "at most 1.30; all ok",
            ratio <= 1.3 and not run.run.not_ok,
        )


def outage(bench: Bench) -> Iterator[Figure]:
    """The server behind nginx is away for 15 s, which nginx answers with 502; 16 in flight."""
    what = "1,000 samples, the server behind nginx away for 15 s"
    if missing():
        yield Figure(what, missing(), "nginx", met=True)
        return
    options = ("runner.max_concurrency=16",)
    run = behind_nginx(bench, 1000, *options, latency_s=0.1, away=(2, 17), away_status=0)
    yield Figure(
        what,
        f"{run.run.not_ok} samples not ok, {run.stats['span_s']:.0f} s",
        "all ok",
        not run.run.not_ok,
    )


def behind_nginx(
    bench: Bench,
    count: int,
    *overrides: str,
    http: str = "",
    location: str = "",
    **behaviour: Any,  # noqa: ANN401 - a field's own type
) -> Served:
    """``count`` samples through an nginx; the books are those of the server behind it."""
    bench.runs += 1
    folder = bench.folder / f"nginx-{bench.runs}"
    with provider(**behaviour) as server, Nginx(folder, server.port, http, location) as nginx:
        run = bench.ours(
            bench.dataset(count), server.behind(nginx.port), *overrides, at_most_s=PATIENCE_S
        )
        return Served(run, server.stats())
