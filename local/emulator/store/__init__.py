"""The Store services for publishers: keys, Collections, Purchase."""
