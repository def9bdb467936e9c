import csv
import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_semxai.store.datasets.survey import OtherColumns, write_survey
from napari_semxai.store.disk.tables import (
    all_reasons,
    decode_text,
    read_table,
    size_of,
    table_text,
    write_records,
    write_table,
)
from napari_semxai.types import InputError
from napari_semxai.types.survey import AnswerSet

# What Excel cannot write into a cell, or leaves out as a row.
_CELLS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1)
_ROWS = st.lists(st.lists(_CELLS.filter(str.strip), min_size=3, max_size=3), max_size=5)


@given(
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    delimiter=st.sampled_from(",;\t"),
    said=st.booleans(),
    rows=_ROWS,
)
def test_what_excel_writes_is_read(tmp_path_factory, encoding, delimiter, said, rows):
    path = tmp_path_factory.mktemp("table") / "t.csv"
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerows([["First Name", "b", "c"], *rows])
    start = f"sep={delimiter}\r\n" if said else ""
    path.write_bytes((start + text.getvalue()).encode(encoding))
    table = read_table(path)
    assert table.names == ["first_name", "b", "c"]
    assert [cells for _, cells in table.rows] == rows
    assert [line for line, _ in table.rows] == list(range(2 + said, 2 + said + len(rows)))


@pytest.mark.parametrize("said", [False, True])
def test_lines_are_those_of_the_file(tmp_path, said):
    path = tmp_path / "t.csv"
    start = "sep=,\n" if said else ""
    path.write_text(f'{start}a,b\n\n\n1,"two\nlines"\n ,\n3,4\n')
    assert [line + (not said) for line, _ in read_table(path).rows] == [5, 8]


def test_a_broken_quotation_is_named_by_its_line(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('a,b\n1,2\n3,"4\n5,6\n')
    with pytest.raises(InputError, match=r"t\.csv line 3: is no row of a table"):
        read_table(path)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-16-le", "utf-16-be", "utf-16"])
def test_german_text_of_any_program(encoding):
    assert decode_text("item;Größe µm €".encode(encoding)) == "item;Größe µm €"


@pytest.mark.parametrize("start", [b"PK\3\4\x14\0", b"\x1f\x8b\x08\0", b"\xd0\xcf\x11\xe0\0"])
def test_a_workbook_is_no_text(tmp_path, start):
    (tmp_path / "t.csv").write_bytes(start + b"\nimage_path\n")
    with pytest.raises(InputError, match=r"t\.csv: is no text; save a workbook as CSV"):
        read_table(tmp_path / "t.csv")


@given(data=st.binary())
def test_any_bytes_are_some_text(data):
    assert isinstance(decode_text(data), str)


@pytest.mark.parametrize(
    ("text", "unit", "metres"),
    [("2,5", 1e9, 2.5e-9), ("2.5e-9", 1, 2.5e-9), (" 1,25 ", 1e9, 1.25e-9), ("", 1, None)],
)
def test_sizes(text, unit, metres):
    assert size_of(text, "size", unit) == metres


@pytest.mark.parametrize("text", ["0", "-2.5", "nan", "inf", "-inf", "2.5.1", "x", "1e999", "0e5"])
def test_sizes_that_are_none(text):
    with pytest.raises(InputError, match=f"size: .*{text}"):
        size_of(text, "size")


def test_reasons():
    assert all_reasons([]) == ""
    assert all_reasons(["a", "a", "b"]) == "a; b"


def test_a_projects_table_ends_lines_as_unix_does(tmp_path):
    rows = [["a", 1, None], ['say "no", or', math.nan, 0.1], ["two\nlines", np.float64("nan"), ""]]
    write_table(tmp_path / "deep/t.csv", ["name", "x", "y"], rows)
    assert (tmp_path / "deep/t.csv").read_bytes() == (
        b'name,x,y\na,1,\n"say ""no"", or",,0.1\n"two\nlines",,\n'
    )
    write_table(tmp_path / "t.csv", ["a", "b"], [["x,y", "x;y"]], delimiter=";")
    assert (tmp_path / "t.csv").read_bytes() == b'a;b\nx,y;"x;y"\n'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (52.50000000000001, "52.5"),
        (0.1 + 0.2, "0.3"),
        (84 * (2.5e-9 * 1e6) ** 2, "0.000525"),
        (-1.1 * 1.1, "-1.21"),
        (1e22, "1e+22"),
        (np.float64(7.000000000000001), "7.0"),
        # All digits are of the value, or none of it is a fraction.
        (1 / 3, "0.3333333333333333"),
        (0.123456789012345, "0.123456789012345"),
        (1.0000000000001, "1.0000000000001"),
        (12345678901234567, "12345678901234567"),
        (5e-324, "5e-324"),
        (0.0, "0.0"),
        (math.inf, "inf"),
        (math.nan, ""),
        ("52.50000000000001", "52.50000000000001"),
        (True, "True"),
    ],
)
def test_numbers_are_written_without_the_noise_of_calculating(tmp_path, value, text):
    write_table(tmp_path / "a.csv", ["name", "number"], [["x", value]])
    assert (tmp_path / "a.csv").read_text() == f"name,number\nx,{text}\n"


@given(st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False))
def test_what_is_written_is_the_number_but_for_noise(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("number") / "a.csv"
    write_table(path, ["number"], [[value]])
    assert float(path.read_text().split()[1]) == pytest.approx(value, rel=2e-15, abs=0)


def test_a_report_has_the_union_of_all_fields(tmp_path):
    records = [{"a": 1, "b": math.nan}, {"b": 2.5, "c": "µ, 3"}]
    assert write_records(tmp_path / "r.csv", records) == tmp_path / "r.csv"
    assert (tmp_path / "r.csv").read_bytes() == 'a,b,c\r\n1,,\r\n,2.5,"µ, 3"\r\n'.encode()
    write_records(tmp_path / "none.csv", [])
    assert (tmp_path / "none.csv").read_bytes() == b"\r\n"


def test_a_survey_is_a_table_of_other_programs(tmp_path):
    entry = AnswerSet("P-1", "CRAFT", "a, b", (1, None, *(5,) * 6), ("",) * 8, "2", "c0", "t")
    others = OtherColumns(("role",), {entry.key: ("expert",)})
    write_survey(tmp_path / "s.csv", [entry], others)
    names, row, rest = (tmp_path / "s.csv").read_bytes().split(b"\r\n")
    assert names.endswith(b"item_8,comment_1,comment_2,comment_3,comment_4,comment_5,comment_6,"
                          b"comment_7,comment_8,role")  # fmt: skip
    assert row == b'P-1,CRAFT,"a, b",2,c0,t,1,,5,5,5,5,5,5,,,,,,,,,expert'
    assert rest == b""


def test_a_name_with_the_separator_is_quoted():
    assert table_text([["a\tb", "c,d"], ["", "x"]], delimiter="\t") == '"a\tb"\tc,d\n\tx\n'


def test_the_end_mark_of_old_programs_is_no_row(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\r\n1,2\r\n\x1a")
    assert read_table(path).rows == ((2, ["1", "2"]),)


def test_a_nul_leaves_a_table_that_can_be_read(tmp_path):
    write_table(tmp_path / "t.csv", ["a"], [["x\0y"]])
    assert read_table(tmp_path / "t.csv").rows == ((2, ["x\ufffdy"]),)
