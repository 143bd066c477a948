"""Registers the blueprints, nothing else."""

from functions import catalog, entitlements, fulfillment, health, keys, poison, refunds, seats, sweep, tokens
from functions.app import Storekeeper

app = Storekeeper()
app.register_blueprint(tokens.blueprint)
app.register_blueprint(keys.blueprint)
app.register_blueprint(entitlements.blueprint)
app.register_blueprint(fulfillment.blueprint)
app.register_blueprint(refunds.blueprint)
app.register_blueprint(catalog.blueprint)
app.register_blueprint(seats.blueprint)
app.register_blueprint(sweep.blueprint)
app.register_blueprint(poison.blueprint)
app.register_blueprint(health.blueprint)
