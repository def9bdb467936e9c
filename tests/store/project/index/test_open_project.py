from napari_semxai.store.project.index.open_project import ProjectCache
from napari_semxai.types import ReviewChange, ReviewState


def test_a_record_written_while_its_image_is_read_counts(project, monkeypatch):
    cache, read_image = ProjectCache(project, "Anna"), project.read_image

    def written_meanwhile(image_id):
        monkeypatch.setattr(project, "read_image", read_image)
        project.write_review("b", "Anna", ReviewChange(ReviewState.REJECTED))
        cache.drop("b")
        return read_image(image_id)

    monkeypatch.setattr(project, "read_image", written_meanwhile)
    assert cache.load("b").record.state is ReviewState.REJECTED
    assert cache.get("b").record.state is ReviewState.REJECTED
