"""The words of the list, in English and Korean."""

from collections.abc import Mapping
from types import MappingProxyType

_ENGLISH = {
    "language": "en",
    "title": "Runs",
    "sweeps": "Sweeps",
    "runs": "Runs",
    "name": "Name",
    "dataset": "Dataset",
    "cells": "Cells",
    "state": "State",
    "ok": "ok",
    "failed": "failed",
    "owed": "owed",
    "started": "Started",
    "took": "Time",
    "compare": "Compare what is picked",
    "pick": "Pick",
    "filter": "Filter",
    "nothing": "There is no run in this folder yet. A run in it appears here by itself.",
    "counting": "still counting",
    "links": "links that lead out of this folder are not followed",
    "part": "This folder is too large to be looked into as a whole: name one further down.",
    "states": {
        "running": "running",
        "stopped": "stopped",
        "complete": "complete",
        "partial": "partial",
        "aborted": "aborted",
        "invalid": "invalid",
        "damaged": "damaged",
        "owed": "owed",
    },
}
_KOREAN = {
    "language": "ko",
    "title": "실행 목록",
    "sweeps": "스윕",
    "runs": "실행",
    "name": "이름",
    "dataset": "데이터셋",
    "cells": "셀",
    "state": "상태",
    "ok": "성공",
    "failed": "실패",
    "owed": "미완료",
    "started": "시작",
    "took": "소요 시간",
    "compare": "선택한 실행 비교",
    "pick": "선택",
    "filter": "필터",
    "nothing": "이 폴더에는 아직 실행이 없습니다. 실행을 시작하면 여기에 자동으로 나타납니다.",
    "counting": "집계 중",
    "links": "개의 링크는 폴더 밖을 가리키므로 따라가지 않습니다",
    "part": "폴더가 너무 커서 일부만 살펴보았습니다. 하위 폴더를 지정하십시오.",
    "states": {
        "running": "실행 중",
        "stopped": "중지됨",
        "complete": "완료",
        "partial": "일부",
        "aborted": "중단됨",
        "invalid": "무효",
        "damaged": "손상됨",
        "owed": "미완료",
    },
}


def words_for(accepted: str) -> Mapping[str, object]:
    """The words in the language that a browser asks for.

    Args:
        accepted: The header ``Accept-Language``; the first language that we have counts.
    """
    for part in accepted.split(","):
        language = part.strip().lower()[:2]
        if language in {"ko", "en"}:
            return MappingProxyType(_KOREAN if language == "ko" else _ENGLISH)
    return MappingProxyType(_ENGLISH)
