"""One worker, beat and web server serve all journeys of this package, so they share a database, which is emptied at the end.

Each journey has a cluster of its own, under a name of its own, and looks at nothing else. Those of a module begin together, so
that they pass their waiting times together.
"""

import itertools
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack

import pytest
from django.core.management import call_command
from django.utils import timezone

from aiops.apikeys import services as apikeys
from aiops.apikeys.roles import Role
from aiops.audit.actor import SYSTEM
from aiops.simulator.embedded import SimulatedCluster
from federation import services as federation
from federation.models import Cluster
from runbooks.services import library
from tests.pipeline.simulated.journey import Journey, Platform
from tests.processes import running

SPEED = 30  # seconds of a simulated cluster that pass in one of ours
ENVIRONMENT = {
    "AIOPS_DETECTION_GRACE": "1",  # an image that cannot be pulled for two minutes is one that cannot be for a second
    "AIOPS_MAX_ATTEMPTS": "2",
}
_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def db(django_db_setup, django_db_blocker) -> Iterator[None]:
    """The database with real transactions, as processes beside the test need it."""
    with django_db_blocker.unblock():
        yield
        call_command("flush", interactive=False, verbosity=0)


@pytest.fixture(scope="package")
def platform(db, tmp_path_factory) -> Iterator[Platform]:
    """The processes, before there is any cluster."""
    now = timezone.now()
    library.load_built_in(actor=SYSTEM, at=now)
    _, key = apikeys.create(role=Role.ADMIN, at=now)
    with running(tmp_path_factory.mktemp("platform"), **ENVIRONMENT) as stack:
        stack.start_worker(concurrency=4)
        stack.start_beat()
        with Platform(stack=stack, url=stack.start_web(), key=key) as platform:
            yield platform


@pytest.fixture(scope="module")
def begin(platform: Platform) -> Iterator[Callable[..., Journey]]:
    """`begin("crash-loop", automation="approve")`: a cluster that tells this story, registered and watched."""
    with ExitStack() as after:

        def start(scenario: str, *, automation: str = "auto", speed: float = SPEED) -> Journey:
            simulated = after.enter_context(SimulatedCluster(scenario=scenario, speed=speed))
            name = f"{scenario}-{next(_numbers)}"
            federation.register(
                name=name,
                kubeconfig=simulated.kubeconfig,
                automation=automation,
                tier="non-critical",
                actor=SYSTEM,
                at=timezone.now(),
            )
            after.callback(Cluster.objects.filter(name=name).update, enabled=False, automation="off")
            return Journey(platform=platform, simulated=simulated, cluster=name)

        yield start


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A journey that fails shows what the processes said."""
    report = yield
    platform = getattr(item, "funcargs", {}).get("platform")
    if report.failed and platform is not None:
        report.sections.append(("processes", platform.stack.output()))
    return report
