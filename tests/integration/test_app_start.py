"""A start without its settings stops, with the name of what is missing."""

import asyncio
import json
import sys

import pytest

from local.stack import ROOT, Servers


async def refused(stack: Servers, changes: dict[str, str]) -> str:
    """What a start says that is to stop by itself with exit code 1."""
    values = json.loads((await stack.write_settings({}, name="whole")).read_text("utf-8"))["Values"]
    file = stack.folder / "broken.settings.json"
    kept = {name: value for name, value in (values | changes).items() if value}
    file.write_text(json.dumps({"IsEncrypted": False, "Values": kept}), "utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "local.host",
        "--settings",
        str(file),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(30):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode == 1, said
    return said.decode()


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"KEY_VAULT_URL": ""}, "KEY_VAULT_URL is missing"),
        ({"CALLER_ISSUERS": ""}, "CALLER_ISSUERS is missing"),
        ({"AzureWebJobsStorage": ""}, "AzureWebJobsStorage"),
        ({"KEY_RENEWAL_SCHEDULE": "0 99 * * * *"}, "KEY_RENEWAL_SCHEDULE is malformed"),
    ],
    ids=lambda part: str(part)[:40],
)
async def test_a_setting_that_is_missing_or_malformed_is_named(
    stack: Servers, changes: dict[str, str], name: str
) -> None:
    assert name in await refused(stack, changes)


async def test_all_that_is_wrong_is_named_at_once_and_no_value_is_shown(stack: Servers) -> None:
    secret = "AccountKeyThatNobodyMaySee"
    said = await refused(
        stack,
        {"KEY_VAULT_URL": f"https://u:{secret}@x", "STORE_CONCURRENCY": secret, "CALLER_ISSUERS": f'["{secret}"]'},
    )

    for name in ("KEY_VAULT_URL", "STORE_CONCURRENCY", "CALLER_ISSUERS"):
        assert f"{name} is malformed" in said
    assert secret not in said
