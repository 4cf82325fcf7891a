"""PNG and JPEG files as grey values: radiographs that were exported, and masks that were drawn on them."""

from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from radloop.kit.errors import Permanent

MOST_PIXELS: Final = 50_000_000
"""More than any radiograph has; a file of few bytes can claim far more."""
_FORMATS: Final = ("PNG", "JPEG")
_DEEP: Final = ("I", "I;16", "I;16B", "I;16L")


def grey_of(file: bytes) -> NDArray[np.float32]:
    """Return grey values 0 to 1 [rows, columns], of 8 or 16 bits, as they lie in the file (an EXIF orientation is not followed).

    Raise Permanent where it is neither a PNG nor a JPEG file, breaks off, or has more pixels than a radiograph.
    """
    try:
        with Image.open(BytesIO(file), formats=_FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Permanent(f"a picture of more than {MOST_PIXELS} pixels is not read")
            deep = image.mode in _DEEP
            levels = np.asarray(image if deep else image.convert("L"), np.float32)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as broken:
        raise Permanent("neither a PNG nor a JPEG file that can be read") from broken
    return levels / np.float32(65535.0 if deep else 255.0)
