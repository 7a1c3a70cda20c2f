"""Reading a CSV file: each way in which it can be right or wrong."""

from __future__ import annotations

import io

from host_contacts.importing import Row, read


def test_all_columns_are_read() -> None:
    sheet = read(["name,email,phone,company\n", "Ann,ann@example.org,+44 20 7946 0123,Acme\n"])

    assert sheet.rows == (Row(2, "Ann", "ann@example.org", "+44 20 7946 0123", "Acme"),)


def test_a_name_is_enough() -> None:
    assert read(["name\n", "Ann\n"]).rows == (Row(2, "Ann", None, None, None),)


def test_the_order_of_columns_is_free() -> None:
    assert read(["Company, Name\n", "Acme,Ann\n"]).rows == (Row(2, "Ann", None, None, "Acme"),)


def test_empty_lines_are_passed_over() -> None:
    assert [row.line for row in read(["name\n", "\n", "Ann\n", " \n", "Bob\n"]).rows] == [3, 5]


def test_a_quoted_text_may_go_over_lines_and_the_next_line_is_still_named_right() -> None:
    sheet = read(io.StringIO('name,company\n"Ann","Acme\nLtd"\nBob,\n', newline=""))

    assert [row.line for row in sheet.rows] == [2, 4]


def test_every_wrong_line_is_named() -> None:
    sheet = read(["name,email\n", ",a@example.org\n", "Ann,nonsense\n", "Bob,b@example.org\n", "Cy\n"])

    assert sheet.errors == (
        "line 2: name is missing",
        "line 3: email 'nonsense': must be an e-mail address, such as ann@example.org",
        "line 5: 1 column, but the header has 2",
    )


def test_an_unknown_column_is_an_error() -> None:
    assert read(["name,mail\n"]).errors == (
        "line 1: unknown column 'mail'; the header may have name, email, phone, company",
    )


def test_semicolons_are_noticed() -> None:
    assert read(["name;email\n", "Ann;a@example.org\n"]).errors[0].endswith("columns are separated by commas")


def test_a_header_without_name_is_an_error() -> None:
    assert read(["email\n"]).errors == (
        "line 1: the header must have the column name; it may have name, email, phone, company",
    )


def test_a_column_that_stands_twice_is_an_error() -> None:
    assert read(["name,name\n"]).errors == ("line 1: a column stands twice in the header",)


def test_an_empty_file_is_an_error() -> None:
    assert read([]).errors[0].startswith("line 1: the header must have the column name")


def test_an_open_quote_is_an_error() -> None:
    assert read(["name\n", '"Ann\n']).errors == ("line 2: this is no CSV file (unexpected end of data)",)


def test_a_text_that_is_too_long_is_an_error() -> None:
    assert read(["name\n", "A" * 201]).errors == (f"line 2: name {'A' * 201!r}: at most 200 characters",)
