"""Django with guardian on SQLite: permissions on single objects, as its users ask for them."""

from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def guardian(folder: str, grants: int) -> Iterator[tuple[str, str, str]]:
    """Ask it in a process of its own; nothing if it is not installed."""
    if importlib.util.find_spec("guardian") is None:
        return
    out = subprocess.run(
        [sys.executable, __file__, str(Path(folder) / "django.db"), str(grants)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    figures = json.loads(out.stdout)
    yield (
        f"Django with guardian, {grants:,} grants: has_perm of an object, a user that was just read",
        f"{figures['ask'] / figures['set']:,.0f}",
        f"{figures['ask']:.0f} µs; a look-up in a set there {figures['set']:.2f} µs",
    )


def main(path: str, grants: int) -> None:
    """Fill a database, and ask."""
    import django
    from django.conf import settings

    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": path}},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "guardian"],
        AUTHENTICATION_BACKENDS=[
            "django.contrib.auth.backends.ModelBackend",
            "guardian.backends.ObjectPermissionBackend",
        ],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
    )
    django.setup()
    from django.contrib.auth.models import Group, Permission, User
    from django.contrib.contenttypes.models import ContentType
    from django.core.management import call_command
    from guardian.models import UserObjectPermission

    call_command("migrate", verbosity=0)
    users = [User(username=f"u{number}") for number in range(1000)]
    User.objects.bulk_create(users)
    Group.objects.bulk_create([Group(name=f"g{number}") for number in range(1000)])
    kind = ContentType.objects.get_for_model(Group)
    permission = Permission.objects.get(codename="view_group")
    ids = list(User.objects.values_list("id", flat=True))
    UserObjectPermission.objects.bulk_create(
        [
            UserObjectPermission(
                user_id=ids[number % 1000], permission=permission, content_type=kind, object_pk=str(number // 100 + 1)
            )
            for number in range(grants)
        ],
        batch_size=5000,
        ignore_conflicts=True,
    )
    group, spent, looked, some = Group.objects.first(), [], [], {("a", number) for number in range(100_000)}
    for number in range(200):
        user = User.objects.get(id=ids[number])
        began = time.perf_counter_ns()
        user.has_perm("auth.view_group", group)
        spent.append(time.perf_counter_ns() - began)
    key = ("a", 77)
    for _ in range(20_000):
        began = time.perf_counter_ns()
        key in some  # noqa: B015 - it is timed
        looked.append(time.perf_counter_ns() - began)
    figures = {"ask": statistics.median(spent) / 1000, "set": statistics.median(looked) / 1000}
    sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
