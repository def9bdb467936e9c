"""Agreement of a predicted mask with a true one."""

from __future__ import annotations

import numpy as np

from napari_semxai.types import BoolMask, Scores


def scores(prediction: BoolMask, truth: BoolMask) -> Scores:
    """Count how a prediction agrees with a truth.

    Parameters
    ----------
    prediction, truth : ndarray of bool, shape (M, N)
        The masks; any non-zero value of another type is foreground.

    Returns
    -------
    Scores
        Confusion counts, with accuracy, precision, recall, Dice and IoU as properties. Both
        masks empty: Dice and IoU are 1; one empty: 0. Precision and recall are NaN where
        undefined.

    Raises
    ------
    ValueError
        If the shapes differ or the masks hold no pixels.

    Examples
    --------
    >>> import numpy as np
    >>> scores(np.array([[1, 1, 0, 0]]), np.array([[0, 1, 1, 0]])).dice
    0.5
    """
    if prediction.shape != truth.shape or prediction.size == 0:
        raise ValueError(
            f"masks must have the same, non-empty shape, not {prediction.shape} and {truth.shape}"
        )
    predicted, actual = prediction != 0, truth != 0
    tp = int(np.count_nonzero(predicted & actual))
    fp = int(np.count_nonzero(predicted)) - tp
    fn = int(np.count_nonzero(actual)) - tp
    return Scores(tp=tp, fp=fp, fn=fn, tn=prediction.size - tp - fp - fn)
