from __future__ import annotations

import pytest

from lm_eval_so.runner.backends.http.proxy import find_proxy, is_excepted
from lm_eval_so.runner.errors import BackendSetupError

SERVER = "https://models.example/v1"
PLAIN = "http://models.example:8000/v1"


@pytest.mark.parametrize(
    ("address", "variables", "url", "variable"),
    [
        (SERVER, {"HTTPS_PROXY": "http://p:1"}, "http://p:1", "HTTPS_PROXY"),
        (SERVER, {"https_proxy": "http://p:1"}, "http://p:1", "https_proxy"),
        (SERVER, {"https_proxy": "http://p:1", "HTTPS_PROXY": "x"}, "http://p:1", "https_proxy"),
        (SERVER, {"HTTPS_PROXY": "http://p:1", "ALL_PROXY": "x"}, "http://p:1", "HTTPS_PROXY"),
        (SERVER, {"ALL_PROXY": "http://p:1", "HTTP_PROXY": "x"}, "http://p:1", "ALL_PROXY"),
        (PLAIN, {"HTTP_PROXY": "http://p:1", "HTTPS_PROXY": "x"}, "http://p:1", "HTTP_PROXY"),
        (PLAIN, {"http_proxy": "p:3128"}, "http://p:3128", "http_proxy"),
        (PLAIN, {"ALL_PROXY": "https://p"}, "https://p", "ALL_PROXY"),
        (PLAIN, {"HTTP_PROXY": " http://p:1\r"}, "http://p:1", "HTTP_PROXY"),
        (PLAIN, {"HTTP_PROXY": "user:pass@p:1"}, "http://user:pass@p:1", "HTTP_PROXY"),
    ],
)
def test_the_proxy_is_the_one_its_variable_names(
    address: str, variables: dict[str, str], url: str, variable: str
) -> None:
    found = find_proxy(address, variables)
    assert found is not None
    assert (found.url, found.source) == (url, f"the variable {variable}")


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"HTTP_PROXY": "http://p:1"},
        {"HTTPS_PROXY": "", "ALL_PROXY": " "},
        {"https_proxy": "", "HTTPS_PROXY": "http://p:1"},
        {"ALL_PROXY": "socks5://p:1", "NO_PROXY": "models.example"},
        {"HTTPS_PROXY": "nonsense of all kinds", "no_proxy": "*"},
    ],
)
def test_nothing_is_used_that_is_not_for_the_address(variables: dict[str, str]) -> None:
    assert find_proxy(SERVER, variables) is None


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("socks://127.0.0.1:9/", "a SOCKS proxy"),
        ("socks5://user:hunter2@p:1080", "a SOCKS proxy"),
        ("socks5h://p:1080", "a SOCKS proxy"),
        ("SOCKS4://p", "a SOCKS proxy"),
        ("ftp://p:21", "must start with http"),
        ("http://p:99999", "no valid port"),
        ("http://:3128", "no valid host"),
        ("p q", "a space"),
        ('"http://p:3128"', "in quotes"),
        ("http://p\r\nX:1", "a line break"),
        ("http://user:hun#ter2@p:3128", "percent-encoded"),
        ("http://user:hun/ter2@p:3128", "percent-encoded"),
        ("http://us%3Aer:hunter2@p:1", "a colon"),
        ("http://user:hunter2\u20ac@p:1", "outside Latin-1"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_a_sentence(variable: str, value: str, why: str) -> None:
    with pytest.raises(BackendSetupError, match=why) as raised:
        find_proxy(SERVER, {variable: value})
    assert f"the variable {variable} " in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "hun" not in str(raised.value)


@pytest.mark.parametrize(
    ("no_proxy", "host"),
    [
        ("*", "models.example"),
        ("a, *", "models.example"),
        ("models.example", "models.example"),
        ("example", "models.example"),
        (".example", "models.example"),
        ("*.example", "models.example"),
        ("MODELS.example", "models.Example"),
        ("models.example:8000", "models.example"),
        ("models.example", "models.example."),
        ("http://models.example", "models.example"),
        ("other,,models.example ", "models.example"),
        ("other models.example", "models.example"),
        ("localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1:8000", "127.0.0.1"),
        ("10.0.0.0/8", "10.1.2.3"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("[::1]:8000", "::1"),
        ("fd00::/8", "fd12::1"),
        ('"models.example"', "models.example"),
        ("'other', 'models.example'", "models.example"),
    ],
)
def test_no_proxy_names_a_host(no_proxy: str, host: str) -> None:
    assert is_excepted(host, 8000, no_proxy)


@pytest.mark.parametrize(
    ("no_proxy", "host"),
    [
        ("", "models.example"),
        (",", "models.example"),
        (".", "models.example"),
        ("ample", "models.example"),
        ("models.example", "mymodels.example.org"),
        ("models.example:9000", "models.example"),
        ("127.0.0.1:9000", "127.0.0.1"),
        ("10.0.0.0/8", "11.1.2.3"),
        ("10.0.0.0/8", "models.example"),
        ("1.2.3.4", "fd12::1"),
        ("localhost", "127.0.0.1"),
    ],
)
def test_no_proxy_names_no_other_host(no_proxy: str, host: str) -> None:
    assert not is_excepted(host, 8000, no_proxy)


def test_the_settings_of_the_system_count_where_no_variable_does() -> None:
    def settings(host: str) -> dict[str, str]:
        return {"https": "http://p:1"} if host == "models.example" else {}

    found = find_proxy(SERVER, {}, settings)
    assert found is not None
    assert "named by the proxy settings of this system" in found.shown
    other = find_proxy(SERVER, {"ALL_PROXY": "http://q:1"}, settings)
    assert other is not None
    assert other.url == "http://q:1"


def test_a_password_is_not_shown() -> None:
    found = find_proxy(SERVER, {"HTTPS_PROXY": "http://user:hunter%32@p:3128/"})
    assert found is not None
    assert found.shown == "the proxy http://p:3128 (named by the variable HTTPS_PROXY)"
    assert "hunter" not in repr(found)
    assert found.secrets == ["hunter%32", "hunter2"]


@pytest.mark.parametrize("blank", [" ", "\t", "\r\n"])
def test_a_blank_setting_is_none(blank: str) -> None:
    """Where a variable is blank, Python gives it out as a setting of the system too."""
    environ = {"HTTPS_PROXY": blank}
    assert find_proxy("https://models.example/v1", environ, lambda _: {"https": blank}) is None
