"""Loads all that rendering needs before a worker process is locked up: what is missing then can never be loaded.

What belongs here: rendering a small drawn picture once in each format, so that every module, codec and model is there.
What does not: locking up (``sandbox.py``).
"""

import io

from PIL import AvifImagePlugin, Image, ImageCms, WebPImagePlugin

from talent_image_pipeline.pictures.rendering.faces import load_detectors
from talent_image_pipeline.pictures.rendering.render import render_picture

# Importing them here keeps Pillow from importing all its plugins in search of these two.
_PLUGINS = (AvifImagePlugin, WebPImagePlugin)
_SIDE = 72
# The encoder for AVIF takes longer than all the rest together; its decoder is in the module that the others load.
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP")


def load_everything() -> None:
    """Load the face detectors, and render a drawn picture from each format."""
    load_detectors()
    # With a profile and with transparency, for what is loaded for those.
    drawn = Image.radial_gradient("L").resize((_SIDE, _SIDE)).convert("RGB")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for image_format in _FORMATS:
        encoded = io.BytesIO()
        drawn.save(encoded, image_format, icc_profile=profile)
        render_picture(encoded.getvalue())
