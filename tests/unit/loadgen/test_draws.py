"""What is drawn from the order seed, as lists to be gone round."""

from math import gcd

from harness.loadgen.draws import STRIDE, chosen, seeded_order


def test_an_order_goes_round_every_query_as_often_as_any_other() -> None:
    order = seeded_order(3, 16)
    counts = {order.count(number) for number in range(16)}

    assert len(counts) == 1
    assert seeded_order(3, 16) == order != seeded_order(4, 16)


def test_one_query_of_each_stride_is_looked_at_and_the_first_among_them() -> None:
    looks = chosen(5)
    strides = [looks[at : at + STRIDE] for at in range(0, len(looks), STRIDE)]

    assert looks[0]
    assert all(sum(stride) == 1 for stride in strides)
    assert chosen(5) == looks != chosen(6)


def test_the_looks_do_not_fall_on_the_same_queries_every_round() -> None:
    assert gcd(len(chosen(1)), len(seeded_order(1, 16))) == 1
