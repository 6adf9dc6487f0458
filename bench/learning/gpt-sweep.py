"""
How near communication every 50 steps comes to one trainer with four times the batch: the character GPT of `npm run bench:learning` (3 layers,
width 48, context 64) in PyTorch, hundreds of trainings side by side as one batch of models. Two minutes on an H100.

    python3 bench/learning/gpt-sweep.py tinyshakespeare.txt [--steps 2000]

Prints the validation loss (last tenth of the text) of each setting. Not the bits of nmkt (other random numbers, TF32 products): it answers which
settings are worth a run of the bench, and that none of these is within 0.03.
"""

import argparse
import math

import torch
import torch.nn.functional as F

CONTEXT, LAYERS, HEADS, WIDTH = 64, 3, 3, 48
H, BATCH, TRAINERS = 50, 12, 4
CHUNK = 4096
DECAY, CLIP = 0.1, 1.0
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def read(path):
    """[rows, CONTEXT] tokens and those that follow them"""
    text = open(path).read()
    characters = sorted(set(text))
    number = {c: i for i, c in enumerate(characters)}
    ids = torch.tensor([number[c] for c in text])
    n = (len(ids) - 1) // CONTEXT
    x, y = ids[: n * CONTEXT].view(n, CONTEXT), ids[1 : n * CONTEXT + 1].view(n, CONTEXT)
    return x.to(DEVICE), y.to(DEVICE), len(characters)


def shapes(vocabulary):
    yield "tokens", (vocabulary, WIDTH)
    yield "positions", (CONTEXT, WIDTH)
    for layer in range(LAYERS):
        for norm in ("norm_0", "norm_1"):
            yield f"{layer}/{norm}/bias", (WIDTH,)
            yield f"{layer}/{norm}/gain", (WIDTH,)
        for name, a, b in (("attend", 1, 3), ("gather", 1, 1), ("up", 1, 4), ("down", 4, 1)):
            yield f"{layer}/{name}/bias", (b * WIDTH,)
            yield f"{layer}/{name}/kernel", (a * WIDTH, b * WIDTH)
    yield "norm/bias", (WIDTH,)
    yield "norm/gain", (WIDTH,)


def start(vocabulary, seed):
    random = torch.Generator().manual_seed(seed)

    def one(name, shape):
        if name.endswith("gain"):
            return torch.ones(shape)
        if name.endswith("bias"):
            return torch.zeros(shape)
        into_stream = "gather" in name or "down" in name
        spread = 0.02 / (math.sqrt(2 * LAYERS) if into_stream else 1)
        return (2 * torch.rand(shape, generator=random) - 1) * spread * math.sqrt(3)

    return torch.cat([one(*of).flatten() for of in shapes(vocabulary)]).to(DEVICE)


def losses(w, x, y, vocabulary):
    """w [models, parameters], x and y [models, rows, CONTEXT] -> [models]"""
    models, rows, _ = x.shape
    p, at = {}, 0
    for name, shape in shapes(vocabulary):
        size = math.prod(shape)
        p[name] = w[:, at : at + size].view(models, *shape)
        at += size
    norm = lambda h, n: F.layer_norm(h, (WIDTH,)) * p[f"{n}/gain"][:, None] + p[f"{n}/bias"][:, None]
    linear = lambda h, n: torch.baddbmm(p[f"{n}/bias"][:, None], h, p[f"{n}/kernel"])
    first = torch.arange(models, device=w.device)[:, None] * vocabulary
    words = p["tokens"].reshape(-1, WIDTH)[x.reshape(models, -1) + first].view(models, rows, CONTEXT, WIDTH)
    h = (words + p["positions"][:, None]).view(models, rows * CONTEXT, WIDTH)
    for layer in range(LAYERS):
        sides = linear(norm(h, f"{layer}/norm_0"), f"{layer}/attend")
        q, k, v = sides.view(models * rows, CONTEXT, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)
        h = h + linear(seen.reshape(models, rows * CONTEXT, WIDTH), f"{layer}/gather")
        wide = F.gelu(linear(norm(h, f"{layer}/norm_1"), f"{layer}/up"), approximate="tanh")
        h = h + linear(wide, f"{layer}/down")
    logits = torch.bmm(norm(h, "norm"), p["tokens"].transpose(1, 2))
    return F.cross_entropy(logits.view(-1, vocabulary), y.reshape(-1), reduction="none").view(models, -1).mean(1)


class AdamW:
    def __init__(self, like):
        self.mean, self.square, self.steps = torch.zeros_like(like), torch.zeros_like(like), 0

    def step(self, w, x, y, vocabulary, rate):
        w = w.detach().requires_grad_(True)
        losses(w, x, y, vocabulary).sum().backward()
        norms = w.grad.norm(dim=1, keepdim=True)
        g = w.grad * (CLIP / norms).clamp_max(1)
        self.steps += 1
        self.mean.mul_(0.9).add_(g, alpha=0.1)
        self.square.mul_(0.999).addcmul_(g, g, value=0.001)
        mean, square = self.mean / (1 - 0.9**self.steps), self.square / (1 - 0.999**self.steps)
        return w.detach() * (1 - rate * DECAY) - rate * mean / (square.sqrt() + 1e-7)


