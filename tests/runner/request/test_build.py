from __future__ import annotations

from lm_eval_so.runner.models import RunConfig, TestSample
from lm_eval_so.runner.request.build import RequestBuilder, configs_of_repeats
from lm_eval_so.runner.request.key import RequestKeys

SAMPLE = TestSample.model_validate(
    {
        "id": "s",
        "messages": [{"role": "user", "content": "q"}],
        "tools": [{"type": "function", "function": {"name": "f"}}],
    }
)
SEEDED = RunConfig(backend="b", model="m", parameters={"seed": 5})


def test_a_request_has_what_is_sent_and_the_key_of_it() -> None:
    requests = RequestBuilder(SEEDED, endpoint="https://a/v1", trace_prefix="pre")
    key = requests.key(SAMPLE)
    request = requests.build(SAMPLE, 3, 0, key)
    assert (request.messages, request.parameters) == (SAMPLE.messages, SAMPLE.parameters)
    assert (request.index, request.repeat, request.run_config) == (3, 0, SEEDED)
    assert request.trace_id.startswith("pre-s-")
    assert key == RequestKeys(SEEDED, "https://a/v1").key(request.messages, request.parameters)


def test_each_repeat_is_another_question_with_a_seed_of_its_own() -> None:
    requests = RequestBuilder(SEEDED, repeats=3)
    built = [requests.build(SAMPLE, n, n, requests.key(SAMPLE, n)) for n in range(3)]
    assert [request.run_config.parameters["seed"] for request in built] == [5, 6, 7]
    assert len({request.request_key for request in built}) == 3
    assert ["-r1-" in request.trace_id for request in built] == [False, True, False]


def test_repeats_without_a_seed_share_one_config() -> None:
    config = RunConfig(backend="b", model="m")
    assert configs_of_repeats(config, 2) == [config, config]
