"""`plugin-host contacts import`: the host injects what the callback names, as in a route."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from host_contacts.importing import Row, Sheet, read
from host_contacts.models import Company, Person
from plugin_host.sdk import USERS, Services

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SHOWN_ERRORS: Final = 20
BATCH: Final = 500


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--owner", metavar="USERNAME", help="Whose people they become; without it nobody's.")
@click.option("--dry-run", is_flag=True, help="Check the file and say what would be done; write nothing.")
async def import_people(
    *, file: Path, owner: str | None, dry_run: bool, db: AsyncSession, services: Services, log: logging.Logger
) -> None:
    """Add the people of a CSV file (UTF-8, header: name,email,phone,company).

    Companies that are not there yet are added. If a line is wrong, nothing is imported.

    Example: plugin-host contacts import people.csv --owner ann --dry-run
    """
    sheet = await asyncio.to_thread(_read_file, file)
    if sheet.errors:
        raise click.ClickException(_refusal(file, sheet.errors))
    owner_id = await _find_owner(services, owner) if owner is not None else None
    companies = await _companies(db)
    missing = _missing(sheet.rows, companies)
    if dry_run:
        click.echo(f"{_count(sheet.rows, missing)} would be added. Nothing was written.")
        return
    for name in missing:
        db.add(company := Company(name=name))
        companies[name.casefold()] = company
    await _add(db, sheet.rows, companies, owner_id)
    log.info("imported %d people and %d companies from %s", len(sheet.rows), len(missing), file)
    click.echo(f"{_count(sheet.rows, missing)} added.")


def _read_file(file: Path) -> Sheet:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            return read(lines)
    except UnicodeDecodeError as error:
        msg = f"{file} is not UTF-8: save it as “CSV UTF-8” and try again. Nothing was imported."
        raise click.ClickException(msg) from error


def _refusal(file: Path, errors: Sequence[str]) -> str:
    shown = [f"  {error}" for error in errors[:SHOWN_ERRORS]]
    rest = len(errors) - len(shown)
    more = [f"  and {rest} more"] if rest else []
    return "\n".join([f"{file} was not imported; mend this first:", *shown, *more])


async def _find_owner(services: Services, username: str) -> str:
    for user in await services.get(USERS).search(username, limit=200):
        if user.username == username:
            return user.id
    msg = f"There is no user called {username!r}. Nothing was imported; `plugin-host users list` shows the names."
    raise click.ClickException(msg)


async def _companies(db: AsyncSession) -> dict[str, Company]:
    return {company.name.casefold(): company for company in await db.scalars(select(Company))}


def _missing(rows: Iterable[Row], known: dict[str, Company]) -> list[str]:
    """Name each company that is not there yet once, as it is spelled first."""
    names: dict[str, str] = {}
    for row in rows:
        if row.company is not None and row.company.casefold() not in known:
            names.setdefault(row.company.casefold(), row.company)
    return list(names.values())


async def _add(db: AsyncSession, rows: Sequence[Row], companies: dict[str, Company], owner_id: str | None) -> None:
    with click.progressbar(length=len(rows), label="Importing", hidden=len(rows) <= BATCH) as bar:
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            db.add_all(_person(row, companies, owner_id) for row in batch)
            await db.flush()
            bar.update(len(batch))


def _person(row: Row, companies: dict[str, Company], owner_id: str | None) -> Person:
    company = companies[row.company.casefold()] if row.company is not None else None
    return Person(name=row.name, email=row.email, phone=row.phone, company=company, owner_id=owner_id)


def _count(rows: Sequence[Row], companies: Sequence[str]) -> str:
    people = "1 person" if len(rows) == 1 else f"{len(rows)} people"
    firms = "1 company" if len(companies) == 1 else f"{len(companies)} companies"
    return f"{people} and {firms}"
