"""Where the raw images of a data set come from: a function `Request -> RawImages` each."""

from trainer.data.cifar import load_cifar10, load_cifar100
from trainer.data.digits import load_digits
from trainer.data.image_folder import load_folder
from trainer.data.raw import Source

SOURCES: dict[str, Source] = {
    "cifar10": load_cifar10,
    "cifar100": load_cifar100,
    "digits": load_digits,
    "folder": load_folder,
}
