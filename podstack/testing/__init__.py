"""Test helpers that are shipped: the contract of backends, and wrappers that add a fault."""

import sys

if "pytest" in sys.modules:  # its asserts then show their values, as they do in a test file
    sys.modules["pytest"].register_assert_rewrite("podstack.testing.backend_suite")
