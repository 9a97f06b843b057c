"""Files of a picture: the same picture gives the same bytes, and a file is never half-written."""

import io
import os

from .style import pyplot


def rendered(figure, formats):
    """Format → the file's bytes; the figure is closed."""
    images = {}
    for name in formats:
        buffer = io.BytesIO()
        undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(name)
        figure.savefig(buffer, format=name, metadata=undated)
        images[name] = buffer.getvalue()
    pyplot.close(figure)
    return images


def write_files(folder, files):
    """Writes each file beside its place and moves it there; returns the paths."""
    for name, content in files.items():
        temporary = folder / f".{name}.new"
        temporary.write_bytes(content)
        os.replace(temporary, folder / name)
    return [folder / name for name in files]
