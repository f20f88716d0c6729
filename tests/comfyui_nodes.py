"""What the ComfyUI "Custom classifier nodes" make of a model, rebuilt from their description."""

import json

import torch
from safetensors.torch import load_file


def comfyui_scores(path, features, name="main_process"):
    """Build the nodes' module from the metadata, load strictly, and run it."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        metadata = json.loads(file.read(length))["__metadata__"]
    inside = metadata["layers"][1:-1]
    if name == "layers":  # as the older nodes read it: without a hidden layer they fail
        hidden = [int(size) for size in inside.split(",")]
    else:
        hidden = [int(size) for size in inside.split(",")] if inside else []
        assert int(metadata["number_of_features"]) == features.shape[1]
        assert (metadata["final_layer_bias"], metadata["output_channels"]) == ("True", "1")
    size, layers = features.shape[1], []
    for outputs in hidden:
        layers += [torch.nn.Dropout(0.0), torch.nn.Linear(size, outputs), torch.nn.ReLU()]
        size = outputs
    layers += [torch.nn.Dropout(0.0), torch.nn.Linear(size, 1)]
    module = torch.nn.ModuleDict({name: torch.nn.Sequential(*layers)})
    module.load_state_dict(load_file(path), strict=True)
    with torch.no_grad():
        scores = module[name](torch.tensor(features, dtype=torch.float32)).numpy()[:, 0]
    mean = float(metadata.get("mean_predicted_score", 0))
    return (scores - mean) / float(metadata.get("stdev_predicted_score", 1))
