"""A sample in the making: what the columns gave, before a layout has put it in shape."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(kw_only=True)
class Draft:
    """The parts of a sample, each as its cell holds it; None where there is none.

    Attributes:
        input: What the user says; a layout may leave a list of messages.
        messages: The conversation; it counts before ``input``.
        metadata: Columns that nothing else uses; a layout takes out of it what it needs.
        parameters: What is sent beside the messages, such as ``tools``.
    """

    id: Any = None
    input: Any = None
    system: Any = None
    messages: Any = None
    expected: Any = None
    tags: Any = None
    metadata: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
