"""In place of what the fork server imports: modules that end or hold up the process, between good ones."""

from harness.execute import worker  # noqa: F401
from harness.execute.imports import import_named

import_named(
    (
        "json",
        "misbehaving.exits_at_import",
        "misbehaving.dies_at_import",
        "misbehaving.hangs_at_import",
        "misbehaving.raises_at_import",
    )
)
