import json
import sys

import numpy as np
import onnxruntime
from PIL import Image

model = onnxruntime.InferenceSession(sys.argv[1])
classes = json.loads(model.get_modelmeta().custom_metadata_map["classes"])
for path in sys.argv[2:]:
    image = np.asarray(Image.open(path).convert("RGB"))
    probabilities, anomaly = model.run(["probabilities", "anomaly"], {"images": image[None]})
    print(path, classes[probabilities[0].argmax()], f"{anomaly[0]:.4f}")
