"""What pyproject.toml cannot say: the published records become data of the package, so that every install has them."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

RECORDS = Path(__file__).parent / "reports" / "data"


class WithRecords(build_py):
    """Copies ``reports/data`` to ``harness/published``; an editable install reads them where they lie."""

    def run(self) -> None:
        """Build the packages, then add the records."""
        super().run()
        if not self.editable_mode and RECORDS.is_dir():
            shutil.copytree(RECORDS, Path(self.build_lib) / "harness" / "published", dirs_exist_ok=True)


setup(cmdclass={"build_py": WithRecords})
