from hypothesis import given
from hypothesis import strategies as st

from federation import health
from federation.health import Origin, Standing, after
from federation.models import Health, Phase

CONNECTED = Standing(Health.CONNECTED, successes=2)
RESULTS = st.lists(st.tuples(st.sampled_from(Origin), st.booleans()), max_size=40)


def play(standing: Standing, *results: bool, origin: Origin = Origin.CHECK) -> Standing:
    for succeeded in results:
        standing = after(standing, origin=origin, succeeded=succeeded)
    return standing


class TestAfter:
    def test_one_failure_degrades(self):
        assert play(CONNECTED, False).health == Health.DEGRADED

    def test_two_failures_are_not_enough(self):
        assert play(CONNECTED, False, False).health == Health.DEGRADED

    def test_three_failures_make_it_unreachable(self):
        assert play(CONNECTED, False, False, False).health == Health.UNREACHABLE

    def test_one_success_does_not_bring_it_back(self):
        assert play(CONNECTED, False, False, False, True).health == Health.UNREACHABLE

    def test_two_successes_bring_it_back(self):
        assert play(CONNECTED, False, False, False, True, True).health == Health.CONNECTED

    def test_first_success_of_a_new_one_connects(self):
        assert play(Standing(Health.PENDING), True).health == Health.CONNECTED

    def test_first_failure_of_a_new_one_says_so_at_once(self):
        assert play(Standing(Health.PENDING), False).health == Health.UNREACHABLE

    def test_checks_do_not_cover_up_failing_looks(self):
        standing = play(CONNECTED, False, False, False, origin=Origin.POLL)

        assert play(standing, True, True, True).health == Health.UNREACHABLE

    def test_slow_answer_is_degraded_but_no_failure(self):
        slow = after(CONNECTED, origin=Origin.CHECK, succeeded=True, latency_ms=health.SLOW + 1)

        assert (slow.health, slow.failures) == (Health.DEGRADED, 0)

    @given(RESULTS)
    def test_never_flips_by_a_single_result(self, results):
        """Between Connected and Unreachable lie at least two results, whatever comes."""
        standing = CONNECTED
        since = 2
        for origin, succeeded in results:
            was, standing = standing, after(standing, origin=origin, succeeded=succeeded)
            if standing.health == was.health:
                since += 1
                continue
            if {was.health, standing.health} == {Health.CONNECTED, Health.UNREACHABLE}:
                assert since >= 2 or standing.health == Health.CONNECTED
            since = 1

    @given(RESULTS)
    def test_is_well_only_without_failures(self, results):
        standing = CONNECTED
        for origin, succeeded in results:
            standing = after(standing, origin=origin, succeeded=succeeded)

            assert (standing.health == Health.CONNECTED) <= (standing.failures == 0)
            assert (standing.failures >= health.FAILURES) <= (standing.health == Health.UNREACHABLE)


class TestPhase:
    def test_degraded_is_connected(self):
        assert health.phase(Health.DEGRADED, has_answered=True) == Phase.CONNECTED

    def test_unreachable_that_answers_is_an_error(self):
        assert health.phase(Health.UNREACHABLE, has_answered=True) == Phase.ERROR
        assert health.phase(Health.UNREACHABLE, has_answered=False) == Phase.DISCONNECTED
