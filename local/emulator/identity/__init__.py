"""Who is who: Entra, the issuers of callers, managed identity, X-tokens."""
