"""Who is there: workers that were heard of lately."""


class Workers:
    """Workers by name; each call that a worker makes is a sign that it lives.

    Args:
        lives_s: Seconds of silence after which a worker counts as gone.
    """

    def __init__(self, lives_s: float) -> None:
        self._lives_s = lives_s
        self._heard: dict[str, float] = {}  # the one that was silent for longest comes first

    def __len__(self) -> int:
        return len(self._heard)

    def heard(self, worker: str, now: float) -> None:
        """Notes a call."""
        self._heard.pop(worker, None)
        self._heard[worker] = now

    def silent(self, now: float) -> list[str]:
        """Workers that have been silent for too long."""
        silent = []
        for worker, at in self._heard.items():
            if now - at <= self._lives_s:
                break
            silent.append(worker)
        return silent

    def gone(self, worker: str) -> None:
        """Forgets a worker."""
        self._heard.pop(worker, None)
