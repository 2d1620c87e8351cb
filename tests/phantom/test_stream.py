import statistics

import numpy as np

from benchmark.phantom.stream import STREAMS, Stream, raw_bytes


def test_the_raw_stream_never_changes():
    # first words of Philox 4x64-10 for this key and counter; a change would change every patient
    stream = Stream(0, 0, "body")
    assert [stream.uniform() for _ in range(3)] == [0.011547, 0.241549, 0.111426]


def test_streams_of_one_patient_differ():
    draws = {Stream(0, 0, name).uniform() for name in STREAMS}
    assert len(draws) == len(STREAMS)


def test_uniform_and_normal_draws_have_their_moments():
    stream = Stream(3, 5, "lesions")
    uniform = [stream.uniform(2.0, 4.0) for _ in range(4000)]
    assert min(uniform) > 2.0
    assert max(uniform) < 4.0
    assert abs(statistics.fmean(uniform) - 3.0) < 0.04
    normal = [stream.normal(1.0, 2.0) for _ in range(4000)]
    assert abs(statistics.fmean(normal) - 1.0) < 0.12
    assert abs(statistics.stdev(normal) - 2.0) < 0.1
    assert max(abs(value - 1.0) for value in normal) <= 6.0


def test_choice_follows_the_weights_and_never_takes_weight_zero():
    stream = Stream(3, 6, "lesions")
    counts = np.bincount([stream.choice((3.0, 0.0, 1.0)) for _ in range(4000)], minlength=3)
    assert counts[1] == 0
    assert abs(counts[0] / 4000 - 0.75) < 0.03


def test_bytes_are_even():
    values = raw_bytes(0, 1, "noise", 100001)
    assert values.shape == (100001,)
    assert abs(values.mean() - 127.5) < 1.0
