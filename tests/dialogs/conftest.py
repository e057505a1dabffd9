"""Lets a failed assertion of the player show what it saw."""

import pytest

pytest.register_assert_rewrite("dialog_player")
