"""What small fits learn and answer, to the last bit, as it was written down.

Bits belong to one kind of processor, one torch and one number of threads: where these are others,
nothing is compared, and the reason of the skip says what differs. A case that fails where they
are the same has been changed. `support/bits.py` says when that may be, and how it is recorded.
"""

import bits
import pytest

RECORD = bits.recorded()
OTHERS = bits.elsewhere(RECORD)


def test_cases_are_those_that_were_written_down():
    assert set(bits.CASES) == set(RECORD["cases"])


# an order of names, so that it is the same in all processes
@pytest.mark.parametrize("case", sorted(bits.CASES))
def test_bits_are_what_they_were(case):
    if OTHERS:
        pytest.skip("bits were written down elsewhere: " + "; ".join(OTHERS))
    different = bits.differences(bits.bits(case), RECORD["cases"].get(case, {}))
    assert not different, f"{case}: {', '.join(different)}"
