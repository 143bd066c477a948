"""What all tests share: how hypothesis searches."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "storekeeper", max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("storekeeper")
