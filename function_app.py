"""Registers the blueprints, nothing else."""

from functions import health, keys, poison, tokens
from functions.app import Storekeeper

app = Storekeeper()
app.register_blueprint(tokens.blueprint)
app.register_blueprint(keys.blueprint)
app.register_blueprint(poison.blueprint)
app.register_blueprint(health.blueprint)
