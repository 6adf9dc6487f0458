"""The models of nmkt in PyTorch, in float64, written from docs/protocol.md (Model) with PyTorch's own layers.

models.py train FOLDER  reads FOLDER/case.json and FOLDER/start.safetensors, writes FOLDER/answer.json: the loss of the batch, its
gradient, and the weights after some steps of Adam. models.py read FILE...  prints names, types, shapes and sums of weights.
"""
import json, struct, sys

def read_plain(path):
    """A safetensors file without the package: 8 bytes of length, JSON, numbers."""
    import numpy
    data = open(path, 'rb').read()
    (length,) = struct.unpack('<Q', data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop('__metadata__', None)
    found = {}
    for name, entry in header.items():
        begin, end = entry['data_offsets']
        values = numpy.frombuffer(data[8 + length + begin : 8 + length + end], dtype='<f4')
        found[name] = values.reshape(entry['shape'])
    return found

def dense(w, x, hidden):
    from torch.nn.functional import linear, relu
    for layer in range(hidden + 1):
        x = linear(x, w[f'dense_{layer}/kernel'].T, w[f'dense_{layer}/bias'])
        if layer < hidden: x = relu(x)
    return x

def cnn(w, spec, x):
    from torch.nn.functional import conv2d, max_pool2d, relu
    height, width, channels = spec['shape']
    maps = x.view(-1, height, width, channels).permute(0, 3, 1, 2)
    for layer in range(len(spec['filters'])):
        kernel = w[f'conv_{layer}/kernel'].permute(3, 2, 0, 1) # height, width, in, out -> out, in, height, width
        maps = max_pool2d(relu(conv2d(maps, kernel, w[f'conv_{layer}/bias'], padding='same')), 2)
    return dense(w, maps.permute(0, 2, 3, 1).flatten(1), len(spec['hidden']))

def gpt(w, spec, x):
    from torch.nn.functional import gelu, layer_norm, linear, scaled_dot_product_attention
    width, heads = spec['width'], spec['heads']
    rows, time = x.shape
    def apply(name, h): return linear(h, w[name + '/kernel'].T, w[name + '/bias'])
    def norm(name, h): return layer_norm(h, (width,), w[name + '/gain'], w[name + '/bias'], 1e-5)
    def split(h): return h.view(rows, time, heads, width // heads).transpose(1, 2)
    h = w['tokens'][x.long()] + w['positions']
    for layer in range(spec['layers']):
        block = f'block_{layer}/'
        q, k, v = [split(part) for part in apply(block + 'attend', norm(block + 'norm_0', h)).split(width, -1)]
        seen = scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(rows, time, width)
        h = h + apply(block + 'gather', seen)
        h = h + apply(block + 'down', gelu(apply(block + 'up', norm(block + 'norm_1', h)), approximate='tanh'))
    return linear(norm('norm', h), w['tokens'])

def lstm(w, spec, x):
    import torch
    h = w['tokens'][x.long()]
    zero = torch.zeros(1, x.shape[0], spec['width'], dtype=h.dtype)
    for layer in range(spec['layers']):
        name = f'lstm_{layer}/'
        # Input, forget, candidate, output: PyTorch's order too, with a second bias.
        bias = w[name + 'bias']
        flat = [w[name + 'kernel'].T, w[name + 'recurrent'].T, bias, torch.zeros_like(bias)]
        h, _, _ = torch.lstm(h, (zero, zero), flat, True, 1, 0.0, False, False, True)
    return torch.nn.functional.linear(h, w['head/kernel'].T, w['head/bias'])

def train(folder):
    import torch
    from torch.nn.functional import cross_entropy, mse_loss
    case = json.load(open(folder + '/case.json'))
    spec = case['model']
    start = read_plain(folder + '/start.safetensors')
    w = {name: torch.tensor(values, dtype=torch.float64, requires_grad=True) for name, values in start.items()}
    x = torch.tensor(case['features'], dtype=torch.float64)
    is_text = spec['model'] in ('gpt', 'lstm')
    labels = torch.tensor(case['labels'])
    if is_text: labels = torch.cat([x[:, 1:].long(), labels[:, None]], 1).flatten()
    def loss():
        if spec['model'] == 'cnn': out = cnn(w, spec, x)
        elif is_text: out = (gpt if spec['model'] == 'gpt' else lstm)(w, spec, x).flatten(0, 1)
        else: out = dense(w, x, len(spec['hidden']))
        if spec['task'] == 'regression': return mse_loss(out[:, 0], labels.double())
        return cross_entropy(out, labels)
    adam = torch.optim.Adam(w.values(), lr=case['learningRate'], betas=(0.9, 0.999), eps=1e-7)
    answer = {}
    for step in range(case['steps']):
        adam.zero_grad()
        value = loss()
        value.backward()
        if step == 0: answer = {'loss': value.item(), 'gradient': {name: one.grad.flatten().tolist() for name, one in w.items()}}
        adam.step()
    answer['weights'] = {name: one.flatten().tolist() for name, one in w.items()}
    answer['torch'] = torch.__version__
    json.dump(answer, open(folder + '/answer.json', 'w'))

def read(path):
    from safetensors.numpy import load_file
    found = load_file(path)
    print(json.dumps({name: [str(one.dtype), list(one.shape), float(one.astype('f8').sum())] for name, one in found.items()}))

if __name__ == '__main__':
    {'train': train, 'read': read}[sys.argv[1]](sys.argv[2])
