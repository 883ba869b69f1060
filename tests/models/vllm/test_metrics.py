"""What a server's metrics say, and when it counts as stalled."""

from engine.models.vllm.metrics import Sample, Stall, measured, read

PAGE = """# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="a \\"b\\" {c}"} 3.0
vllm:num_requests_waiting{engine="0",model_name="base"} 4.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="base",reason="capacity"} 9.0
vllm:kv_cache_usage_perc{engine="0",model_name="base"} 0.25
vllm:prompt_tokens_total{engine="0",model_name="base"} 1e+03 1795667209
vllm:generation_tokens_total{engine="0",model_name="base"} 500.0
vllm:prefix_cache_queries_total{engine="0",model_name="base"} 1000.0
vllm:prefix_cache_hits_total{engine="0",model_name="base"} 750.0
python_info{version="3.11"} 1.0
"""


def test_the_page_of_a_server_is_read():
    assert read(PAGE) == Sample(3, 4, 0.25, 1000.0, 500.0, 1000.0, 750.0)


def test_several_engines_are_added_up_and_the_fullest_cache_counts():
    second = PAGE.replace('engine="0"', 'engine="1"').replace("0.25", "0.75")
    assert read(PAGE + second) == Sample(6, 8, 0.75, 2000.0, 1000.0, 2000.0, 1500.0)


def test_what_is_not_reported_or_is_no_number_is_none():
    assert read("") == Sample()
    assert read("<html>\x00") == Sample()
    assert (
        read('vllm:num_requests_running{a="b" NaN\nvllm:kv_cache_usage_perc NaN\nvllm:prompt_tokens_total -1')
        == Sample()
    )


def test_rates_are_of_the_time_since_the_last_sample_and_unknown_after_a_restart():
    before = Sample(0, 0, 0.1, 1000.0, 500.0, 1000.0, 750.0)
    event = measured("s", before, Sample(1, 2, 0.2, 1600.0, 700.0, 1600.0, 1200.0), 2.0)
    assert (event.prompt_rate, event.generation_rate, event.prefix_hits) == (300.0, 100.0, 0.75)
    assert (event.running, event.waiting, event.kv_cache) == (1, 2, 0.2)
    again = measured("s", before, Sample(0, 0, 0.0, 10.0, 5.0, 0.0, 0.0), 2.0)
    assert (again.prompt_rate, again.generation_rate, again.prefix_hits) == (None, None, None)
    first = measured("s", None, before, 2.0)
    assert (first.prompt_rate, first.prefix_hits) == (None, None)
    idle = measured("s", before, before, 2.0)
    assert (idle.prompt_rate, idle.prefix_hits) == (0.0, None)


def test_a_stall_is_tokens_that_stand_still_while_requests_run():
    stall = Stall()
    busy = Sample(running=2, prompt_tokens=10.0, generation_tokens=5.0)
    assert [stall.of(busy, now) for now in (0.0, 1.0, 5.0)] == [0.0, 0.0, 4.0]
    assert stall.of(Sample(running=2, prompt_tokens=10.0, generation_tokens=6.0), 6.0) == 0.0
    assert [stall.of(Sample(running=0, prompt_tokens=10.0, generation_tokens=6.0), now) for now in (7.0, 99.0)] == [
        0,
        0,
    ]
    assert [stall.of(Sample(running=2), now) for now in (100.0, 200.0)] == [0, 0]  # it reports no tokens: not known
