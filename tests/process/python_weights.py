"""What Python finds in the files of a finished training, held against each other; prints facts as one line of JSON.

usage: python_weights.py FOLDER-OF-to_yolov5.py WEIGHTS-FOLDER
"""
import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, sys.argv[1])
from to_yolov5 import read_safetensors

folder = Path(sys.argv[2])
facts = {}
for name in ("last", "best"):
    plain = torch.load(folder / f"{name}.pt", weights_only=True)
    state, info = read_safetensors(folder / f"{name}.safetensors")
    model = plain.pop("model")
    facts[name] = {
        "info": plain,
        "entries": len(model),
        "halves": sum(tensor.dtype == torch.float16 for tensor in model.values()),
        "type": type(model).__name__,
        "same": list(model) == list(state) and all(torch.equal(model[key], state[key]) for key in state),
        "same_info": all(plain[key] == info[key] for key in info),
    }
print(json.dumps(facts))
