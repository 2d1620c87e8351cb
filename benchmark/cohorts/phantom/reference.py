"""Reference labels as the clinic makes them: components above 130 HU of the final image."""

from __future__ import annotations

import numpy as np

from benchmark.calcium import label_candidates

#: Coronary excess (HU) one voxel of a component must hold for a reader to call it a lesion.
SEEN = 60.0
#: HU of the image without calcium from which a voxel counts as bone.
BONE = 90.0


def reference_labels(
    voxels: np.ndarray, calcium: dict[int, np.ndarray], bone: np.ndarray
) -> np.ndarray:
    """Return the labels two readers would agree on.

    A 6-connected component above 130 HU that holds coronary calcium is a lesion. Its voxels are
    labelled one by one by the greatest contribution; calcium that is not coronary, and bone, are
    background even where they touch a lesion. Voxels to which none contributed (noise at the
    rim) follow the majority of their component. Components of noise alone are background.

    Parameters
    ----------
    voxels : ndarray of int16, shape (Z, Y, X)
        The final, noisy image in HU.
    calcium : dict of int to ndarray of float32
        Excess HU by owner: 1 LAD, 2 LCX, 3 RCA, 0 calcium that is not coronary.
    bone : ndarray of bool
        Voxels of bone.

    Returns
    -------
    ndarray of uint8
        0 background, 1 LAD, 2 LCX, 3 RCA.
    """
    labels = np.zeros(voxels.shape, np.uint8)
    owners = sorted(set(calcium) - {0})
    if not owners:
        return labels
    coronary = calcium[owners[0]]
    for owner in owners[1:]:
        coronary = np.maximum(coronary, calcium[owner])
    components, _ = label_candidates(voxels)
    seen = np.unique(components[coronary >= SEEN])
    seen = seen[seen > 0]
    if seen.size == 0:
        return labels
    places = np.nonzero(np.isin(components, seen))
    component = components[places]
    stack = np.stack(
        [
            calcium[owner][places] if owner in calcium else np.zeros(component.size, np.float32)
            for owner in range(4)
        ]
    )
    greatest = np.argmax(stack, axis=0).astype(np.uint8)
    touched = stack[greatest, np.arange(greatest.size)] > 1.0
    known = touched | bone[places]
    greatest[~touched] = 0
    for name in seen:
        here = component == name
        unknown = here & ~known
        if unknown.any():
            votes = np.bincount(greatest[here & touched], minlength=4)
            greatest[unknown] = np.argmax(votes)
    labels[places] = greatest
    return labels
