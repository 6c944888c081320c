"""Process-wide settings of Pillow, OpenCV and Python while pictures are decoded or encoded."""

import threading
import warnings
from contextlib import ExitStack

import cv2
import PIL.Image


class Quiet:
    """No messages of the decoders and no pixel limit of Pillow; `check_size` has the right one.

    The settings are changed by the first thread that enters and put back by the last that leaves.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._undo = ExitStack()

    def __enter__(self) -> None:
        """Change the settings unless another thread has."""
        with self._lock:
            if self._inside == 0:
                self._change()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        """Put the settings back unless another thread still needs them."""
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._undo.close()

    def _change(self) -> None:
        self._undo.enter_context(warnings.catch_warnings(action="ignore"))
        logging = cv2.utils.logging
        self._undo.callback(logging.setLogLevel, logging.setLogLevel(logging.LOG_LEVEL_SILENT))
        self._undo.callback(setattr, PIL.Image, "MAX_IMAGE_PIXELS", PIL.Image.MAX_IMAGE_PIXELS)
        PIL.Image.MAX_IMAGE_PIXELS = None


quiet = Quiet()
