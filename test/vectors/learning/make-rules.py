"""Values of aggregation rules and outer optimizers from other implementations: `python make-rules.py > rules.json`.

From flwr 1.42.0 (https://pypi.org/project/flwr/): fedavg, median, trimmed-mean, krum, multi-krum, bulyan; fedavgm, fedadagrad, fedadam, fedyogi
(v starting at tau^2, without FedAdam's correction of the bias, which the paper does not have). The others in NumPy from their papers.
"""

import json

import numpy as np
from flwr.common import Code, FitRes, Status, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.server import strategy as strategies
from flwr.server.strategy import aggregate as flower

SHAPES = {"bias": [3], "kernel": [4, 3]}


def model(rng, scale=1.0):
    return [rng.normal(0, scale, shape).astype(np.float32) for shape in SHAPES.values()]


def flat(arrays):
    return np.concatenate([a.ravel() for a in arrays]).astype(np.float64)


def split(vector):
    return [vector[:3].reshape(3), vector[3:].reshape(4, 3)]


def results(updates):
    return [([a.astype(np.float64) for a in u["params"]], u["examples"]) for u in updates]


def geometric_median(base, xs, ns):
    z = base.copy()
    for _ in range(8):
        w = ns / np.maximum(1e-6, np.linalg.norm(xs - z, axis=1))
        z = split_float32((xs * w[:, None]).sum(0) / w.sum())
    return z


def split_float32(vector):
    return vector.astype(np.float32).astype(np.float64)


def norm_clip(base, xs, ns):
    deltas = xs - base
    norms = np.linalg.norm(deltas, axis=1)
    bound = np.median(norms)
    clipped = deltas * np.minimum(1, bound / np.maximum(norms, 1e-300))[:, None]
    return base + (clipped * ns[:, None]).sum(0) / ns.sum()


def centred_clip(base, xs, ns):
    v = base.copy()
    for _ in range(3):
        deltas = xs - v
        norms = np.linalg.norm(deltas, axis=1)
        bound = np.median(norms)
        clipped = deltas * np.minimum(1, bound / np.maximum(norms, 1e-300))[:, None]
        v = split_float32(v + (clipped * ns[:, None]).sum(0) / ns.sum())
    return v


def fltrust(base, xs, root):
    g0 = root - base
    gs = xs - base
    cos = gs @ g0 / (np.linalg.norm(gs, axis=1) * np.linalg.norm(g0))
    trust = np.maximum(0, cos)
    scaled = gs * (np.linalg.norm(g0) / np.linalg.norm(gs, axis=1))[:, None]
    return base + (trust[:, None] * scaled).sum(0) / trust.sum()


def combined(name, base, updates, f, m, root):
    rows = results(updates)
    xs = np.stack([flat(u["params"]) for u in updates])
    ns = np.array([u["examples"] for u in updates], dtype=np.float64)
    b = flat(base)
    if name == "fedavg":
        return flat(flower.aggregate(rows))
    if name == "median":
        return flat(flower.aggregate_median(rows))
    if name == "trimmed-mean":
        return flat(flower.aggregate_trimmed_avg(rows, (f + 1e-9) / len(rows)))
    if name == "krum":
        return flat(flower.aggregate_krum(rows, f, 0))
    if name == "multi-krum":
        return flat(flower.aggregate_krum(rows, f, m))
    if name == "bulyan":
        return flat(flower.aggregate_bulyan(list(rows), f, flower.aggregate_krum, to_keep=0))
    if name == "geometric-median":
        return geometric_median(b, xs, ns)
    if name == "norm-clip":
        return norm_clip(b, xs, ns)
    if name == "centred-clip":
        return centred_clip(b, xs, ns)
    return fltrust(b, xs, flat(root))


# of n updates the first f attack: 80 times as far from the base as the others
CASES = {
    "fedavg": [(4, 0, "near"), (1, 0, "near"), (9, 0, "wide"), (6, 0, "heavy")],
    "median": [(5, 1, "near"), (6, 1, "near"), (2, 0, "apart"), (9, 4, "wide")],
    "trimmed-mean": [(7, 2, "near"), (5, 1, "near"), (4, 0, "apart"), (9, 4, "wide")],
    "geometric-median": [(6, 1, "near"), (9, 4, "near"), (5, 0, "apart"), (7, 2, "wide"), (6, 1, "heavy")],
    "norm-clip": [(5, 1, "near"), (6, 1, "near"), (8, 0, "apart"), (9, 4, "wide"), (6, 2, "heavy")],
    "centred-clip": [(7, 1, "near"), (8, 3, "near"), (5, 0, "apart"), (9, 4, "wide"), (6, 2, "heavy")],
    "krum": [(7, 2, "near"), (5, 1, "apart"), (11, 4, "wide")],
    "multi-krum": [(9, 3, "near"), (5, 1, "near"), (7, 0, "apart"), (11, 4, "wide"), (8, 2, "heavy")],
    "bulyan": [(7, 1, "near"), (11, 2, "near"), (5, 0, "apart"), (15, 3, "wide")],
    "fltrust": [(6, 1, "near"), (1, 0, "near"), (9, 7, "near"), (8, 0, "apart"), (7, 2, "wide")],
}


