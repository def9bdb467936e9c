"""Heat maps: why the classifier says what it says, by Grad-CAM and its relatives."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.explanations.masks import gradcam_mask, threshold_mask
from napari_semxai.controllers.explain.classify import target_of
from napari_semxai.controllers.explain.request_tracker import RequestTracker
from napari_semxai.controllers.explain.sources import MapSource, NamedMap
from napari_semxai.state.explanation import CONCEPTS, HEAT_MAP, Heatmaps
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.types import CAM_METHODS, GradcamRequest, Heatmap, colors, moved_by

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from numpy.typing import NDArray

    from napari_semxai.controllers.explain.request_tracker import ResultCache
    from napari_semxai.controllers.explain.sources import Made
    from napari_semxai.engine.client import EngineClient
    from napari_semxai.state.explanation import CamSettings, Explanation
    from napari_semxai.state.session import Session
    from napari_semxai.types import BoolMask, NetworkLayers

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
        if heatmap.as_drawn:
            name += ", as drawn"
        if with_class:
            name += f": {heatmap.class_name}"
        seen[name] += 1
        names[heatmap] = name if seen[name] == 1 else f"{name} ({seen[name]})"
    return names


PAPER_MAP = "heat map, rendered (Algorithm 2)"


class HeatmapSource(MapSource):
    """Heat maps: the one that is looked at, and all that were made of the image."""

    family, field, mask_title = HEAT_MAP, "heatmaps", "heat map mask"

    def __init__(self) -> None:
        # Of the heat map shown now, and of the one before it.
        render = lru_cache(maxsize=2)(Heatmap.rgb)
        self._mask = lru_cache(maxsize=1)(partial(heat_mask, render=render))

    def maps(self, explanation: Explanation) -> list[NamedMap]:
        """Return all heat maps, and the active one as Algorithm 2 sees it in paper mode."""
        active = explanation.heatmaps.active
        maps = [
            NamedMap(name, heatmap, partial(getattr, heatmap, "values"), heatmap.sha256)
            for heatmap, name in heat_names(explanation.heatmaps.all).items()
        ]
        if explanation.mask_settings.paper and active is not None:
            maps.append(NamedMap(PAPER_MAP, (active, "red"), partial(_red, active), active.sha256))
        return maps

    def layers(self, explanation: Explanation) -> list[list[NamedMap]]:
        """Return each heat map for a tile of its own, the active one or nothing first."""
        active = explanation.heatmaps.active
        names = heat_names(explanation.heatmaps.all, with_class=True)
        shown = sorted(explanation.heatmaps.all, key=lambda found: found is not active)
        layers = []
        for number, heatmap in enumerate(shown):
            role = HEAT_MAP if number == 0 else f"{HEAT_MAP} {number + 1}"
            values = partial(heat_values, heatmap)
            layers.append([NamedMap(names[heatmap], heatmap, values, heatmap.sha256, role=role)])
        return [[], *layers] if active is None and layers else layers

    def masks(self, explanation: Explanation, shape: tuple[int, int]) -> Made:
        """Return the mask of the active heat map."""
        settings, active = explanation.mask_settings, explanation.heatmaps.active
        if active is None:
            return {}, None
        mask = self._mask(active, settings.tau, settings.paper)
        return {HEAT_MAP: mask}, mask

    def judged(self, explanation: Explanation) -> dict[str, tuple[Callable[[], BoolMask], str]]:
        """Return the masks of all heat maps, not of the active one alone."""
        settings, names = explanation.mask_settings, heat_names(explanation.heatmaps.all)
        return {
            HEAT_MAP if len(names) == 1 else f"{HEAT_MAP}, {name}": (
                partial(heat_mask, heatmap, settings.tau, settings.paper),
                heatmap.sha256,
            )
            for heatmap, name in names.items()
        }

    def palette(self, explanation: Explanation) -> tuple[str, ...]:
        """Return the one colour of heat."""
        return (colors.HEAT,)

    def classifier(self, explanation: Explanation) -> str:
        """Return that of the active heat map."""
        active = explanation.heatmaps.active
        return "" if active is None else active.sha256

    def details(self, explanation: Explanation, name: str) -> dict[str, Any]:
        """Return method, layers, class and threshold of the active heat map."""
        heatmap, settings = explanation.heatmaps.active, explanation.mask_settings
        if heatmap is None:
            return {}
        return {
            "method": heatmap.method,
            "layers": list(heatmap.layers),
            "target": heatmap.target,
            "class": heatmap.class_name,
            "classifier_sha256": heatmap.sha256,
            "inside_mask": heatmap.inside_mask,
            "moved_by": {} if settings.paper else moved_by(heatmap),
            "paper": settings.paper,
            "tau": settings.tau,
        }


def heat_mask(
    heatmap: Heatmap,
    tau: float,
    paper: bool,
    render: Callable[[Heatmap], NDArray[np.uint8]] = Heatmap.rgb,
) -> BoolMask:
    """Return the mask that a heat map gives.

    Parameters
    ----------
    heatmap : Heatmap
        The map.
    tau, paper
        See `ExplanationMaskSettings`.
    render : callable
        Returns the map in JET colours; one that remembers them, where they are needed often.

    Returns
    -------
    ndarray of bool, shape (M, N)
    """
    if paper:
        return gradcam_mask(render(heatmap), tau)
    return threshold_mask(heatmap.values, tau)


def heat_values(heatmap: Heatmap) -> NDArray[np.float32]:
    """Return a map in the unit of its method, shape (M, N).

    A mean over several layers, each scaled to its own range first, has no unit: from 0 to 1.
    """
    # A mean over layers is of maps that were scaled to 1 each: it has no unit to go back to.
    unit = heatmap.raw_maximum if len(heatmap.layers) < 2 else 1.0
    return heatmap.values * np.float32(unit)


def _red(heatmap: Heatmap) -> NDArray[np.float32]:
    return heatmap.rgb()[..., 0].astype(np.float32)


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
        # Once a person has asked for one, other quick methods are shown at once when they are
        # picked.
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
        self._tracker.forget()
        self._wanted = []
        self._show({})

    def cancel(self) -> None:
        """Stop what is running; the heat maps so far stay."""
        self._tracker.cancel()

    def _on_key_changed(self, key: str) -> None:
        if key:
            self._refresh()
        else:
            # Another image.
            self._tracker.forget()
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
        request = GradcamRequest(
            image=image.gray,
            classifier=choice.classifier,
            target=target,
            layers=settings.layers,
            method=settings.method,
            mask=mask,
            device=choice.device,
            as_drawn=settings.as_drawn,
        )
        self._tracker.ask(
            request,
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
        # By its pixels: an undo that brings the mask back finds its heat map again.
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
    nodes = (node for node in network.layers if node.name in names and node.shape)
    channels = sum(node.shape[0] for node in nodes)
    return method.cost(channels) * network.seconds_per_pass
