"""The two kinds of provider, as the API serves them. Pure."""

from saperly_operator.kube.api import CLUSTER_PROVIDERS, PROVIDERS, Object, Resource
from saperly_operator.resources.provider import ClusterSaperlyProvider, Provider, SaperlyProvider
from saperly_operator.resources.saperly_key import ProviderKind


def resource_of(kind: str) -> Resource:
    """The API resource of a provider's kind."""
    return CLUSTER_PROVIDERS if kind == ProviderKind.CLUSTER else PROVIDERS


def read_provider(kind: str, body: Object) -> Provider:
    """A provider from its body. Raises InvalidResourceError."""
    model = ClusterSaperlyProvider if kind == ProviderKind.CLUSTER else SaperlyProvider
    return model.from_api(body)
