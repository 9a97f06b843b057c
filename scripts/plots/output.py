"""Files of a picture: the same picture gives the same bytes, and a file is never half-written."""

import io
import os


def image_bytes(figure, kind):
    buffer = io.BytesIO()
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    figure.savefig(buffer, format=kind, metadata=undated)
    return buffer.getvalue()


def write_files(folder, files):
    """Writes each file beside its place and moves it there; returns the paths."""
    for name, content in files.items():
        temporary = folder / f".{name}.new"
        temporary.write_bytes(content)
        os.replace(temporary, folder / name)
    return [folder / name for name in files]
