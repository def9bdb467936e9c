import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_semxai.store.disk.tables import all_reasons, decode_text, read_table, size_of
from napari_semxai.types import InputError

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
