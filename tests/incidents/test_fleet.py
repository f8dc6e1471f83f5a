import pytest

from incidents import fleet


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ('Head "https://registry.example:5000/v2/": dial tcp 203.0.113.1:5000: i/o timeout', {"registry.example:5000"}),
        ("dial tcp 8.8.8.8:53: connect: connection refused", {"8.8.8.8:53"}),
        ("curl: (6) Could not resolve host: API.bank.example", {"api.bank.example"}),
        # these are another machine in every cluster
        ('Get "http://10.244.1.7:8080/healthz": dial tcp 10.244.1.7:8080: connect: connection refused', set()),
        ("lookup redis.cache.svc.cluster.local on 10.96.0.10:53: no such host", set()),
        ("lookup redis: no such host", set()),
        ("https://hooks.web.svc:443/mutate did not answer", set()),
        ("all is well", set()),
        ("https://" + "a" * 100_000, set()),
    ],
)
def test_dependencies_are_hosts_that_are_the_same_everywhere(text, hosts):
    assert fleet.dependencies(text) == hosts


@pytest.mark.parametrize(
    ("image", "registry"),
    [
        ("nginx", "docker.io"),
        ("library/nginx:1", "docker.io"),
        ("registry.example/team/app@sha256:1", "registry.example"),
        ("localhost:5000/app", "localhost:5000"),
    ],
)
def test_registry_of_an_image(image, registry):
    assert fleet.registry_of(image) == registry
