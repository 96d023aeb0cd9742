"""How a command ended, for a shell."""

from enum import IntEnum

_SIGNAL = 128


class ExitCode(IntEnum):
    """What a command leaves; those above 128 are 128 and the number of the signal."""

    OK = 0
    SAMPLES_FAILED = 1
    NOT_CARRIED_OUT = 2
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143

    @classmethod
    def of_signal(cls, number: int) -> "ExitCode":
        """The code of a command that the signal ended."""
        return cls(_SIGNAL + number)


def by_signal(exit_code: int) -> bool:
    """Whether a signal ended what left this exit code."""
    return exit_code > _SIGNAL
