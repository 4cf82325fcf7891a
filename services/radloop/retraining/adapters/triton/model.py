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
        self._inputs = [one["name"] for one in config["input"]]
        self._outputs = [one["name"] for one in config["output"]]
        self._batched = int(config["max_batch_size"]) > 0

    def execute(self, requests: list[Any]) -> list[Any]:
        """Run all requests as one batch and give each its own rows back; what has no batch runs one by one."""
        given = [
            {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self._inputs} for request in requests
        ]
        if not self._batched:
            return [self._response(self._session.run(self._outputs, one)) for one in given]
        batch = given[0] if len(given) == 1 else {name: np.concatenate([one[name] for one in given]) for name in self._inputs}
        values = self._session.run(self._outputs, batch)
        responses, start = [], 0
        for one in given:
            stop = start + len(one[self._inputs[0]])
            responses.append(self._response([value[start:stop] for value in values]))
            start = stop
        return responses

    def _response(self, values: list[Any]) -> Any:
        return pb_utils.InferenceResponse([
            pb_utils.Tensor(name, np.ascontiguousarray(value)) for name, value in zip(self._outputs, values, strict=True)
        ])
