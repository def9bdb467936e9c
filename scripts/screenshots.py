"""Make the pictures of the documentation from the real window.

Run from the project's root, on Linux: ``xvfb-run -s "-screen 0 1366x768x24" python
scripts/screenshots.py``. Writes ``docs/images/workbench-*.png``; look at them before committing.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import napari
import numpy as np
import tifffile
from napari._qt.dialogs.qt_notification import NapariQtNotification
from PIL import Image
from qtpy.QtCore import QItemSelectionModel
from qtpy.QtTest import QTest
from skimage.draw import ellipse

from napari_semxai.algorithms.masks.lasso import Outline
from napari_semxai.algorithms.synthetic import (
    Scene,
    SceneSpec,
    make_reference,
    make_scene,
    scene_of_class,
)
from napari_semxai.layers.mask.lasso_tool import LASSO
from napari_semxai.plugin import open_workbench
from napari_semxai.sample_data import KNOWN_LIGHT, sample_six_classes
from napari_semxai.state.explanation import CamSettings, CraftSettings
from napari_semxai.store.datasets.survey import write_survey
from napari_semxai.store.images.read import image_from_array
from napari_semxai.store.project.create import create_project
from napari_semxai.store.project.klarf_export import SIZE_COLUMNS, KlarfOffer
from napari_semxai.store.project.project import open_project
from napari_semxai.types import ReviewChange, ReviewState
from napari_semxai.types.survey import AnswerSet
from napari_semxai.widgets.common.forms import Section
from napari_semxai.widgets.edit.dock import DEFECTS
from napari_semxai.widgets.project.dialogs import KlarfQuestions
from napari_semxai.workbench import CANDIDATES, EDIT, Workbench

if TYPE_CHECKING:
    from qtpy.QtWidgets import QTabWidget, QWidget

PATIENCE_SECONDS = 300


def main() -> None:
    """Go through the main job on the sample image and take a picture of every step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("docs/images"))
    parser.add_argument("--only", choices=list(ALONE), help="make these pictures alone")
    arguments = parser.parse_args()
    folder = arguments.folder
    # Recovery copies and choices of these pictures are not a person's work.
    os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp()
    os.environ["XDG_CONFIG_HOME"] = tempfile.mkdtemp()
    os.environ["SEMXAI_MODEL_DIR"] = "/data/models"
    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1366, 768)
    workbench = open_workbench(viewer)
    if arguments.only:
        ALONE[arguments.only](workbench, folder)
    else:
        tour(workbench, folder)
    viewer.close()


def tour(workbench: Workbench, folder: Path) -> None:
    """Take all pictures, in the order of the main job."""
    viewer = workbench.viewer
    take(workbench, folder, "start", CANDIDATES)
    workbench.open_sample()
    wait(lambda: workbench.session.image is not None)
    viewer.reset_view()
    take(workbench, folder, "image", CANDIDATES)
    download(workbench, folder)
    workbench.segment.generate()
    wait(lambda: workbench.session.generation.done >= 256)
    take(workbench, folder, "generating", CANDIDATES)
    wait(lambda: workbench.session.generation.state == "done")
    take(workbench, folder, "mask", CANDIDATES)
    for box in workbench.dock(CANDIDATES).steps.values():
        box.setChecked(True)
    workbench.layers.mask_layer.visible = False
    take(workbench, folder, "steps", CANDIDATES)
    for box in workbench.dock(CANDIDATES).steps.values():
        box.setChecked(False)
    workbench.layers.take_tool("paint")
    for step in range(12):
        workbench.layers.mask_layer.paint((150 + step, 300 + 4 * step), 1)
    workbench.session.update_image(pixel_size=2.5e-9)
    wait(lambda: workbench.session.save.state == "recovery")
    take(workbench, folder, "edit", EDIT)
    take(workbench, folder, "scores", "Scores")
    first = (research, explain, robust, reference, defects, lasso, review)
    for part in (*first, klarf, survey, pages, run):
        part(workbench, folder)


