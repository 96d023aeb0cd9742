"""What all values are made of."""

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A frozen value."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())


def absent(value: object) -> bool:
    """Whether a field is left out of what is written."""
    return value is None
