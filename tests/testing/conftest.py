"""The fixtures of the package as a plugin's author has them: nothing of ours in between."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

MODELS = """
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column
from plugin_host.sdk import PluginBase

class Base(PluginBase, plugin="{id}"):
    pass

class Thing(Base):
    __tablename__ = "{id}_thing"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(String(20))
"""
UP = (
    "op.create_table('{id}_thing', sa.Column('id', sa.Integer(), nullable=False),"
    " sa.PrimaryKeyConstraint('id', name='pk_{id}_thing'))"
)
ADD = "op.add_column('{id}_thing', sa.Column('name', sa.String(20)))"


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Write a project with a folder plugin and a test file that runs the suite for it; gives its folder."""

    def write(plugin: str, *revisions: tuple[str, str | None], models: str = MODELS) -> Path:
        package = tmp_path / "plugins" / plugin
        (package / "migrations").mkdir(parents=True)
        keys = {"id": plugin, "name": plugin, "version": "1.0", "requires": {"core": ">=1.0,<2"}}
        (package / "plugin.json").write_text(json.dumps(keys))
        (package / "__init__.py").write_text("")
        (package / "models.py").write_text(models.replace("{id}", plugin))
        for number, (up, down) in enumerate(revisions, 1):
            text = f"import sqlalchemy as sa\nfrom alembic import op\n\n\ndef upgrade():\n    {up}\n"
            text += f"\n\ndef downgrade():\n    {down}\n" if down is not None else ""
            path = package / "migrations" / f"{number:04d}_step.py"
            path.write_text(text.replace("{id}", plugin))
        (tmp_path / "pyproject.toml").write_text("[tool.pytest]\nstrict = true\n")
        (tmp_path / "test_migrations.py").write_text(
            textwrap.dedent(
                f"""
                import pytest
                from plugin_host import Settings
                from plugin_host.settings import Loader
                from plugin_host.testing import MigrationSuite

                @pytest.fixture
                def host_settings(tmp_path):
                    return Settings(data_dir=str(tmp_path), loader=Loader(folders=[{str(package.parent)!r}]))

                class TestMigrations(MigrationSuite):
                    plugin = {plugin!r}
                """
            )
        )
        return tmp_path

    return write