def sparse(due, keep):
    """the `keep` largest of each chunk in two sizes; due [models, parameters]"""
    sent = torch.zeros_like(due)
    for at in range(0, due.shape[1], CHUNK):
        part = due[:, at : at + CHUNK]
        sizes, places = part.abs().topk(math.ceil(keep * part.shape[1] / CHUNK), dim=1)
        above = sizes >= sizes.mean(1, keepdim=True)
        high = (sizes * above).sum(1, keepdim=True) / above.sum(1, keepdim=True)
        low = (sizes * ~above).sum(1, keepdim=True) / (~above).sum(1, keepdim=True).clamp_min(1)
        values = torch.where(2 * sizes >= high + low, high, low) * part.gather(1, places).sign()
        sent[:, at : at + CHUNK].scatter_(1, places, values)
    return sent


def measured(w, x, y, vocabulary):
    with torch.no_grad():
        of = lambda a: (x[a : a + 64].expand(len(w), -1, -1), y[a : a + 64].expand(len(w), -1, -1))
        total = sum(losses(w, *of(a), vocabulary) * len(x[a : a + 64]) for a in range(0, len(x), 64))
    return (total / len(x)).tolist()


def orders(rows, batches, batch, seed):
    random = torch.Generator().manual_seed(seed)
    passes = [torch.randperm(len(rows), generator=random) for _ in range(batches * batch // len(rows) + 1)]
    return rows[torch.cat(passes).to(DEVICE)]


def alone(rates, data, held, vocabulary, steps):
    (x, y), w = data, start(vocabulary, 0).repeat(len(rates), 1)
    rate = torch.tensor(rates, device=DEVICE)[:, None]
    adam, order = AdamW(w), orders(torch.arange(len(x), device=DEVICE), steps, BATCH * TRAINERS, 1)
    for step in range(steps):
        rows = order[step * BATCH * TRAINERS : (step + 1) * BATCH * TRAINERS]
        w = adam.step(w, x[rows].expand(len(w), -1, -1), y[rows].expand(len(w), -1, -1), vocabulary, rate)
    return measured(w, *held, vocabulary)


def together(settings, keeps_adam, data, held, vocabulary, steps):
    """settings: (rate, keep or None for all, feedback, outer rate, outer momentum (Nesterov))"""
    (x, y), n = data, len(settings)
    base = start(vocabulary, 0).repeat(n, 1)
    column = lambda i, times=1: torch.tensor([s[i] for s in settings], device=DEVICE).repeat_interleave(times)[:, None]
    rate, feedback, outer, momentum = column(0, TRAINERS), column(2, TRAINERS), column(3), column(4)
    shuffled = torch.randperm(len(x), generator=torch.Generator().manual_seed(0)).to(DEVICE)
    own = [orders(part, steps, BATCH, k) for k, part in enumerate(shuffled.chunk(TRAINERS))]
    left, speed, adam = torch.zeros(n * TRAINERS, base.shape[1], device=DEVICE), torch.zeros_like(base), None
    for step in range(0, steps, H):
        w = base.repeat_interleave(TRAINERS, 0)
        if adam is None or not keeps_adam:
            adam = AdamW(w)
        for at in range(step, step + H):
            rows = torch.stack([order[at * BATCH : (at + 1) * BATCH] for order in own])
            w = adam.step(w, x[rows].repeat(n, 1, 1), y[rows].repeat(n, 1, 1), vocabulary, rate)
        due = w - base.repeat_interleave(TRAINERS, 0) + feedback * left
        sent = torch.cat([
            part if s[1] is None else sparse(part, s[1]) for s, part in zip(settings, due.split(TRAINERS))
        ])
        left = due - sent
        change = sent.view(n, TRAINERS, -1).mean(1)
        speed = momentum * speed + change
        base = base + outer * (momentum * speed + change)
    return measured(base, *held, vocabulary)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("text")
    parser.add_argument("--steps", type=int, default=2000)
    options = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = True
    x, y, vocabulary = read(options.text)
    cut = len(x) - len(x) // 10
    data, held = (x[:cut], y[:cut]), (x[cut:], y[cut:])
    rates = (0.001, 0.002, 0.004, 0.008)
    for rate, loss in zip(rates, alone(rates, data, held, vocabulary, options.steps)):
        print(f"one trainer, batch {BATCH * TRAINERS}, rate {rate}: {loss:.4f}", flush=True)
    outers = ((1.0, 0.0), (1.0, 0.5), (0.7, 0.9), (1.5, 0.0))
    sends = ((None, 1.0), (64, 0.95), (128, 0.95), (128, 1.0), (1024, 1.0))
    settings = [(rate, *send, *outer) for rate in (0.002, 0.004) for send in sends for outer in outers]
    for keeps_adam in (False, True):
        for setting, loss in zip(settings, together(settings, keeps_adam, data, held, vocabulary, options.steps)):
            rate, keep, feedback, outer, momentum = setting
            sent = "all, f32" if keep is None else f"{keep} of {CHUNK}, feedback {feedback}"
            print(
                f"{TRAINERS} trainers, rate {rate}, {sent}, outer {outer} momentum {momentum}, "
                f"Adam {'kept' if keeps_adam else 'fresh in each round'}: {loss:.4f}",
                flush=True,
            )


main()
