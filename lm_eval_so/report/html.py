"""One HTML file that shows a board: no network, no server, nothing that is run but the page."""

import base64
import hashlib
import html
import zlib
from collections.abc import Iterator
from pathlib import Path

from lm_eval_so.report.board import Board
from lm_eval_so.report.json_text import json_bytes
from lm_eval_so.runner.errors import LmEvalError

PAGE = Path(__file__).parent / "page"
"""Where the built page is."""

_LEVEL = 9  # of the compression
_RAW_DEFLATE = -15  # window bits: no header, as DecompressionStream('deflate-raw') wants it
_NO_SCRIPT = (
    "This page needs JavaScript, which is switched off here. The results are in run_results.jsonl, "
    "beside it."
)


def html_of(board: Board, page: Path = PAGE) -> Iterator[bytes]:
    """The file, piece by piece: everything but the blocks first, then the blocks one by one.

    The same board gives the same bytes, but for ``created_at`` of the manifest.

    Args:
        board: What it shows.
        page: Folder of the built page.

    Raises:
        LmEvalError: The page is not built.
        StoreError: A results file cannot be read.
    """
    script, style = (_built(page / name) for name in ("page.js", "page.css"))
    manifest = board.manifest()
    yield _head(manifest["title"], script, style).encode()
    yield b'<script type="application/json" id="manifest">'
    yield json_bytes(manifest).replace(b"<", b"\\u003c")
    yield b"</script>\n"
    yield from _packed("index", board.columns())
    yield f"<script>{script}</script>\n".encode()
    for number in range(board.blocks):
        yield from _packed(f"block-{number}", board.block(number))
    yield b"</body></html>\n"


def _head(title: str, script: str, style: str) -> str:
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src 'sha256-{_sha256(script)}'",
            f"style-src 'sha256-{_sha256(style)}'",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{html.escape(_encodable(title))}</title>\n<style>{style}</style></head>\n"
        f'<body><div id="app"></div><noscript>{_NO_SCRIPT}</noscript>\n'
    )


def _built(path: Path) -> str:
    """A file of the built page, as it can stand within its element."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise LmEvalError(
            f"the page of reports is not built: {path} cannot be read ({error.strerror}); install "
            "the package again, or in a checkout run: cd lm_eval_so/report/web && npm ci && npm "
            "run build"
        ) from error
    return text.replace("</script", "<\\/script").replace("</style", "<\\/style")


def _packed(name: str, content: bytes) -> Iterator[bytes]:
    """An element that holds bytes, compressed."""
    packing = zlib.compressobj(_LEVEL, wbits=_RAW_DEFLATE)
    packed = packing.compress(content) + packing.flush()
    yield f'<script type="application/octet-stream" id="{name}">'.encode()
    yield base64.b64encode(packed)
    yield b"</script>\n"


def _encodable(text: str) -> str:
    return text.encode(errors="replace").decode()


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
