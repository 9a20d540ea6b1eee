"""Which language to answer in: asked for, else the card's, else the terminal's, else the dealer's."""


def choose(*, requested: str | None, card_bin: str | None, terminal: str | None, dealer: str) -> str:
    """A BCP 47 tag. No card range is known yet, so a BIN does not decide."""
    return requested or terminal or dealer
