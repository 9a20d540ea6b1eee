"""Other stacks' clients, each made of the published WSDL file and its own WS-Security, against the real gateway."""

import pytest

pytest.register_assert_rewrite("tests.interop.promises")
