"""Rows of scores survive their way through the journal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.scoring.rows import pack, unpack


@given(hnp.arrays(np.float64, st.tuples(st.integers(0, 9), st.integers(1, 5))))
def test_rows_come_back_bit_for_bit(rows: np.ndarray) -> None:
    found = unpack(pack(rows), rows.shape[1] - 1)

    assert found.tobytes() == rows.tobytes()


@pytest.mark.parametrize("text", ["", "AAAA", "not base64 at all", pack(np.ones(5))])
def test_text_that_holds_no_rows_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpack(text, 3)
