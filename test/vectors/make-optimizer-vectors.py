"""Writes learning/optimizer.json: weights after steps of Keras 3 optimizers, of the loss sum over i of (i + 1) w_i^2.

Needs tensorflow-cpu 2.18 (Keras 3, independent of the code under test): python3 make-optimizer-vectors.py > learning/optimizer.json
The learning rate of each step is worked out here and set; clipping, moments and weight decay are those of Keras.
"""
import json
import math
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import tensorflow as tf

keras.config.set_floatx("float64")  # its betas go through float32 all the same: 1e-5 is near

RATE = 0.05
MAKERS = {
    "sgd": lambda part: keras.optimizers.SGD(RATE, global_clipnorm=part.get("clipNorm")),
    "momentum": lambda part: keras.optimizers.SGD(RATE, part["momentum"], global_clipnorm=part.get("clipNorm")),
    "adam": lambda part: keras.optimizers.Adam(RATE, 0.9, 0.999, 1e-7, global_clipnorm=part.get("clipNorm")),
    "adamw": lambda part: keras.optimizers.AdamW(
        RATE, part["weightDecay"], 0.9, 0.999, 1e-7, global_clipnorm=part.get("clipNorm")
    ),
}
PARTS = [
    {"optimizer": "momentum", "momentum": 0.8, "clipNorm": 2},
    {"optimizer": "adam", "clipNorm": 5},
    {"optimizer": "adamw", "weightDecay": 0.1},
    {"optimizer": "adamw", "weightDecay": 0.02, "clipNorm": 3, "warmupSteps": 5, "decay": "cosine"},
    {"optimizer": "sgd", "warmupSteps": 3, "decay": "cosine"},
]


def rate_at(part, step, steps):
    warmup = part.get("warmupSteps", 0)
    if step < warmup:
        return RATE * (step + 1) / warmup
    if part.get("decay") != "cosine":
        return RATE
    return RATE * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


def weights_after(part, steps):
    weights = tf.Variable([1.0, -2.0, 0.5, 3.0], dtype=tf.float64)
    optimizer = MAKERS[part["optimizer"]](part)
    for step in range(steps):
        optimizer.learning_rate = rate_at(part, step, steps)
        # Keras adds epsilon before the bias correction of the root, the paper's Algorithm 1 behind it.
        optimizer.epsilon = 1e-7 * math.sqrt(1 - 0.999 ** (step + 1))
        optimizer.apply_gradients([(tf.constant([2.0, 4.0, 6.0, 8.0], tf.float64) * weights, weights)])
    return [float(w) for w in weights.numpy()]


print(json.dumps([{"part": part, "steps": 20, "weights": weights_after(part, 20)} for part in PARTS], indent=2))