def research(workbench: Workbench, folder: Path) -> None:
    """Take pictures of the sweep of the current image and of the curves of its heat map."""
    workbench.research.sweep()
    dock = workbench.dock("Research")
    wait(lambda: dock.figure.drawn)
    take(workbench, folder, "research", "Research")
    workbench.explaining.heatmaps.explain()
    explanation = workbench.session.explanation
    wait(lambda: explanation.heatmaps.active is not None)
    workbench.curves.draw()
    wait(lambda: dock.curves.figure.drawn)
    turn_to(dock.pages, "Thresholds")
    take(workbench, folder, "curves", "Research")
    workbench.explaining.heatmaps.clear()


def explained(workbench: Workbench, folder: Path) -> None:
    """Take all pictures with explanations, beside the mask that the tour has by then."""
    workbench.open_sample()
    wait(lambda: workbench.session.image is not None)
    workbench.viewer.reset_view()
    workbench.segment.generate()
    wait(lambda: workbench.session.generation.state == "done")
    research(workbench, folder)
    explain(workbench, folder)


def run(workbench: Workbench, folder: Path) -> None:
    """Let a run over some scenes suggest α and β, and open its result."""
    dock, place = workbench.dock("Research"), Path(tempfile.mkdtemp())
    for number, label in enumerate((1, 2, 3, 5)):
        scene = scene_of_class(label, 40 + number, (240, 240))
        for name, pixels in (("images", scene.image), ("masks", scene.defect)):
            (place / name).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(place / name / f"{number}.png")
    workbench.images.open_file(place / "images" / "0.png")
    wait(lambda: workbench.session.image is not None)
    panel = dock.run
    panel.dataset.setText(str(place))
    panel.output.setText(str(place / "results"))
    panel.start.click()
    wait(lambda: workbench.session.run.state != "running")
    panel.open.click()
    wait(lambda: panel.figure.drawn)
    turn_to(dock.pages, "Data set")
    take(workbench, folder, "run", "Research", panel)


def explain(workbench: Workbench, folder: Path) -> None:
    """Take pictures of a heat map, and of everything that is compared with the truth."""
    state = workbench.session.explanation
    workbench.layers.mask_layer.visible = False
    workbench.dock("Explain").parent().raise_()
    workbench.explaining.heatmaps.explain()
    wait(lambda: state.heatmaps.active is not None and state.network is not None)
    take(workbench, folder, "explain", "Explain")
    dock = workbench.dock("Scores")
    dock.parent().raise_()
    wait(lambda: bool(workbench.session.comparison.maps))
    dock.verticalScrollBar().setValue(dock.verticalScrollBar().maximum())
    take(workbench, folder, "comparison", "Scores")
    concepts(workbench, folder)
    workbench.layers.mask_layer.visible = True


def concepts(workbench: Workbench, folder: Path) -> None:
    """Take a picture of the concepts of the predicted class, and of three methods side by side."""
    explaining, state = workbench.explaining, workbench.session.explanation
    label = state.classification.predicted + 1
    scenes = [scene_of_class(label, seed, light=KNOWN_LIGHT).image for seed in range(300, 320)]
    explaining.concepts.add_images([image_from_array(one, "scene") for one in scenes])
    explaining.concepts.set_craft(CraftSettings(n_concepts=5, patch_size=80, refinement="fine"))
    explaining.concepts.fit()
    wait(lambda: state.concepts is not None)
    explaining.heatmaps.clear()
    explaining.masks.set_masks(concepts=frozenset({0, 1}), concept_tau=0.4)
    dock = workbench.dock("Explain")
    dock.parent().raise_()
    QTest.qWait(300)
    dock.ensureWidgetVisible(dock.concepts.concepts)
    take(workbench, folder, "concepts", "Explain")
    explaining.masks.set_masks(concepts=frozenset())
    layers = ("features.expand4", "features.head")
    cams = (CamSettings(), CamSettings("layercam"), CamSettings("layercam", layers))
    for number, cam in enumerate(cams, start=1):
        explaining.heatmaps.set_cam(cam)
        explaining.heatmaps.explain()
        wait(lambda number=number: len(state.heatmaps.all) == number)
    dock.looks["side_by_side"].setChecked(True)
    dock.ensureWidgetVisible(dock.looks["side_by_side"])
    take(workbench, folder, "side-by-side", "Explain")
    dock.looks["side_by_side"].setChecked(False)
    # They would follow to the images of the other pictures.
    explaining.heatmaps.clear()


