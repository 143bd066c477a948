"""Every role is needed by a call that the app makes, every call has its role, and the README tells of both."""

import ast
import re

from tests.support import bicep

FILE = "modules/roles.bicep"

BUILT_IN = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
}
SCOPES = {"account": "storage account", "vault": "vault", "insights": "Application Insights"}

# What each client of an Azure service needs to be allowed, at which service.
OF_CLIENTS = {
    "BlobServiceClient": ("Storage Blob Data Owner", "storage account"),
    "QueueServiceClient": ("Storage Queue Data Contributor", "storage account"),
    "TableServiceClient": ("Storage Table Data Contributor", "storage account"),
    "SecretClient": ("Key Vault Secrets User", "vault"),
}
OF_TELEMETRY = ("Monitoring Metrics Publisher", "Application Insights")
OF_THE_DEPLOYER = ("Key Vault Secrets Officer", "vault")


def clients() -> set[str]:
    """The clients of Azure services that the deployed code builds."""
    found = set()
    for name in ("functions", "shared"):
        for file in (bicep.ROOT / name).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Call):
                    builder = node.func.value if isinstance(node.func, ast.Attribute) else node.func
                    called = getattr(builder, "id", "")
                    if called.endswith("Client") and called not in {"AsyncClient", "PyJWKClient"}:
                        found.add(called)
    return found


def assigned(principal: str) -> set[tuple[str, str]]:
    """Role and scope of each assignment to a principal."""
    roles = set()
    for each in bicep.resources(FILE).values():
        content = bicep.config(each)
        if content["properties"]["principalId"] == principal:
            role = content["properties"]["roleDefinitionId"]["function"]["parameters"]["resource_name_1"]
            roles.add((BUILT_IN[bicep.variable(role, FILE)], SCOPES[content["scope"]]))
    return roles


def documented() -> set[tuple[str, str, str]]:
    """Who, role and scope of each row of the README's table."""
    readme = (bicep.ROOT / "README.md").read_text("utf-8")
    found = re.search(r"<!-- roles -->\n(.*?)<!-- /roles -->", readme, re.DOTALL)
    assert found is not None
    rows = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in found[1].strip().splitlines()[2:]]
    assert all(len(row) == 4 and len(row[3]) > 20 for row in rows)
    return {(who, role, scope) for who, role, scope, _ in rows}


def test_the_app_may_do_what_its_clients_call_and_no_more() -> None:
    assert {OF_CLIENTS[client] for client in clients()} | {OF_TELEMETRY} == assigned("appPrincipalId")


def test_who_deploys_may_write_the_data_key_and_no_more() -> None:
    hook = (bicep.INFRA / "hooks" / "after_provision.py").read_text("utf-8")

    assert assigned("deployerId") == {OF_THE_DEPLOYER}
    assert '"keyvault", "secret", "set"' in hook


def test_every_assignment_is_to_one_of_the_two() -> None:
    made = bicep.resources(FILE)

    assert {each["type"] for each in made.values()} == {"Microsoft.Authorization/roleAssignments"}
    assert len(assigned("appPrincipalId")) + len(assigned("deployerId")) == len(made)
    for each in made.values():
        content = bicep.config(each)
        role = content["properties"]["roleDefinitionId"]["function"]["parameters"]["resource_name_1"]
        # Of scope, principal and role: no two assignments share a name, and the next deployment finds its own again.
        assert {content["scope"], content["properties"]["principalId"], role} <= set(bicep.leaves(content["name"]))


def test_no_other_file_assigns_roles() -> None:
    others = [file for file in bicep.FILES if file.name != "roles.bicep"]

    assert [file.name for file in others if "roleAssignments" in file.read_text("utf-8")] == []


def test_the_readme_tells_of_each() -> None:
    app = {("app", *each) for each in assigned("appPrincipalId")}
    deployer = {("who deploys", *each) for each in assigned("deployerId")}

    assert documented() == app | deployer
