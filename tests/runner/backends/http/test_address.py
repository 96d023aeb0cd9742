from __future__ import annotations

import pytest
from yarl import URL

from lm_eval_so.runner.backends.http.address import address_fault, endpoint_fault, shown

PATH = "/chat/completions"
FINE = [
    "http://127.0.0.1:8000/v1",
    "https://api.openai.com/v1",
    "HTTP://localhost/v1",
    "http://[::1]:8000/v1",
    "http://my_vllm:8000/v1",  # a service of docker compose
    "http://host.docker.internal:1234",
    "https://models.example./v1",
    "https://bücher.example/v1",
    "https://x/openai/deployments/d?api-version=2024-10-21",
    "https://user:pass@host/v1",
    "https://host:/v1",
    "https://host/v1/",
    "https://host:65535",
    "https://1.2.3.example/v1",
    "https://4chan/v1",
]
WRONG = {
    "": "is empty",
    "127.0.0.1:8000/v1": "must start with http",
    "localhost:8000/v1": "must start with http",
    "api.openai.com": "must start with http",
    "//host/v1": "must start with http",
    "htp://host/v1": "must start with http",
    "https:/host/v1": "must start with http",
    "ftp://host/v1": "must start with http",
    "ws://host/v1": "must start with http",
    '"http://host/v1"': "in quotes",
    "'http://host/v1'": "in quotes",
    "http://host/v1'": "in quotes",
    "\u201chttp://host/v1\u201d": "in quotes",
    "http://ho st/v1": "a space",
    "http://host/v1\r\nX: y": "a line break",
    "http://host/\tv1": "a line break",
    "http://host\x00/v1": "a line break",
    "http://host/v1\u200b": "a line break",
    "http:///v1": "no valid host",
    "http://:8000/v1": "no valid host",
    "http://[::1/v1": "no valid host",
    "http://[fe80]/v1": "no valid host",
    "http://a..b:80/v1": "no valid host",
    f"http://{'a' * 64}.example/v1": "no valid host",
    "http://{host}/v1": "no valid host",
    "http://<your-host>/v1": "no valid host",
    "http://$HOST/v1": "no valid host",
    "http://127.1:8000/v1": "no valid IPv4 address: four numbers from 0 to 255",
    "http://127.0.0.256/v1": "no valid IPv4 address",
    "http://127.0.0.01/v1": "no valid IPv4 address",
    "http://2130706433/v1": "no valid IPv4 address",
    "http://1.2.3.4.5/v1": "no valid IPv4 address",
    "http://host:99999/v1": "no valid port",
    "http://host:0/v1": "no valid port",
    "http://host:port/v1": "no valid port",
    "http://host:-1/v1": "no valid port",
    "http://host/v1#part": "after '#'",
}


@pytest.mark.parametrize("address", FINE)
def test_an_address_that_can_be_sent_to_has_no_fault(address: str) -> None:
    assert address_fault(address) is None
    assert URL(address).host


@pytest.mark.parametrize("address", WRONG)
def test_an_address_that_cannot_be_sent_to_is_told_why(address: str) -> None:
    fault = address_fault(address)
    assert fault is not None
    assert WRONG[address] in fault
    assert "\n" not in fault


@pytest.mark.parametrize("end", ["", "/", "?api-version=2024-10-21"])
@pytest.mark.parametrize("base", ["http://host/v1", "https://x/openai/deployments/d"])
def test_an_address_that_holds_the_path_already_is_told(base: str, end: str) -> None:
    assert endpoint_fault(f"{base}{end}", PATH) is None
    fault = endpoint_fault(f"{base}{PATH}{end}", PATH)
    assert fault == "must end before /chat/completions, which is added to it"


def test_what_may_be_a_secret_is_not_repeated() -> None:
    assert shown("host:80/v1") == ", got 'host:80/v1'"
    assert shown("user:hunter2@host") == ""
    assert shown("host/v1?key=secret") == ""