def robust(workbench: Workbench, folder: Path) -> None:
    """Take a picture of several defects beside a strip, found by the robust variant."""
    path = Path(tempfile.mkdtemp()) / "several.png"
    spec = SceneSpec(defects=3, radius=26.0, strip=(0, 4, 0, 0))
    Image.fromarray(make_scene(spec, 5).image).save(path)
    workbench.images.open_file(path)
    wait(lambda: workbench.session.image and workbench.session.image.name == "several")
    workbench.viewer.reset_view()
    workbench.segment.generate()
    wait(lambda: workbench.session.generation.state == "done")
    take(workbench, folder, "robust", CANDIDATES)


def reference(workbench: Workbench, folder: Path) -> None:
    """Take a picture of a patterned image and how it differs from its reference."""
    place = Path(tempfile.mkdtemp())
    spec = SceneSpec(pattern="traces", noise=5.0, radius=24, contrast=1.2)
    Image.fromarray(make_scene(spec, 4).image).save(place / "die_3.png")
    Image.fromarray(make_reference(spec, 4)).save(place / "die_3_reference.png")
    workbench.images.open_file(place / "die_3.png")
    wait(lambda: workbench.session.image and workbench.session.image.name == "die_3")
    workbench.viewer.reset_view()
    workbench.segment.generate()
    wait(lambda: workbench.session.generation.state == "done")
    panel = workbench.dock(CANDIDATES).reference
    panel.boxes["difference"].setChecked(True)
    workbench.side_by_side.toggle()
    take(workbench, folder, "reference", CANDIDATES)
    workbench.side_by_side.toggle()
    panel.boxes["difference"].setChecked(False)


def review(workbench: Workbench, folder: Path) -> None:
    """Take a picture of a queue, with a SAM click on its image."""
    scratch = Path(tempfile.mkdtemp())
    scenes = [scene_of_class(1 + n % 4, n, shape=(480, 480)) for n in range(12)]
    (scratch / "wafers").mkdir()
    for number, scene in enumerate(scenes):
        Image.fromarray(scene.image).save(scratch / "wafers" / f"die_{number:02}.png")
    project = create_project(scratch / "wafers inspected", scratch / "wafers")
    for image, scene in zip(project.images, scenes, strict=True):
        label, score = str(scene.label), 0.6 + scene.label / 12
        change = ReviewChange(mask=scene.defect, label=label, score=score)
        project.write_review(image.id, "Anna", change)
    project.close()
    workbench.projects.open(project.folder, "Anna")
    states = (ReviewState.NO_DEFECT, ReviewState.UNSURE, ReviewState.REJECTED)
    for number, state in enumerate(states, start=1):
        wait(lambda n=number: workbench.session.queue and workbench.session.queue.number == n)
        # What was seen for a moment only is not reviewed.
        QTest.qWait(500)
        workbench.review.review(state)
    wait(lambda: workbench.session.queue.reviewed == 3)
    workbench.viewer.reset_view()
    workbench.clicks.activate(True)
    workbench.queue.find("5")
    wait(lambda: workbench.session.queue.number == 5)
    row, column = np.argwhere(scenes[4].defect).mean(axis=0)
    workbench.clicks.click(row, column)
    wait(lambda: workbench.session.clicks.state == "idle")
    take(workbench, folder, "review", EDIT)
    workbench.clicks.activate(False)
    gallery(workbench, folder)
    annotators(workbench, folder, project.folder, scenes)


def gallery(workbench: Workbench, folder: Path) -> None:
    """Take a picture of the gallery with four images chosen."""
    panel = workbench.dock(EDIT).panels["Queue"]
    panel.bring.click()
    shown = panel.gallery.panel
    wait(lambda: shown.model.rowCount() == 12)
    for place in (5, 6, 8, 9):
        shown.view.selectionModel().select(
            shown.model.index(place), QItemSelectionModel.SelectionFlag.Select
        )
    QTest.qWait(3000)
    panel.gallery.grab().save(str(folder / "gallery.png"))
    panel.gallery.close()


