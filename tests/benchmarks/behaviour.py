"""What a fake provider is told to do: JSON on its command line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Behaviour:
    """What the server does. All is off by default: every question is answered at once.

    How long an answer takes, one of:

    Attributes:
        latency_s: Median seconds before an answer.
        sigma: Spread of the log-normal latency, or of the steps of ``batch_steps``.
        queue: With ``latency_s``: so many are served at once, and the rest wait in the order of
            arrival, without a word; 0 for any number.
        batch_steps: Continuous batching: an answer takes so many steps, and all that are in flight
            advance together; 0 for none.
        batch_step_s, batch_step_per_request_s: A step takes ``batch_step_s +
            batch_step_per_request_s * in flight`` seconds.

    What is refused:

    Attributes:
        slots: Requests in progress beyond which 503 is answered; 0 for any number.
        requests_per_minute, tokens_per_minute: Limits beyond which 429 is answered; 0 for none.
        burst_s: Seconds' worth of a limit that may come at once.
        headers: Whether answers tell the limits.
        retry_after: Whether a 429 tells how long to wait.

    What goes wrong, by chance. Shares are of all requests; such an answer comes at once, and counts
    towards the limits:

    Attributes:
        error_share: Answered with one of ``error_statuses``.
        error_statuses: Drawn from evenly.
        error_retry_after_s: Seconds, told in Retry-After with such an error; None for no header.
        garbage_share: A 200 whose JSON is cut off.
        reset_share: The connection is reset instead of an answer.
        refuse_share: Of *connections*, about so many are refused (ECONNREFUSED): nobody listens for
            that share of the time, in gaps of random length with a mean of some milliseconds.
            Each answer closes its connection, so that every attempt has to connect.
        close: Each answer closes its connection.
        away: From one to another second after the first request, the server is away: it answers
            everything with ``away_status``.
        away_status: 0 means that nobody listens, and that open connections are reset.
    """

    latency_s: float = 0.0
    sigma: float = 0.0
    queue: int = 0
    batch_steps: float = 0.0
    batch_step_s: float = 0.0
    batch_step_per_request_s: float = 0.0
    slots: int = 0
    requests_per_minute: float = 0.0
    tokens_per_minute: float = 0.0
    burst_s: float = 1.0
    headers: bool = True
    retry_after: bool = True
    error_share: float = 0.0
    error_statuses: tuple[int, ...] = (503,)
    error_retry_after_s: float | None = None
    garbage_share: float = 0.0
    reset_share: float = 0.0
    refuse_share: float = 0.0
    close: bool = False
    away: tuple[float, float] | None = None
    away_status: int = 502
