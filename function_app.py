"""Registers the blueprints, nothing else."""

from functions.app import Storekeeper
from functions.triggers import SUBJECTS

app = Storekeeper()
for subject in SUBJECTS:
    app.register_blueprint(subject.blueprint)
