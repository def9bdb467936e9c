"""Heat maps are asked for, kept and chosen: Grad-CAM and its relatives."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from napari_semxai.controllers.explain.classify import target_of
from napari_semxai.controllers.explain.request_tracker import RequestTracker
from napari_semxai.state.explanation import CONCEPTS, HEAT_MAP, Heatmaps
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.types import ChecksRequest, GradcamRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from napari_semxai.controllers.explain.request_tracker import ResultCache
    from napari_semxai.engine.client import EngineClient
    from napari_semxai.state.explanation import CamSettings, ClassifierChoice
    from napari_semxai.state.session import Session
    from napari_semxai.types import BoolMask, Checks, Heatmap, NetworkLayers, SemImage

CHECKS = "checks of the heat map"
QUICK_SECONDS = 3.0
"""Heat maps that take no longer follow the image, the class and the settings by themselves."""


class HeatmapController:
    """Computes heat maps of the current image, and chooses the one on show.

    Parameters
    ----------
    session : Session
        Where the answers go.
    engine : EngineClient
        Runs the service "explain".
    cache : ResultCache
        Keeps answers, so that they are back as soon as their image is.
    mask : callable
        Returns the defect mask as it is now, or None.
    """

    def __init__(
        self,
        session: Session,
        engine: EngineClient,
        cache: ResultCache,
        mask: Callable[[], BoolMask | None],
    ) -> None:
        self._session, self._explanation = session, session.explanation
        self._cache, self._mask = cache, mask
        self._tracker = RequestTracker(engine, session.explanation, "explaining")
        self._wanted: list[CamSettings] = []
        # By settings: the same method at other layers is another map, and asking again replaces
        # it.
        self._shown: dict[CamSettings, Heatmap] = {}
        # Of this image by the classifiers that were chosen before, to compare with.
        self._others: dict[ClassifierChoice, tuple[Heatmap, ...]] = {}
        events = session.explanation.events
        self._connections = (
            (events.choice, self._on_choice_changed),
            (events.image_key, self._on_key_changed),
            (events.classification, self._refresh),
            (events.network, self._refresh),
            (events.target, self._refresh),
        )
        for signal, slot in self._connections:
            signal.connect(slot)

    def release(self) -> None:
        """Follow the session no longer."""
        for signal, slot in self._connections:
            signal.disconnect(slot)

    def set_cam(self, settings: CamSettings) -> None:
        """Choose method and layers; quick heat maps follow, slow ones wait for `explain`."""
        explanation = self._explanation
        self._reveal()
        explanation.cam = settings
        # Once a person has asked for one, others are shown as soon as they are picked, if quick:
        # that may be known only when the network has come.
        if self._wanted and explanation.follow and settings not in self._wanted:
            self._wanted.append(settings)
        self._refresh()

    def set_follow(self, follow: bool) -> None:
        """Choose whether quick heat maps follow the image, the class and the settings."""
        self._explanation.follow = follow
        self._refresh()

    def explain(self) -> None:
        """Make the heat map of the current settings."""
        self._reveal()
        settings = self._explanation.cam
        if settings not in self._wanted:
            self._wanted.append(settings)
        if self._known(settings) is None:
            self._request(settings)
        else:
            self._refresh()

    def show_next(self) -> None:
        """Look at one after the other: each heat map that was made, then the concepts."""
        explanation, made = self._explanation, list(self._shown)
        if not made:
            return
        cam, at = explanation.cam, -1
        if not explanation.hides_heat_map and cam in made:
            at = made.index(cam)
        if explanation.concepts is not None and at == len(made) - 1:
            explanation.alone = CONCEPTS
            return
        explanation.alone = "" if explanation.concepts is None else HEAT_MAP
        self.set_cam(made[(at + 1) % len(made)])

    def set_together(self, together: bool) -> None:
        """Show heat map and concepts over each other, or the heat map alone."""
        self._explanation.alone = "" if together else HEAT_MAP

    def set_compare(self, compare: bool) -> None:
        """Draw all heat maps by one scale, and how the first two differ."""
        self._explanation.compare = compare

    def clear(self) -> None:
        """Show no heat map any more."""
        self._tracker.forget()
        self._wanted, self._others = [], {}
        self._show({})

    def cancel(self) -> None:
        """Stop what is running; the heat maps so far stay."""
        self._tracker.cancel()

    def check(self) -> None:
        """Find out how far the heat map that is looked at can be believed."""
        explanation, image = self._explanation, self._session.image
        shown, settings = explanation.heatmaps.active, explanation.cam
        if shown is None or image is None:
            self._session.message = "Compute a heat map first: the one looked at is checked"
            return
        mask = self._mask_for(settings)
        asked = _asked(image, explanation.choice, settings, shown.target, mask)
        self._tracker.ask(ChecksRequest(asked, shown), CHECKS, self._on_checks)

    def _on_checks(self, found: Checks) -> None:
        self._explanation.checks = found

    def _on_key_changed(self, key: str) -> None:
        if key:
            self._refresh()
        else:
            # Another image.
            self._tracker.forget()
            self._others = {}
            self._show({})

    def _on_choice_changed(self, choice: ClassifierChoice, before: ClassifierChoice) -> None:
        """Keep the maps of the classifier before; the new one is asked for the same."""
        self._tracker.forget()
        self._others[before] = tuple(self._shown.values())
        self._others.pop(choice, None)
        # Layers are those of one network.
        self._wanted = list(dict.fromkeys(replace(asked, layers=()) for asked in self._wanted))
        self._explanation.cam = replace(self._explanation.cam, layers=())
        self._show({})

    def _refresh(self) -> None:
        """Show what is known of the wanted heat maps and ask for the quick ones of the rest."""
        target = target_of(self._session)
        shown = {
            settings: heatmap
            for settings, heatmap in self._shown.items()
            # The cache knows them by their mask, which may have changed since; they stay until a
            # person asks anew.
            if settings.inside_mask and heatmap.target == target
        }
        for settings in self._wanted:
            known = self._known(settings)
            if known is not None:
                shown[settings] = known
            elif target is not None and self._is_quick(settings):
                self._request(settings)
        self._show(shown)

    def _known(self, settings: CamSettings) -> Heatmap | None:
        key = self._key(settings, target_of(self._session), self._mask_for(settings))
        found: Heatmap | None = self._cache.get(key)
        return found

    def _request(self, settings: CamSettings) -> None:
        image, choice = self._session.image, self._explanation.choice
        target = target_of(self._session)
        # One asked for before the class was known is of whichever is predicted.
        same = {target, self._explanation.target}
        asked = any(self._tracker.waits_for(_destination(settings, each)) for each in same)
        if image is None or (asked and not settings.inside_mask):
            return
        mask = self._mask_for(settings)
        self._tracker.ask(
            _asked(image, choice, settings, target, mask),
            _destination(settings, target),
            partial(self._on_heatmap, settings, mask),
        )

    def _on_heatmap(self, settings: CamSettings, mask: BoolMask | None, found: Heatmap) -> None:
        # Without it the map could not be told from one of another image.
        if self._explanation.image_key:
            self._cache.put(self._key(settings, found.target, mask), found, found.values.nbytes)
        # Meanwhile another class may be looked at; the map is in the cache for later.
        if target_of(self._session) in (None, found.target):
            self._show(self._shown | {settings: found})

    def _reveal(self) -> None:
        """Show heat maps that somebody asks for, also where concepts were looked at alone."""
        if self._explanation.alone == CONCEPTS:
            self._explanation.alone = ""

    def _show(self, heatmaps: dict[CamSettings, Heatmap]) -> None:
        self._shown = heatmaps
        active = heatmaps.get(self._explanation.cam)
        if active is not self._explanation.heatmaps.active:
            # They are of the map that was looked at.
            self._tracker.forget(CHECKS)
            self._explanation.checks = None
        others = (heatmap for found in self._others.values() for heatmap in found)
        self._explanation.heatmaps = Heatmaps(active, (*heatmaps.values(), *others))

    def _is_quick(self, settings: CamSettings) -> bool:
        # What happens inside a mask would otherwise run after every stroke.
        follows = self._explanation.follow and self._explanation.image_key != ""
        if not follows or settings.inside_mask:
            return False
        seconds = seconds_of(self._explanation.network, settings)
        return seconds is not None and seconds <= QUICK_SECONDS

    def _mask_for(self, settings: CamSettings) -> BoolMask | None:
        return self._mask() if settings.inside_mask else None

    def _key(self, settings: CamSettings, target: int | None, mask: BoolMask | None) -> Hashable:
        # By its pixels: an undo that brings the mask back finds its heat map again.
        inside = "" if mask is None else array_digest(mask)
        return self._explanation.image_key, self._explanation.choice, settings, target, inside


def _asked(
    image: SemImage,
    choice: ClassifierChoice,
    settings: CamSettings,
    target: int | None,
    mask: BoolMask | None,
) -> GradcamRequest:
    return GradcamRequest(
        image=image.gray,
        classifier=choice.classifier,
        target=target,
        layers=settings.layers,
        method=settings.method,
        mask=mask,
        device=choice.device,
        as_drawn=settings.as_drawn,
        picture_rows=image.picture_rows,
    )


def _destination(settings: CamSettings, target: int | None) -> str:
    return f"heat map of class {target} by {settings}"


def seconds_of(network: NetworkLayers | None, settings: CamSettings) -> float | None:
    """Estimate how long a heat map takes; None while the network is not known."""
    if network is None:
        return None
    method = next((known for known in network.methods if known.name == settings.method), None)
    if method is None:
        return None
    names = settings.layers or (network.cam_default,)
    nodes = (node for node in network.layers if node.name in names and node.shape)
    channels = sum(node.shape[0] for node in nodes)
    return method.cost(channels) * network.seconds_per_pass
