"""Heat maps: why the classifier says what it says, by Grad-CAM and its relatives."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from napari_semxai.controllers.explain.classify import target_of
from napari_semxai.controllers.explain.requests import Asking
from napari_semxai.state.explanation import CONCEPTS, HEAT_MAP, Heatmaps
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.types import CAM_METHODS, GradcamRequest, Heatmap

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from napari_semxai.controllers.explain.result_cache import ResultCache
    from napari_semxai.engine.client import EngineClient
    from napari_semxai.state.explanation import CamSettings
    from napari_semxai.state.session import Session
    from napari_semxai.types import BoolMask, Heatmap, NetworkLayers


_TITLES = {method.name: method.title for method in CAM_METHODS}


def heat_names(heatmaps: Sequence[Heatmap], *, with_class: bool = False) -> dict[Heatmap, str]:
    """Return a name for each heat map of an image.

    Parameters
    ----------
    heatmaps : sequence of Heatmap
        All that there are.
    with_class : bool
        Whether to name the class also where all explain the same one.

    Returns
    -------
    dict of Heatmap to str
        The method; its target layers where maps of one method differ by them; whether it looks
        inside the mask only. No name comes twice.
    """
    with_class |= len({heatmap.target for heatmap in heatmaps}) > 1
    names: dict[Heatmap, str] = {}
    seen: Counter[str] = Counter()
    for heatmap in heatmaps:
        name = _TITLES.get(heatmap.method, heatmap.method)
        if len({other.layers for other in heatmaps if other.method == heatmap.method}) > 1:
            name += f", {' + '.join(heatmap.layers) or 'all layers'}"
        if heatmap.inside_mask:
            name += ", inside the mask"
        if with_class:
            name += f": {heatmap.class_name}"
        seen[name] += 1
        names[heatmap] = name if seen[name] == 1 else f"{name} ({seen[name]})"
    return names


QUICK_SECONDS = 3.0
"""Heat maps that take no longer follow the image, the class and the settings by themselves."""


class HeatmapController:
    """What the Grad-CAM part of the Explain dock can ask for.

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
        self._asking = Asking(engine, session.explanation, "explaining")
        self._wanted: list[CamSettings] = []
        self._shown: dict[CamSettings, Heatmap] = {}
        events = session.explanation.events
        self._connections = (
            (events.choice, self.clear),
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
        begun = explanation.cam in self._wanted
        explanation.cam = settings
        if begun and settings not in self._wanted and self._is_quick(settings):
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

    def clear(self) -> None:
        """Show no heat map any more."""
        self._asking.forget()
        self._wanted = []
        self._show({})

    def cancel(self) -> None:
        """Stop what is running; the heat maps so far stay."""
        self._asking.cancel()

    def _on_key_changed(self, key: str) -> None:
        if key:
            self._refresh()
        else:
            # Another image.
            self._asking.forget()
            self._show({})

    def _refresh(self) -> None:
        """Show what is known of the wanted heat maps and ask for the quick ones of the rest."""
        target = target_of(self._session)
        shown = {
            settings: heatmap
            for settings, heatmap in self._shown.items()
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
        asked = any(self._asking.waits_for(_destination(settings, each)) for each in same)
        if image is None or (asked and not settings.inside_mask):
            return
        mask = self._mask_for(settings)
        request = GradcamRequest(
            image=image.gray,
            classifier=choice.classifier,
            target=target,
            layers=settings.layers,
            method=settings.method,
            mask=mask,
            device=choice.device,
        )
        self._asking.ask(
            request,
            _destination(settings, target),
            partial(self._on_heatmap, settings, mask),
        )

    def _on_heatmap(self, settings: CamSettings, mask: BoolMask | None, found: Heatmap) -> None:
        if self._explanation.image_key:
            self._cache.put(self._key(settings, found.target, mask), found, found.values.nbytes)
        if target_of(self._session) in (None, found.target):
            self._show(self._shown | {settings: found})

    def _reveal(self) -> None:
        """Show heat maps that somebody asks for, also where concepts were looked at alone."""
        if self._explanation.alone == CONCEPTS:
            self._explanation.alone = ""

    def _show(self, heatmaps: dict[CamSettings, Heatmap]) -> None:
        self._shown = heatmaps
        active = heatmaps.get(self._explanation.cam)
        self._explanation.heatmaps = Heatmaps(active, tuple(heatmaps.values()))

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
        inside = "" if mask is None else array_digest(mask)
        return self._explanation.image_key, self._explanation.choice, settings, target, inside


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
    shapes = [node.shape for node in network.layers if node.name in names]
    channels = sum(shape[0] for shape in shapes if shape)
    return method.cost(channels) * network.seconds_per_pass
