"""Imports without garbage collections: they are on again afterwards, whatever the import did."""

import gc

import pytest

from engine.core.registry import resolve, resolve_heavy


@pytest.mark.parametrize("collects", [True, False])
@pytest.mark.parametrize("reference", ["decimal:Decimal", "no.such.module:thing", "not a reference"])
def test_collections_are_as_they_were_after_an_import(reference, collects):
    (gc.enable if collects else gc.disable)()
    try:
        try:
            assert resolve_heavy(reference) is resolve(reference)
        except (ImportError, ValueError):
            assert reference != "decimal:Decimal"
        assert gc.isenabled() is collects
    finally:
        gc.enable()
