from __future__ import annotations

import pytest

from lm_eval_so.runner.strategy.limit_headers import Told, read_limits


def openai(unit: str, limit: object, remaining: object, reset: str) -> dict[str, str]:
    values = {"limit": limit, "remaining": remaining, "reset": reset}
    return {f"x-ratelimit-{name}-{unit}": str(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({}, {}, id="none"),
        pytest.param(
            openai("requests", 3000, 2999, "20ms") | openai("tokens", 60_000, 59_000, "1s"),
            {"requests": Told(50, 2999), "tokens": Told(1000, 59_000)},
            id="openai",
        ),
        pytest.param(
            openai("requests", 14_400, 14_370, "2m59.56s"),
            {"requests": Told(pytest.approx(1 / 6, rel=0.01), 14_370)},
            id="counted-by-the-day",
        ),
        pytest.param(
            openai("requests", 3000, 49, "20ms"), {"requests": Told(50, 49)}, id="small-bucket"
        ),
        pytest.param(
            openai("requests", 60, 60, "0s"), {"requests": Told(1, 60)}, id="nothing-used"
        ),
        pytest.param(
            {"ratelimit-limit": "100", "ratelimit-remaining": "50", "ratelimit-reset": "30"},
            {"requests": Told(pytest.approx(100 / 60), 50)},
            id="generic",
        ),
        pytest.param(
            {"ratelimit-limit": "100, 100;w=10", "ratelimit-remaining": "50"},
            {"requests": Told(10, 50)},
            id="window-in-the-limit",
        ),
        pytest.param(
            {
                "ratelimit-limit": "100",
                "ratelimit-policy": "100;w=10",
                "ratelimit-remaining": "50",
            },
            {"requests": Told(10, 50)},
            id="window-in-the-policy",
        ),
        pytest.param(
            {"x-ratelimit-limit": "100", "x-ratelimit-remaining": "9"},
            {"requests": Told(pytest.approx(100 / 60), 9)},
            id="generic-x",
        ),
        pytest.param(openai("requests", "many", 1, "1s"), {}, id="no-number"),
        pytest.param(openai("requests", 0, 0, "1s"), {}, id="zero"),
        pytest.param(openai("requests", 60, -1, "1s"), {"requests": Told(1, 0)}, id="none-left"),
        pytest.param(openai("tokens", 60, "nan", "1s"), {}, id="nan"),
        pytest.param(
            openai("requests", 60, 1, "1790000000"), {"requests": Told(1, 1)}, id="point-in-time"
        ),
    ],
)
def test_limits_are_read_off_the_headers(
    headers: dict[str, str], expected: dict[str, Told]
) -> None:
    assert read_limits(headers) == expected
