# ruff: noqa: INP001 - Triton runs this file by itself, it belongs to no Python package
"""Runs model.onnx under Triton's python backend with onnxruntime; knows nothing of its meaning."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found] # only Triton's stub has it


class TritonPythonModel:
    """What the python backend asks for: one instance per process."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the weights beside this file; threads come from config.pbtxt."""
        config = json.loads(args["model_config"])
        options = onnxruntime.SessionOptions()
        # More threads than this spin and fight the server for the cores.
        options.intra_op_num_threads = int(config["parameters"]["intra_op_threads"]["string_value"])
        options.inter_op_num_threads = 1
        weights = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        self._session = onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
        self._outputs = [output["name"] for output in config["output"]]

    def execute(self, requests: list[Any]) -> list[Any]:
        """Run all requests as one batch and give each its own rows back."""
        images = [pb_utils.get_input_tensor_by_name(request, "IMAGE").as_numpy() for request in requests]
        batch = images[0] if len(images) == 1 else np.concatenate(images)
        values = self._session.run(self._outputs, {"IMAGE": batch})
        responses, start = [], 0
        for image in images:
            stop = start + len(image)
            responses.append(pb_utils.InferenceResponse([
                pb_utils.Tensor(name, np.ascontiguousarray(value[start:stop]))
                for name, value in zip(self._outputs, values, strict=True)
            ]))
            start = stop
        return responses
