"""A run directory in parts; here is what tells one from the others, which load no more of this."""

from pathlib import Path

SHARDS = "shards.json"
PARTS = "parts"


def may_be_in_parts(run_dir: Path) -> bool:
    """Whether a command that worked by shards has left anything of its own."""
    return (run_dir / SHARDS).exists() or (run_dir / PARTS).exists()
