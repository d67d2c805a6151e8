"""What a hostile author may write: any text and any JSON, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

ANY_TEXT = st.text(st.characters())  # with surrogates and control characters
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
    max_leaves=20,
)
"""What `json` itself would write: NaN, integers of any size and lone surrogates with it."""
