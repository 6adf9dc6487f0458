import { spawnSync } from 'node:child_process';

/** nmkt's char-GPT of engine-models.ts in PyTorch, eager, one thread, with Adam: tokens per second, or why there are none. */
export function torchRate(): number | string {
  const python = process.env['NMKT_PYTHON'] ?? 'python3';
  const { status, stdout, stderr, error } = spawnSync(python, ['-c', SCRIPT], { encoding: 'utf8' });
  if (status === 0) return Number(stdout);
  return `SKIP ${error ? `no ${python}` : (stderr.trim().split('\n').at(-1) ?? 'failed')}`;
}

const SCRIPT = `
import time, torch
from torch.nn.functional import cross_entropy, gelu, layer_norm, softmax
torch.set_num_threads(1)
torch.manual_seed(1)
layers, width, heads, span, words, batch = 4, 128, 4, 64, 65, 16
ids = (torch.arange(batch * span) * 31 % words).view(batch, span)
wanted = torch.arange(batch * span) * 7 % words
mask = (torch.ones(span, span).tril() - 1) * 1e9
def weight(rows, columns): return (torch.randn(rows, columns) / rows ** 0.5).requires_grad_()
def bias(columns): return torch.zeros(columns, requires_grad=True)
def dense(rows, columns): return weight(rows, columns), bias(columns)
table, places = weight(words, width), weight(span, width)
def scale(): return torch.ones(width, requires_grad=True), bias(width)
blocks = [[dense(width, 3 * width), dense(width, width), dense(width, 4 * width), dense(4 * width, width), scale(), scale()] for _ in range(layers)]
last = scale()
every = [table, places, *last] + [one for block in blocks for pair in block for one in pair]
adam = torch.optim.Adam(every, lr=1e-3)
def apply(x, pair): return torch.addmm(pair[1], x, pair[0])
def norm(x, pair): return layer_norm(x, (width,), *pair)
def split(x): return x.view(batch, span, heads, width // heads).transpose(1, 2)
def step():
    h = (table[ids] + places).view(-1, width)
    for qkv, proj, up, down, first, second in blocks:
        q, k, v = [split(x) for x in apply(norm(h, first), qkv).split(width, 1)]
        scores = q @ k.transpose(2, 3) / (width // heads) ** 0.5 + mask
        seen = (softmax(scores, -1) @ v).transpose(1, 2).reshape(-1, width)
        h = h + apply(seen, proj)
        h = h + apply(gelu(apply(norm(h, second), up), approximate='tanh'), down)
    adam.zero_grad()
    cross_entropy(norm(h, last) @ table.T, wanted).backward()
    adam.step()
for _ in range(5): step()
best = 0
for _ in range(10):
    start = time.process_time(); step(); best = max(best, batch * span / (time.process_time() - start))
print(best)
`;