def updates_of(rng, n, f, kind):
    """`wide`: parameters from a millionth to ten thousand; `heavy`: one shard has most of the examples; `apart`: updates that hardly agree."""
    units = 10.0 ** np.arange(-6, 5, 0.7)[:15] if kind == "wide" else np.ones(15)
    units = split(units)
    base = [(a * u).astype(np.float32) for a, u in zip(model(rng), units)]
    agreed = model(rng, 0.1)
    spread = 1.0 if kind == "apart" else 0.1

    def moved(scale):
        return [(b + (s + a) * u).astype(np.float32) for b, s, a, u in zip(base, agreed, model(rng, scale), units)]

    rows = []
    for u in range(n):
        examples = int(rng.integers(1, 50)) if kind != "heavy" or u != n - 1 else 100_000
        rows.append({"examples": examples, "params": moved(8.0 if u < f else spread)})
    return base, rows, moved(spread)


def short(vector):
    """The shortest decimals that give these float32."""
    return [float(str(np.float32(x))) for x in vector]


def rule_cases():
    cases = []
    for name, kinds in CASES.items():
        for n, f, kind in kinds:
            rng = np.random.default_rng(len(cases) + 1)
            base, updates, root = updates_of(rng, n, f, kind)
            takes_f = name in ("trimmed-mean", "krum", "multi-krum", "bulyan")
            rule = {"name": name, "f": f if takes_f else 0, "m": n - f if name == "multi-krum" else 0}
            out = combined(name, base, updates, rule["f"], rule["m"], root)
            cases.append(
                {
                    "kind": kind,
                    "rule": rule,
                    "base": short(flat(base)),
                    "updates": [{"examples": u["examples"], "params": short(flat(u["params"]))} for u in updates],
                    **({"root": short(flat(root))} if name == "fltrust" else {}),
                    "combined": out.tolist(),
                }
            )
    return cases


def steps_of(name, of, base, combineds):
    """Models after each step; models and what a step keeps are float32 between steps, as a job publishes them."""
    def single(arrays):
        return [split_float32(a) for a in arrays]

    b = [a.astype(np.float64) for a in base]
    if name == "diloco":
        v, out = [np.zeros_like(a) for a in b], []
        for c in combineds:
            delta = [x - y for x, y in zip(b, c)]
            v = [of["momentum"] * x + d for x, d in zip(v, delta)]
            b = [x - of["learningRate"] * (of["momentum"] * y + d) for x, y, d in zip(b, v, delta)]
            out.append(flat(b).tolist())
            b, v = single(b), single(v)
        return out
    initial = ndarrays_to_parameters(b)
    if name == "fedavgm":
        s = strategies.FedAvgM(initial_parameters=initial, server_learning_rate=of["learningRate"], server_momentum=of["momentum"])
    elif name == "fedadagrad":
        s = strategies.FedAdagrad(initial_parameters=initial, eta=of["learningRate"], tau=of["tau"])
    else:
        kind = strategies.FedAdam if name == "fedadam" else strategies.FedYogi
        s = kind(initial_parameters=initial, eta=of["learningRate"], beta_1=of["beta1"], beta_2=of["beta2"], tau=of["tau"])
    if name != "fedavgm":
        s.m_t = [np.zeros_like(a) for a in b]
        s.v_t = [np.full_like(a, of["tau"] ** 2) for a in b]
    out = []
    for index, c in enumerate(combineds):
        fit = FitRes(Status(Code.OK, ""), ndarrays_to_parameters(c), 1, {})
        number = 10**6 + index if name == "fedadam" else index + 1
        parameters, _ = s.aggregate_fit(number, [(None, fit)], [])
        models = parameters_to_ndarrays(parameters)
        out.append(flat(models).tolist())
        if name == "fedavgm":
            s.initial_parameters = ndarrays_to_parameters(single(models))
            s.momentum_vector = single(s.momentum_vector)
        else:
            s.current_weights, s.m_t, s.v_t = single(models), single(s.m_t), single(s.v_t)
    return out


def outer_cases():
    cases = []
    for name, of in [
        ("fedavgm", {"learningRate": 0.5, "momentum": 0.9}),
        ("fedadagrad", {"learningRate": 0.1, "tau": 0.01}),
        ("fedadam", {"learningRate": 0.1, "beta1": 0.9, "beta2": 0.99, "tau": 0.01}),
        ("fedyogi", {"learningRate": 0.1, "beta1": 0.9, "beta2": 0.99, "tau": 0.01}),
        ("diloco", {"learningRate": 0.7, "momentum": 0.9}),
    ]:
        rng = np.random.default_rng(100 + len(cases))
        base = model(rng)
        combineds = [[(a + s).astype(np.float64) for a, s in zip(base, model(rng, 0.3))] for _ in range(4)]
        combineds = [[a.astype(np.float32).astype(np.float64) for a in c] for c in combineds]
        cases.append(
            {
                "outer": {"name": name, **of},
                "base": flat(base).tolist(),
                "combined": [flat(c).tolist() for c in combineds],
                "models": steps_of(name, of, base, combineds),
            }
        )
    return cases


print(json.dumps({"rules": rule_cases(), "outers": outer_cases()}))
