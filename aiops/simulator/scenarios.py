"""The stories that a simulated cluster can tell. Each begins healthy, so there is a past to compare with and to return to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from aiops.simulator import workloads
from aiops.simulator.cluster import NODES, Cluster
from aiops.simulator.images import Behavior
from aiops.simulator.objects import Obj

Step = Callable[[Cluster], object]

HEALTHY_FOR = 15.0  # cluster seconds before a scenario's trouble starts


def image(name: str, tag: str) -> str:
    return f"{workloads.REGISTRY}/{name}:{tag}"


BAD_CHECKOUT = Behavior(
    exit_code=1,
    ready=False,
    log=(
        "starting checkout 2.4.0",
        "loading configuration from /etc/checkout/config.yaml",
        'level=error msg="cannot parse configuration" error="unknown key payments.retry_policy"',
        "panic: configuration is invalid",
    ),
)
LEDGER = Behavior(memory="120Mi", log=("starting ledger 2.0.0", "cache warmed", "listening on :8080"))
HUNGRY_LEDGER = Behavior(
    memory="300Mi", runs_for=4.0, log=("starting ledger 2.0.0", "loading 1.2 million entries into the cache")
)
FAILING_IMPORT = Behavior(
    exit_code=3,
    sick_owners=1,
    log=("import started", "connecting to feed.example:443", "error: feed returned 503, giving up"),
)
NEVER_READY = Behavior(ready=False, log=("starting catalog 3.1.0", "waiting for search index, 0 of 12 shards ready"))
FLAPPING = Behavior(flaps_every=30.0, log=("starting catalog 3.2.0", "upstream connect timeout", "upstream recovered"))
STARVED = Behavior(
    exit_code=1, runs_for=5.0, ready=False, log=("starting", "dial tcp 10.96.0.20:5432: connection refused", "exiting")
)


@dataclass(frozen=True)
class Scenario:
    """`steps` happen so many cluster seconds after the start."""

    description: str
    manifests: Callable[[], list[Obj]]
    images: Mapping[str, Behavior] = field(default_factory=dict)
    steps: tuple[tuple[float, Step], ...] = ()
    nodes: int = NODES


def shop() -> list[Obj]:
    """The healthy workloads that most scenarios start from."""
    return [
        workloads.deployment("shop", "checkout", image("checkout", "1.4.0"), replicas=3),
        workloads.deployment("shop", "ledger", image("ledger", "2.0.0"), replicas=2),
        workloads.deployment("shop", "catalog", image("catalog", "3.0.0"), replicas=2, deadline=20),
        workloads.stateful_set("shop", "orders-db", image("postgres", "15.4"), replicas=2),
        workloads.daemon_set("shop", "log-agent", image("log-agent", "1.0.0")),
        workloads.service("shop", "checkout"),
        workloads.service("shop", "catalog"),
    ]


def demo_manifests() -> list[Obj]:
    return [
        *shop(),
        workloads.deployment("payments", "gateway", image("gateway", "5.1.0"), replicas=3),
        workloads.deployment("payments", "ledger", image("ledger", "2.0.0"), replicas=2),
        workloads.deployment("media", "thumbnails", image("thumbnails", "1.1.0"), replicas=2),
        workloads.deployment("media", "encoder", image("encoder", "4.0.0"), replicas=2, deadline=120),
        workloads.service("payments", "gateway"),
    ]


def storm_manifests() -> list[Obj]:
    return [
        workloads.deployment(f"team-{number // 10 + 1}", f"service-{number:02}", image("service", "1.0.0"), replicas=10)
        for number in range(50)
    ]


def release(namespace: str, name: str, new_image: str) -> Step:
    return partial(Cluster.set_image, kind="Deployment", namespace=namespace, name=name, image=new_image)


def behave(of_image: str, behavior: Behavior) -> Step:
    return partial(Cluster.set_behavior, image=of_image, behavior=behavior)


def run_job(namespace: str, name: str, of_image: str) -> Step:
    return partial(Cluster.apply, manifest=workloads.job(namespace, name, of_image))


def cordon(name: str) -> Step:
    return partial(Cluster.patch, kind="Node", namespace="", name=name, patch={"spec": {"unschedulable": True}})


def press(name: str, kind: str, *, is_high: bool) -> Step:
    return partial(Cluster.press_node, name=name, kind=kind, is_high=is_high)


SCENARIOS: dict[str, Scenario] = {
    "healthy": Scenario("nothing is wrong", shop),
    "crash-loop": Scenario(
        "a release of deployment shop/checkout crashes at its start; rolling back cures it",
        shop,
        {image("checkout", "2.4.0"): BAD_CHECKOUT},
        ((HEALTHY_FOR, release("shop", "checkout", image("checkout", "2.4.0"))),),
    ),
    "oom": Scenario(
        "shop/ledger needs more memory than its limit allows and is killed; raising the limit cures it",
        shop,
        {image("ledger", "2.0.0"): LEDGER},
        ((HEALTHY_FOR, behave(image("ledger", "2.0.0"), HUNGRY_LEDGER)),),
    ),
    "image-pull-error": Scenario(
        "a release of shop/checkout names an image that does not exist; rolling back cures it",
        shop,
        {},
        ((HEALTHY_FOR, release("shop", "checkout", image("checkout", "missing"))),),
    ),
    "node-failure": Scenario(
        "node-2 stops answering; its pods are not ready and move to the other nodes after a while",
        shop,
        {},
        ((HEALTHY_FOR, partial(Cluster.lose_node, name="node-2")),),
    ),
    "stuck-rollout": Scenario(
        "a release of shop/catalog never becomes ready; the old pods go on serving, rolling back cures it",
        shop,
        {image("catalog", "3.1.0"): NEVER_READY},
        ((HEALTHY_FOR, release("shop", "catalog", image("catalog", "3.1.0"))),),
    ),
    "failed-job": Scenario(
        "job shop/import-feed uses up its backoffLimit; running it again succeeds",
        shop,
        {image("import", "1.3.0"): FAILING_IMPORT},
        ((HEALTHY_FOR, run_job("shop", "import-feed", image("import", "1.3.0"))),),
    ),
    "flapping": Scenario(
        "after a release shop/catalog turns not ready and ready again every 30 seconds of cluster time",
        shop,
        {image("catalog", "3.2.0"): FLAPPING},
        ((HEALTHY_FOR, release("shop", "catalog", image("catalog", "3.2.0"))),),
    ),
    "storm": Scenario(
        "a shared database is gone: 500 pods of 50 deployments in 5 namespaces crash",
        storm_manifests,
        {},
        ((HEALTHY_FOR * 2, behave(image("service", "1.0.0"), STARVED)),),
        nodes=10,
    ),
    "demo": Scenario(
        "several small problems in several namespaces, one after the other within the first minute",
        demo_manifests,
        {
            image("checkout", "2.4.0"): BAD_CHECKOUT,
            image("ledger", "2.0.0"): LEDGER,
            image("import", "1.3.0"): FAILING_IMPORT,
        },
        (
            (60.0, release("shop", "checkout", image("checkout", "2.4.0"))),
            (150.0, behave(image("ledger", "2.0.0"), HUNGRY_LEDGER)),
            (260.0, run_job("media", "import-feed", image("import", "1.3.0"))),
            (380.0, release("media", "thumbnails", image("thumbnails", "missing"))),
            (480.0, press("node-3", "DiskPressure", is_high=True)),
            (540.0, cordon("node-3")),
            (1800.0, press("node-3", "DiskPressure", is_high=False)),
        ),
    ),
}


def begin(cluster: Cluster, name: str) -> None:
    """Set the stage and schedule the trouble. Raises ValueError for an unknown scenario, naming the known ones."""
    scenario = SCENARIOS.get(name)
    if scenario is None:
        raise ValueError(f"unknown scenario {name!r}; known: {', '.join(SCENARIOS)}")
    for of_image, behavior in scenario.images.items():
        cluster.images.describe(of_image, behavior)
    cluster.furnish(scenario.nodes)
    for manifest in scenario.manifests():
        cluster.apply(manifest)
    for seconds, step in scenario.steps:
        cluster.world.clock.after(seconds, step, cluster)
