"""The CDN that packages and artwork come from."""
