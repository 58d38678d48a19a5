"""What a call is refused with; shared by the tests of hostile input."""

from isoloss.errors import CODES, IsolossError


def coded(call):
    """The code of the refusal, which must be one of the table, or what came of the call."""
    try:
        return "", call()
    except IsolossError as error:
        code, text = error.code, str(error)
    assert code in CODES
    assert len(text) < 2_000  # an unknown law is told which ones there are
    return code, None
