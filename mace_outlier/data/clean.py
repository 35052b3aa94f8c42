"""Strings out of data files are untrusted: what is shown of them goes through `clean`."""


def clean(text: object, limit: int = 120) -> str:
    """Return `text` on one line: what can't be seen is spelled out, and the middle left out beyond `limit` characters.

    Escape sequences can't reach a terminal, nor can characters that reverse the direction of writing.
    """
    shown = str(text)
    if len(shown) > 2 * limit:  # spelling out can't make it shorter
        shown = shown[:limit] + shown[-limit:]
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)
    if len(shown) > limit:
        tail = 2 * limit // 3  # the end of a path says more than its beginning
        shown = f"{shown[: limit - tail - 1]}…{shown[-tail:]}"
    return shown
