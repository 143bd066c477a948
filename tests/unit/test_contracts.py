"""The published contracts are those of the code."""

from scripts.contracts import FOLDER, contracts


def test_the_published_schemas_are_those_of_the_types() -> None:
    published = {file.name: file.read_text("utf-8") for file in FOLDER.iterdir()}

    assert published == contracts()
