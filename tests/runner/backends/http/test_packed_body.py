from __future__ import annotations

import gzip
import zlib

import pytest

from lm_eval_so.runner.backends.http.packed_body import unpacking

BODY = b'{"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}'


def raw_deflate(body: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packing.compress(body) + packing.flush()


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        pytest.param("", BODY, id="plain"),
        pytest.param("", gzip.compress(BODY), id="header-dropped"),
        pytest.param("gzip", gzip.compress(BODY), id="gzip"),
        pytest.param("GZIP", gzip.compress(BODY), id="capitals"),
        pytest.param("x-gzip", gzip.compress(BODY), id="older-name"),
        pytest.param("gzip", gzip.compress(BODY[:9]) + gzip.compress(BODY[9:]), id="members"),
        pytest.param("gzip", gzip.compress(BODY) + bytes(8), id="padded"),
        pytest.param("gzip", gzip.compress(gzip.compress(BODY)), id="packed-twice"),
        pytest.param("gzip, gzip", gzip.compress(gzip.compress(BODY)), id="and-said-so"),
        pytest.param("gzip", BODY, id="not-packed"),
        pytest.param("identity", BODY, id="identity"),
        pytest.param("utf-8", BODY, id="no-coding"),
        pytest.param("deflate", zlib.compress(BODY), id="deflate"),
        pytest.param("deflate", raw_deflate(BODY), id="deflate-without-its-header"),
    ],
)
def test_a_body_is_unpacked_however_it_comes(coding: str, packed: bytes, size: int) -> None:
    unpack = unpacking({"Content-Encoding": coding} if coding else {})
    pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
    assert b"".join(part for piece in pieces for part in unpack(piece)) == BODY
    unpack.end()


@pytest.mark.parametrize("packed", [zlib.compress(BODY), raw_deflate(BODY)])
def test_a_cut_deflate_is_told(packed: bytes) -> None:
    unpack = unpacking({"Content-Encoding": "deflate"})
    b"".join(unpack(packed[:-1]))
    with pytest.raises(zlib.error):
        unpack.end()
