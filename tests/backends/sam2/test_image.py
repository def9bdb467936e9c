from __future__ import annotations

from napari_semxai.backends.sam2.image import Recent


def test_what_was_used_longest_ago_is_forgotten_first():
    recent = Recent[bytes](10, len)
    for key, size in (("a", 4), ("b", 4)):
        recent.put(key, bytes(size))
    assert recent.get("a") is not None
    recent.put("c", bytes(4))
    assert recent.get("b") is None
    assert recent.get("a") == recent.get("c") == bytes(4)


def test_the_newest_value_is_kept_whatever_its_size():
    recent = Recent[bytes](10, len)
    recent.put("small", bytes(3))
    recent.put("large", bytes(50))
    assert len(recent) == 1
    assert recent.get("large") == bytes(50)
