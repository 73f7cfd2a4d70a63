"""The registry of sources reads raw images: a function `Request -> RawImages` each."""

from trainer.data.cifar import load_cifar10, load_cifar100
from trainer.data.digits import load_digits
from trainer.data.image_arrays import load_arrays
from trainer.data.image_folder import load_folder
from trainer.data.image_table import load_table
from trainer.data.raw import Source

OWN_IMAGES: dict[str, Source] = {
    "folder": load_folder,
    "table": load_table,
    "arrays": load_arrays,
}
"""The sources of a user's own images, which a `FolderSpec` describes."""
SOURCES: dict[str, Source] = {
    "cifar10": load_cifar10,
    "cifar100": load_cifar100,
    "digits": load_digits,
    **OWN_IMAGES,
}
