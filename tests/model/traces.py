"""Random traces: calls, recursion, exceptions and generators, nested as Python nests them."""

from hypothesis import strategies as st

from model.frames import Frame

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=8)
TEXT = ANY_TEXT | st.sampled_from(
    ["..", "<..>", "<<..>>", "<..", '".."', "<|frame_sep|>", "\ud83d\ude00", '"', "\\", "a\nb\n"]
)
NAMES = st.text("abcxyz_é", min_size=1, max_size=3)
LOCALS = st.dictionaries(NAMES, TEXT | st.sampled_from("01"), max_size=4)


@st.composite
def frames(draw, most=16):
    """Draw the frames of a trace that starts with a call; it may be cut anywhere.

    A yield leaves a scope that a later call may resume with its locals as they were, from any other
    scope, so that generators interleave.
    """
    first = draw(LOCALS)
    found = [Frame("call", draw(TEXT), tuple(first.items()))]
    running, suspended = [first], []
    for _ in range(draw(st.integers(0, most))):
        event = draw(
            st.sampled_from(["line", "line", "line", "call", "return", "yield", "resume", "raise"])
        )
        if event == "line":
            running[-1] = _changed(draw, running[-1])
            found.append(Frame("line", draw(TEXT), tuple(running[-1].items())))
        elif event == "raise":
            found.append(Frame("exception", draw(TEXT), value=draw(TEXT)))
        elif event == "call" or (event == "resume" and suspended):
            again = event == "resume"
            running.append(
                suspended.pop(draw(st.integers(0, len(suspended) - 1))) if again else draw(LOCALS)
            )
            found.append(Frame("call", draw(TEXT), tuple(running[-1].items())))
        elif event in ("return", "yield"):
            found.append(Frame("return", draw(TEXT), value=draw(TEXT)))
            left = running.pop()
            if event == "yield":
                suspended.append(left)
            if not running:
                break
    return tuple(found)


def _changed(draw, before):
    """Draw a scope's next locals: mostly the same, some changed, added or deleted."""
    kept = {name: value for name, value in before.items() if draw(st.integers(0, 4))}
    return {**kept, **draw(LOCALS)} if draw(st.booleans()) else kept
