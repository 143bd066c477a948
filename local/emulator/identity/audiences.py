"""The audiences of access tokens: which exist, and how a request may spell them.

Source: seed 002, "Understanding the different access tokens and audience URIs"; store-services reference, section 1.
"""

SERVICE_AUDIENCE = "https://onestore.microsoft.com"
COLLECTIONS_AUDIENCE = "https://onestore.microsoft.com/b2b/keys/create/collections"
PURCHASE_AUDIENCE = "https://onestore.microsoft.com/b2b/keys/create/purchase"
VAULT_AUDIENCE = "https://vault.azure.net"
STORAGE_AUDIENCE = "https://storage.azure.com"
EXCHANGE_AUDIENCE = "api://AzureADTokenExchange"

STORE_AUDIENCES = (SERVICE_AUDIENCE, COLLECTIONS_AUDIENCE, PURCHASE_AUDIENCE)
PLATFORM_AUDIENCES = (VAULT_AUDIENCE, STORAGE_AUDIENCE, EXCHANGE_AUDIENCE)

_SUFFIX = "/.default"


class ScopeError(ValueError):
    """A scope that is not exactly one ``<audience>/.default``."""


def audience_of_resource(resource: str) -> str:
    """Return the audience a v1 ``resource`` or a managed identity's ``resource`` means.

    Azure's own SDKs name platform resources with and without a trailing slash; the Store's audiences are exact.
    """
    bare = resource.removesuffix("/")
    return bare if bare in PLATFORM_AUDIENCES else resource


def audience_of_scope(scope: str) -> str:
    """Return the audience of a v2 ``scope``.

    :raises ScopeError: no ``/.default`` at the end, more than one, several scopes, or a doubled slash before it. A
        platform resource that ends in a slash is rightly spelled with two (MSAL's form) and is let through.
    """
    scopes = scope.split()
    if len(scopes) != 1 or not scopes[0].endswith(_SUFFIX):
        raise ScopeError("client credentials take one scope, the resource followed by /.default")
    audience = audience_of_resource(scopes[0].removesuffix(_SUFFIX))
    if audience.endswith(("/", _SUFFIX)):
        raise ScopeError("the resource is followed by exactly one /.default with no doubled slash")
    return audience
