"""Which tenant an input means."""

import pytest

from shared.errors import NotFoundError, UnprocessableError
from shared.tenants import tenant_meant


def test_it_is_named_in_any_letter_case_and_told_as_the_settings_write_it() -> None:
    assert tenant_meant("CONTOSO", ["fabrikam", "Contoso"], "?tenantId") == "Contoso"


def test_the_only_one_need_not_be_named() -> None:
    assert tenant_meant(None, ["contoso"], "?tenantId") == "contoso"


def test_of_several_one_must_be_named_and_the_place_is_told() -> None:
    with pytest.raises(UnprocessableError) as refused:
        tenant_meant(None, ["contoso", "fabrikam"], "?tenantId")

    assert [fault.pointer for fault in refused.value.faults] == ["?tenantId"]


@pytest.mark.parametrize(("named", "configured"), [("contoso", ["fabrikam"]), ("", ["fabrikam"]), (None, [])])
def test_one_that_is_not_there_is_not_found(named: str | None, configured: list[str]) -> None:
    with pytest.raises(NotFoundError):
        tenant_meant(named, configured, "/tenantId")