def annotators(workbench: Workbench, folder: Path, place: Path, scenes: list[Scene]) -> None:
    """Take a picture of three annotators' masks of one image, side by side."""
    project = open_project(place)
    for name, shift in (("Ben", 4), ("Carla", -6)):
        for image, scene in zip(project.images[:8], scenes, strict=False):
            mask = np.roll(scene.defect, (shift, 2 * shift), axis=(0, 1))
            project.write_review(
                image.id, name, ReviewChange(ReviewState.CORRECTED, mask, label="1")
            )
    project.close()
    workbench.review.review(ReviewState.CORRECTED)
    wait(lambda: workbench.session.queue.number == 6 and workbench.session.queue.reviewed == 4)
    workbench.queue.refresh()
    workbench.queue.step(-1)
    wait(lambda: workbench.session.queue.number == 5)
    panels = workbench.dock(EDIT).panels
    panels["Annotators"].blind.setChecked(False)
    panels["Annotators"].compare.click()
    panels["Annotators"].over_all.click()
    wait(lambda: workbench.session.others and workbench.session.agreement)
    take(workbench, folder, "annotators", EDIT, panels["Annotators"])
    workbench.session.others = None


def survey(workbench: Workbench, folder: Path) -> None:
    """Take pictures of the survey's two pages, with made-up answers."""
    if workbench.session.image is None:
        workbench.open_sample()
        wait(lambda: workbench.session.image is not None)
        workbench.viewer.reset_view()
    rng = np.random.default_rng(0)
    path = Path(tempfile.mkdtemp()) / "survey.csv"
    sets = [
        AnswerSet(f"P-{person}", method, "SEM defect", tuple(answers.tolist()))
        for person in range(9)
        for method, middle in (("Grad-CAM", 3), ("CRAFT", 4))
        for answers in [np.clip(rng.integers(middle - 1, middle + 2, 8), 1, 5)]
    ]
    write_survey(path, sets)
    workbench.survey.open(path)
    wait(lambda: workbench.session.survey is not None)
    workbench.survey.begin("P-7K2QD", "CRAFT", "SEM defect")
    workbench.survey.agree(True)
    dock = workbench.dock("Survey")
    dock.participant.setCurrentText("P-7K2QD")
    dock.method.setCurrentText("CRAFT")
    for item, answer in enumerate((4, 5, 3)):
        workbench.survey.answer(item, answer)
    workbench.survey.go(3)
    take(workbench, folder, "survey", "Survey")
    dock.pages.setCurrentIndex(1)
    wait(lambda: dock.figure.drawn)
    take(workbench, folder, "survey-summary", "Survey")


def download(workbench: Workbench, folder: Path) -> None:
    """Pick an official size as a person does, and decline."""
    picker = workbench.dock(CANDIDATES).model
    picker.model.setCurrentIndex(picker.model.findData("sam2.1_hiera_tiny"))
    picker.model.activated.emit(picker.model.currentIndex())
    take(workbench, folder, "download", CANDIDATES)
    picker.panel.cancel.click()


def pages(workbench: Workbench, folder: Path) -> None:
    """Open a file of six pages and go to the second one."""
    images = [data for data, _, kind in sample_six_classes() if kind == "image"]
    path = Path(tempfile.mkdtemp()) / "lot.tif"
    tifffile.imwrite(path, np.stack(images), photometric="minisblack")
    for page, act in enumerate(
        (lambda: workbench.images.open_file(path), lambda: workbench.images.turn_page(1))
    ):
        act()
        wait(lambda page=page: name_of(workbench) == f"lot_p{page + 1:04d}")
    workbench.viewer.reset_view()
    take(workbench, folder, "pages", CANDIDATES)


def name_of(workbench: Workbench) -> str:
    """Return the name of the open image, "" for none."""
    image = workbench.session.image
    return "" if image is None else image.name


def defects(workbench: Workbench, folder: Path) -> None:
    """Take a picture of a mask with several defects, one of them looked at."""
    scene = make_scene(SceneSpec(shape=(480, 480), label=1, defects=4, radius=16), seed=11)
    workbench.images.show(image_from_array(scene.image, "four particles", pixel_size=2e-9))
    wait(lambda: workbench.layers.mask_layer is not None)
    workbench.edit.propose(scene.defect, "draw")
    panel = workbench.dock(EDIT).panels[DEFECTS]
    take(workbench, folder, "defects", EDIT, panel)
    wait(lambda: workbench.session.defects)
    panel.table.selectRow(1)
    panel.table.cellClicked.emit(1, 0)
    take(workbench, folder, "defects", EDIT, panel)


