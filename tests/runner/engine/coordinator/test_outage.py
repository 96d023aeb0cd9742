from __future__ import annotations

from lm_eval_so.runner.engine.coordinator.outage import Away, Outages

WORDS = "connection refused"


def declared(workers: int = 3) -> Outages:
    table = Outages(wait=60)
    for name in "abc"[:workers]:
        table.report(name, WORDS, 10.0, workers=workers)
    assert table.declared
    return table


def orders(table: Outages, names: str, now: float) -> dict[str, Away]:
    return {name: table.order(name, now).away for name in names}


def test_when_all_report_everybody_holds_and_one_probes() -> None:
    got = orders(declared(), "abc", 10.1)
    assert sorted(away.name for away in got.values()) == ["HOLD", "HOLD", "PROBE"]


def test_one_of_many_speaks_for_itself_only() -> None:
    table = Outages(wait=60)
    table.report("a", WORDS, 10.0, workers=5)
    assert orders(table, "ab", 10.0) == {"a": Away.PROBE, "b": Away.GO}


def test_a_few_of_many_speak_for_all_when_nobody_was_answered_for_a_while() -> None:
    table = Outages(wait=60)
    table.answered("z", 9.0, left_s=0.5)
    for name in "abc":
        table.report(name, WORDS, 10.0, workers=100)
    assert not table.declared
    for name in "abc":
        table.report(name, WORDS, 12.5, workers=100)
    assert table.declared


def test_an_answer_anywhere_ends_it_if_its_request_left_later() -> None:
    table = declared()
    table.answered("z", 11.0, left_s=5.0)
    assert table.declared, "a server that is shut down finishes what it has"
    table.answered("z", 11.0, left_s=0.5)
    assert orders(table, "abcz", 11.0) == dict.fromkeys("abcz", Away.GO)


def test_one_that_failed_and_one_that_did_not_probe_in_turns() -> None:
    table = Outages(wait=60)
    for name in "abc":
        table.report(name, WORDS, 10.0, workers=6)
    assert table.declared
    probed = []
    for step in range(4):
        now = 11.0 + step
        got = orders(table, "abcxyz", now)
        (prober,) = (name for name, away in got.items() if away is Away.PROBE)
        probed.append(prober in "abc")
        table.report(prober, WORDS, now, workers=6)
    assert probed[:2] == [False, True]


def test_a_prober_that_is_gone_or_silent_is_replaced() -> None:
    table = declared()
    first = next(n for n, away in orders(table, "abc", 10.1).items() if away is Away.PROBE)
    table.gone(first)
    others = "abc".replace(first, "")
    assert Away.PROBE in orders(table, others, 10.2).values()
    assert list(orders(table, others, 30.0).values()).count(Away.PROBE) == 2, "the silent one too"


def test_probes_get_rarer_up_to_two_seconds() -> None:
    table = declared()
    now, waits = 10.0, []
    for _ in range(8):
        order = next(o for o in (table.order(n, now) for n in "abc") if o.away is Away.PROBE)
        waits.append(round(order.in_s, 6))
        now += order.in_s
        for name in "abc":
            table.report(name, WORDS, now, workers=3)
    assert waits == sorted(waits)
    assert waits[0] < 0.2
    assert waits[-1] == 2.0


def test_the_run_is_given_up_after_the_wait_and_not_before() -> None:
    table = declared()
    assert table.given_up(69.9) is None
    assert table.given_up(70.0) == WORDS


def test_a_worker_that_alone_reaches_nobody_has_to_leave_and_the_run_goes_on() -> None:
    table = Outages(wait=60)
    for now in range(0, 62, 2):
        table.report("a", WORDS, float(now), workers=2)
        table.answered("b", now + 0.5, left_s=0.4)
    assert orders(table, "ab", 62.0) == {"a": Away.LEAVE, "b": Away.GO}
    assert table.given_up(62.0) is None
