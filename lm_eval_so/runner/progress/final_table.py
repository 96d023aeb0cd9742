"""The end of a run: a short table and the paths."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.progress.answers import first_answers
from lm_eval_so.runner.progress.units import duration, milliseconds, number, part_of
from lm_eval_so.runner.run.report import RunReport
from lm_eval_so.runner.summary.summarise import Summary

_INDENT = "  "
_MOST_SERVERS = 8
_OUTCOME = {"samples", "selected", "requests"}  # rows of the one line


def print_report(report: RunReport, console: Console) -> None:
    """Prints the summary and the first answers, if there are any, and the paths of the files."""
    if report.summary is not None:
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        for label, value in _rows(report, report.summary):
            table.add_row(label, value)
        for label, value in _errors(report.summary):
            table.add_row(label, Text(value, no_wrap=True, overflow="ellipsis"))
        console.print(table)
        _print_verdict(report, console)
        _print_answers(report, console)
    for label, path in (("results", report.results_path), ("metadata", report.metadata_path)):
        console.print(f"{label:<9} {path}", soft_wrap=True, markup=False, highlight=False)


def _print_verdict(report: RunReport, console: Console) -> None:
    """What is not as it should be; nothing of a run that is complete."""
    if report.verdict is None:
        return
    if report.verdict.outcome != "complete":
        _print_words(f"verdict   {report.verdict}", console)
    for warning in report.verdict.warnings:
        _print_words(f"warning   {warning}", console)


def _print_words(words: str, console: Console) -> None:
    console.print(words, soft_wrap=True, markup=False, highlight=False)


def _print_answers(report: RunReport, console: Console) -> None:
    try:
        lines = list(first_answers(report.results(), console.width - len(_INDENT)))
    except StoreError:  # another file is in its place now
        return
    for line in ["first answers", *(_INDENT + line for line in lines)] if lines else []:
        console.print(line, markup=False, highlight=False, no_wrap=True, overflow="crop")


def one_line(report: RunReport) -> str:
    """The outcome of a run, in one line."""
    if report.summary is None:
        return f"stopped at once; {report.run_dir}"
    words = [value for label, value in _rows(report, report.summary) if label in _OUTCOME]
    return f"{', '.join(words)}; {report.run_dir}"


def _rows(report: RunReport, summary: Summary) -> list[tuple[str, str]]:
    counts = summary.status_counts
    rows = [("samples", ", ".join(f"{n} {status}" for status, n in counts.items()) or "none")]
    if answers := ", ".join(_answers(summary)):
        rows.append(("answers", answers))
    selected, of = report.selection.selected, report.selection.of
    if selected < of:
        rows.append(("selected", part_of(selected, of)))
    if summary.resumed:
        rows.append(("resumed", f"{summary.resumed} already answered"))
    if latency := summary.latency_ms:
        values = (f"{name} {milliseconds(latency[name])}" for name in ("p50", "p90", "p99", "max"))
        rows.append(("latency", ", ".join(values)))
    if first := summary.time_to_first_token_ms:
        values = (f"{name} {milliseconds(first[name])}" for name in ("p50", "p90", "p99"))
        rows.append(("to first token", ", ".join(values)))
    if summary.by_replica:
        rows.append(("servers", _servers(summary)))
    if summary.tokens["total"]:
        rows.append(("tokens", _tokens(summary.tokens)))
    if summary.cost_usd is not None:
        rows.append(("cost", f"{summary.cost_usd:,.4g} US dollars"))
    sent = f"{summary.requests:,} in {duration(summary.wall_time_s)}"
    if summary.requests:
        sent += f", {number(summary.results_per_s)} results/s"
    rows.append(("requests", sent))
    return rows


def _answers(summary: Summary) -> Iterator[str]:
    """What is to be said of the answers, where they are not simply answers."""
    for name in ("truncated", "refused", "empty"):
        if count := getattr(summary, name):
            yield f"{count:,} {name}"
    if repeats := summary.repeats:
        yield f"repeats all alike for {repeats.all_equal:.0%} of {repeats.samples:,} samples"


def _servers(summary: Summary) -> str:
    """The replicas with the most samples: ``node1:8000 1,412 (p50 51 ms, 2 failed)``."""
    replicas = sorted(summary.by_replica.items(), key=lambda item: -item[1].n)
    words = []
    for name, found in replicas[:_MOST_SERVERS]:
        notes = (
            [] if found.latency_p50_ms is None else [f"p50 {milliseconds(found.latency_p50_ms)}"]
        )
        notes += [f"{found.failed:,} failed"] if found.failed else []
        words.append(f"{_short(name)} {found.n:,} ({', '.join(notes)})")
    rest = len(replicas) - _MOST_SERVERS
    return ", ".join(words) + (f", and {rest} more" if rest > 0 else "")


def _short(name: str) -> str:
    """``node1:8000`` of ``http://node1:8000/v1``; ``KEY_2`` of ``https://host/v1 (KEY_2)``."""
    address, _, key = name.partition(" ")
    return key.strip("()") or urlsplit(address).netloc or name


def _tokens(tokens: dict[str, int]) -> str:
    asked, answered = f"{tokens['input']:,} in", f"{tokens['output']:,} out"
    if tokens.get("cached"):
        asked += f" ({tokens['cached']:,} cached)"
    if tokens.get("reasoning"):
        answered += f" ({tokens['reasoning']:,} reasoning)"
    return f"{asked}, {answered}"


def _errors(summary: Summary) -> Iterator[tuple[str, str]]:
    """A row for each type of error, with its most common message."""
    label = "errors"
    for kind, count in summary.error_counts.items():
        yield label, f"{count} {kind}: {summary.error_messages[kind]}".removesuffix(": ")
        label = ""