def lasso(workbench: Workbench, folder: Path) -> None:
    """Take a picture of a lasso around a defect, before it is closed."""
    scene = make_scene(SceneSpec(shape=(480, 480), label=1, radius=90), seed=3)
    workbench.images.show(image_from_array(scene.image, "particle", pixel_size=2e-9))
    wait(lambda: workbench.layers.mask_layer is not None)
    workbench.viewer.reset_view()
    workbench.lasso.activate(LASSO)
    outline = Outline.around(scene.defect).path()
    for corner in outline[:: len(outline) // 7][:6]:
        workbench.lasso.add((float(corner[0]), float(corner[1])))
    take(workbench, folder, "lasso", EDIT)
    workbench.lasso.activate("")


def klarf(workbench: Workbench, folder: Path) -> None:
    """Take a picture of what a copy of a KLARF file asks."""
    offer = KlarfOffer(
        Path("lot-a.001"),
        ("MANSEMCLASS", "CLASSNUMBER"),
        tuple(SIZE_COLUMNS),
        {"1": "particle", "2": "scratch", "44": "pattern missing"},
        (
            ("1", "particle", 212, "1"),
            ("2", "scratch", 41, "2"),
            ("3", "bridge", 17, "3"),
            ("residue", "", 5, "residue"),
            ("no defect", "", 64, ""),
        ),
    )
    dialog = KlarfQuestions(offer, {"sizes": ["DEFECTAREA"]}, workbench.dock(EDIT))
    dialog.show()
    QTest.qWait(600)
    dialog.grab().save(str(folder / "klarf-copy.png"))
    dialog.close()


def ignored(workbench: Workbench, folder: Path) -> None:
    """Take a picture of a label and a smear that are ignored, beside a defect."""
    scene = make_scene(SceneSpec(shape=(480, 480), label=1, radius=60), seed=3)
    image = scene.image.copy()
    image[400:450, 20:190] = 235
    smear = ellipse(90, 360, 40, 90, shape=image.shape)
    image[smear] = np.minimum(255, image[smear] + 60)
    workbench.images.show(image_from_array(image, "particle", pixel_size=2e-9))
    wait(lambda: workbench.layers.mask_layer is not None)
    workbench.viewer.reset_view()
    workbench.edit.propose(scene.defect, "paint")
    region = np.zeros_like(scene.defect)
    region[395:455, 15:195] = region[smear] = True
    workbench.edit.toggle_ignoring()
    workbench.edit.draw(region, "paint")
    take(workbench, folder, "ignored", EDIT)
    workbench.edit.toggle_ignoring()


ALONE = {
    "defects": defects,
    "ignored": ignored,
    "lasso": lasso,
    "pages": pages,
    "explain": explained,
    "reference": reference,
    "review": review,
    "robust": robust,
    "run": run,
    "survey": survey,
    "klarf": klarf,
}


def turn_to(pages: QTabWidget, title: str) -> None:
    """Show a page by its title."""
    titles = [pages.tabText(number) for number in range(pages.count())]
    pages.setCurrentIndex(titles.index(title))


def wait(condition) -> None:
    """Let Qt work until a condition holds."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > end:
            sys.exit("waited too long")
        QTest.qWait(20)


def take(
    workbench: Workbench, folder: Path, name: str, dock: str, part: QWidget | None = None
) -> None:
    """Save the whole window with one dock in front, scrolled to a part of it."""
    front = workbench.dock(dock)
    front.parent().raise_()
    window = workbench.viewer.window
    QTest.qWait(600)
    if part is not None:
        for section in front.findChildren(Section):
            section.open(section.isAncestorOf(part))
        front.widget().adjustSize()
        top = part.mapTo(front.widget(), part.rect().topLeft()).y()
        front.verticalScrollBar().setValue(top - 30)
    # napari's word on PyQt5 would cover the canvas.
    for popup in window._qt_window.findChildren(NapariQtNotification):
        popup.close()
    QTest.qWait(200)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"workbench-{name}.png"
    workbench.viewer.screenshot(str(path), canvas_only=False, flash=False)


if __name__ == "__main__":
    main()
