"""What napari fits the view to where nobody names layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Layer

_EXTENT = "_get_scene_parameters"


class Fit:
    """Let Home, *Fit to view* and figures count some layers only, and keep them fitted.

    napari counts all layers, also hidden ones of other images, and has no setting for it. Without
    the method that is replaced here, it does so still.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose view.
    wanted : callable
        Returns the layers that count, or None for all.
    """

    def __init__(self, viewer: ViewerModel, wanted: Callable[[], list[Layer] | None]) -> None:
        self._viewer, self._wanted = viewer, wanted
        self._napari_own: Callable[..., Any] | None = getattr(viewer, _EXTENT, None)
        self._named = False
        self._view: tuple[object, ...] = ()
        if self._napari_own is not None:
            viewer.__dict__[_EXTENT] = self._extent
        viewer.events.reset_view.connect(self._on_fitted)
        viewer.canvas.events.size.connect(self._on_canvas_resized)

    def release(self) -> None:
        """Leave the view to napari."""
        self._viewer.__dict__.pop(_EXTENT, None)
        self._viewer.events.reset_view.disconnect(self._on_fitted)
        self._viewer.canvas.events.size.disconnect(self._on_canvas_resized)

    def fit(self) -> None:
        """Show all of the layers that count."""
        self._viewer.fit_to_view()

    def follow(self, zoom: float, centre: tuple[float, ...]) -> None:
        """Change the view along with the world, so that the same is seen."""
        camera, fitted = self._viewer.scene.camera, self._is_fitted
        camera.center = (*camera.center[:-2], *centre)
        camera.zoom *= zoom
        if fitted:
            self._on_fitted()

    def _extent(self, *, layers: Any = None) -> Any:
        self._named = layers is not None
        return self._napari_own(layers=layers if self._named else self._wanted())  # type: ignore[misc]

    def _on_fitted(self) -> None:
        camera = self._viewer.scene.camera
        self._view = () if self._named else (camera.center, camera.zoom, camera.angles)

    @property
    def _is_fitted(self) -> bool:
        """Whether nobody has moved the view since all was last shown."""
        camera = self._viewer.scene.camera
        return self._view == (camera.center, camera.zoom, camera.angles)

    def _on_canvas_resized(self) -> None:
        # Docks that open, or a window that grows, would else cut the picture or leave it small.
        if self._is_fitted and self._wanted() is not None:
            self.fit()
