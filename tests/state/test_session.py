from napari_semxai.state.session import Session, named
from napari_semxai.types import IDLE, Progress


def test_names_beyond_the_first_few_are_counted():
    names = [f"wafer_{number}" for number in range(1006)]
    assert named(names[:2]) == "wafer_0, wafer_1"
    assert named(names[:3], 3) == "wafer_0, wafer_1, wafer_2"
    assert named(names, 2) == "wafer_0, wafer_1 and 1,004 more"
    assert named([]) == ""


def test_what_goes_over_the_whole_project_is_named_to_whoever_begins_another():
    session = Session()
    assert (session.is_busy(), session.message) == (False, "")
    session.batch = Progress("Export", 1, 4)
    assert session.is_busy()
    assert session.message == "Export: still running; wait for it, or cancel it"
    session.batch = IDLE
    assert not session.is_busy()
