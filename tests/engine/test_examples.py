"""The examples in the engine's docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import controlplane.engine

MODULES = [module.name for module in pkgutil.iter_modules(controlplane.engine.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples__run__give_what_they_say(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"controlplane.engine.{name}")).failed == 0
