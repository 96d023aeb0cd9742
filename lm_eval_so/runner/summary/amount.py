"""What requests take, as one value: a budget bounds it, and the run directory keeps its total."""

from typing import NamedTuple


class Amount(NamedTuple):
    """What requests took, or will take.

    Attributes:
        requests: Attempts.
        tokens: Of prompts and answers together.
        usd: US dollars, for the tokens whose price is known.
        unpriced_input_tokens: Tokens of prompts that are not in ``usd``: no price was known.
        unpriced_output_tokens: The same, of answers.
    """

    requests: float = 0.0
    tokens: float = 0.0
    usd: float = 0.0
    unpriced_input_tokens: float = 0.0
    unpriced_output_tokens: float = 0.0

    def plus(self, other: "Amount") -> "Amount":
        """The sum. Written out, since every attempt needs it several times."""
        return Amount(
            self.requests + other.requests,
            self.tokens + other.tokens,
            self.usd + other.usd,
            self.unpriced_input_tokens + other.unpriced_input_tokens,
            self.unpriced_output_tokens + other.unpriced_output_tokens,
        )

    def minus(self, other: "Amount") -> "Amount":
        """The difference."""
        return Amount(
            self.requests - other.requests,
            self.tokens - other.tokens,
            self.usd - other.usd,
            self.unpriced_input_tokens - other.unpriced_input_tokens,
            self.unpriced_output_tokens - other.unpriced_output_tokens,
        )
