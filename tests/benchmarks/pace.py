"""Whether ``auto`` finds the pace of a provider, with nothing configured, beside a fixed number.

Rates and spans are those of the provider's own books.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from measure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Bench, Served

LOGNORMAL = {"latency_s": 0.2, "sigma": 0.6}
PATIENCE_S = 180
"""A run that takes longer is stopped, and judged by what it did until then."""


def side_by_side(
    bench: Bench,
    count: int,
    fixed: int,
    **behaviour: Any,  # noqa: ANN401 - a field's own type
) -> tuple[Served, Served]:
    """``auto`` and a fixed number, each with a provider of its own."""
    auto = bench.served(count, at_most_s=PATIENCE_S, **behaviour)
    number = f"runner.max_concurrency={fixed}"
    return auto, bench.served(count, number, at_most_s=PATIENCE_S, **behaviour)


def slots(bench: Bench, count: int = 6000, refused: float = 0.06) -> Iterator[Figure]:
    """A server that takes 32 at once, and answers 503 beyond."""
    auto, fixed = side_by_side(bench, count, 32, slots=32, latency_s=0.1)
    share = auto.rate / fixed.rate
    yield Figure(
        f"{count:,} samples, a server of 32 slots, 503 beyond, 100 ms",
        f"{share:.0%} of a fixed 32; {auto.share(503):.1%} 503s{auto.outcome}",
        f"at least 90%; at most {refused:.0%}; all ok",
        share >= 0.9 and auto.share(503) <= refused and not auto.run.not_ok,
    )


def queue(bench: Bench) -> Iterator[Figure]:
    """A server that serves 32 at once, and lets the rest wait without a word."""
    auto, fixed = side_by_side(bench, 6000, 32, queue=32, latency_s=0.1)
    share, mean = auto.rate / fixed.rate, auto.stats["in_flight"]["second_half"]
    yield Figure(
        "6,000 samples, a silent queue beyond 32, 100 ms",
        f"{share:.0%} of a fixed 32; {mean:.0f} in flight in the second half{auto.outcome}",
        "at least 95%; at most 128; all ok",
        share >= 0.95 and mean <= 128 and not auto.run.not_ok,
    )


def batch(bench: Bench) -> Iterator[Figure]:
    """Continuous batching: 20 steps of 10 ms + 0.1 ms for each request in flight.

    The more in flight, the more answers a second; so the best fixed number is one of the largest.
    """
    behaviour = {"batch_steps": 20, "batch_step_s": 0.01, "batch_step_per_request_s": 0.0001}
    auto, large = side_by_side(bench, 6000, 256, **behaviour)
    middle = bench.served(6000, "runner.max_concurrency=128", **behaviour)
    best = max(large, middle, key=lambda fixed: fixed.rate)
    shares = [
        auto.rate / best.rate,
        auto.stats["answers"]["last_quarter_per_s"] / best.stats["answers"]["last_quarter_per_s"],
    ]
    yield Figure(
        "6,000 samples, continuous batching",
        f"{shares[0]:.0%} of the best of a fixed 128 and 256, {shares[1]:.0%} in the last quarter"
        f"{auto.outcome}",
        "at least 90%, and 90%; all ok",
        min(shares) >= 0.9 and not auto.run.not_ok,
    )


def free(bench: Bench) -> Iterator[Figure]:
    """A server without any limit."""
    for count, least in ((300, 0.75), (3000, 0.9)):
        auto, fixed = side_by_side(bench, count, 64, latency_s=0.2)
        share = auto.rate / fixed.rate
        yield Figure(
            f"{count:,} samples, no limit at all, 200 ms",
            f"{share:.0%} of a fixed 64{auto.outcome}",
            f"at least {least:.0%}; all ok",
            share >= least and not auto.run.not_ok,
        )


def told(bench: Bench, count: int = 1000) -> Iterator[Figure]:
    """3,000 requests/min, told by the headers of the answers."""
    run = bench.served(count, at_most_s=PATIENCE_S, requests_per_minute=3000, **LOGNORMAL)
    yield under_requests(f"{count:,} samples, 3,000 requests/min told by headers", run, 1.10, 0.03)


def untold(bench: Bench) -> Iterator[Figure]:
    """The same limit, told by 429s alone: no header, no Retry-After."""
    silent = {"headers": False, "retry_after": False}
    run = bench.served(1000, at_most_s=PATIENCE_S, requests_per_minute=3000, **silent, **LOGNORMAL)
    yield under_requests("1,000 samples, 3,000 requests/min told by 429s alone", run, 1.20, 0.05)


def configured(bench: Bench) -> Iterator[Figure]:
    """The same limit, in the config."""
    limit = "runner.requests_per_minute=3000"
    run = bench.served(1000, limit, requests_per_minute=3000, **LOGNORMAL)
    yield under_requests("1,000 samples, 3,000 requests/min configured", run, 1.05, 0.005)


def under_requests(what: str, run: Served, most: float, refused: float) -> Figure:
    """A run beside the time that 3,000 requests/min dictate."""
    answered = run.stats["statuses"].get("200", 0)
    return under_limit(what, run, (answered - 50) / 50, most, refused)


def under_limit(what: str, run: Served, dictated_s: float, most: float, refused: float) -> Figure:
    ratio, share = run.stats["span_s"] / dictated_s, run.share(429)
    return Figure(
        what,
        f"{run.stats['span_s']:.1f} s, {ratio:.3f} of the limit's; {share:.1%} 429s{run.outcome}",
        f"at most {most:.2f}; {refused:.1%}; all ok",
        ratio <= most and share <= refused and not run.run.not_ok,
    )


def tokens(bench: Bench) -> Iterator[Figure]:
    """200,000 tokens/min, samples of uneven length."""
    for how, options, most, refused in (
        ("told by headers", (), 1.10, 0.03),
        ("configured", ("runner.tokens_per_minute=200000",), 1.05, 0.005),
    ):
        limit = {"tokens_per_minute": 200_000, **LOGNORMAL}
        run = bench.served(1000, *options, uneven=True, at_most_s=PATIENCE_S, **limit)
        rate = 200_000 / 60
        dictated_s = (run.stats["tokens"] - rate) / rate
        what = f"1,000 samples of uneven length, 200,000 tokens/min {how}"
        yield under_limit(what, run, dictated_s, most, refused)
