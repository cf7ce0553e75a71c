"""What the fork server imports last: says that it has come to the end, whatever became of the others."""

from harness.execute.imports import say_ready

say_ready()
