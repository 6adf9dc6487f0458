"""Flower's simulation of a case that flower-case.ts wrote, with PyTorch; prints one line of JSON.

flower.py FOLDER THREADS ATONCE: threads of PyTorch per client, clients at once.
Clients train as nmkt's trainers do: the same start, shards, batches and steps of Adam, which starts anew in each round.
"""
import json, os, sys, time
from collections import OrderedDict

os.environ['FLWR_TELEMETRY_ENABLED'] = '0'
os.environ['RAY_USAGE_STATS_ENABLED'] = '0'
os.environ['RAY_worker_niceness'] = '0' # Ray's own choice, 15, would let other work on this machine go first

import flwr, numpy, ray, torch
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from torch import nn

folder, threads, at_once = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
case = json.load(open(folder + '/case.json'))
spec, hyper = case['spec'], case['hyper']

def examples(name):
    features = numpy.fromfile(f'{folder}/{name}.features', dtype='u1').reshape(-1, spec['inputs'])
    labels = numpy.fromfile(f'{folder}/{name}.labels', dtype='<i4')
    return torch.from_numpy(features).float().div_(case['scale']), torch.from_numpy(labels).long()

def dense(widths):
    layers = []
    for index, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        layers.append((f'dense_{index}', nn.Linear(inputs, outputs)))
        if index < len(widths) - 2: layers.append((f'relu_{index}', nn.ReLU()))
    return layers

def network():
    if spec['model'] == 'mlp': return nn.Sequential(OrderedDict(dense([spec['inputs'], *spec['hidden'], spec['outputs']])))
    height, width, channels = spec['shape']
    layers = [('image', nn.Unflatten(1, (channels, height, width)))]
    for index, filters in enumerate(spec['filters']):
        layers += [(f'conv_{index}', nn.Conv2d(channels, filters, 5, padding='same')), (f'bend_{index}', nn.ReLU()), (f'pool_{index}', nn.MaxPool2d(2))]
        channels, height, width = filters, height // 2, width // 2
    return nn.Sequential(OrderedDict([*layers, ('flat', nn.Flatten()), *dense([channels * height * width, *spec['hidden'], spec['outputs']])]))

def start():
    """nmkt's first model in PyTorch's order: [in, out] and [height, width, in, out] become [out, in] and [out, in, height, width]."""
    numbers, at, state = numpy.fromfile(folder + '/start.params', dtype='<f4'), 0, {}
    for name, shape in case['tensors']:
        size = int(numpy.prod(shape))
        value = torch.from_numpy(numbers[at : at + size].reshape(shape).copy())
        at += size
        if len(shape) == 4: value = value.permute(3, 2, 0, 1)
        elif name == 'dense_0/kernel' and spec['model'] == 'cnn':
            channels = spec['filters'][-1]
            side = spec['shape'][0] // 2 ** len(spec['filters'])
            value = value.view(side, side, channels, -1).permute(3, 2, 0, 1).flatten(1) # from height, width, channels
        elif len(shape) == 2: value = value.T
        state[name.replace('/kernel', '.weight').replace('/bias', '.bias')] = value.contiguous()
    return state

def fit(state, features, labels, seed):
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    net = network()
    net.load_state_dict(state)
    adam = torch.optim.Adam(net.parameters(), lr=hyper['learningRate'], eps=1e-7, fused=True)
    loss_of = nn.CrossEntropyLoss()
    for _ in range(hyper['epochs']):
        for rows in torch.randperm(len(labels)).split(hyper['batch']):
            adam.zero_grad()
            loss_of(net(features[rows]), labels[rows]).backward()
            adam.step()
    return net.state_dict()

client = ClientApp()

@client.train()
def train(message, context):
    began = time.process_time()
    shard = context.node_config['partition-id']
    features, labels = examples(f'shard{shard}')
    seed = message.content['config']['round'] * 1000 + shard
    state = fit(message.content['arrays'].to_torch_state_dict(), features, labels, seed)
    told = MetricRecord({'num-examples': len(labels), 'cpu': time.process_time() - began})
    content = {'arrays': ArrayRecord(state), 'metrics': told}
    return Message(content=RecordDict(content), reply_to=message)

@client.query()
def warm(message, context):
    """PyTorch is imported and has trained once before the clock starts."""
    features, labels = examples(f"shard{context.node_config['partition-id']}")
    fit(start(), features[:64], labels[:64], 0)
    return Message(content=RecordDict(), reply_to=message)

server = ServerApp()
outcome = {'rounds': []}

@server.main()
def main(grid, context):
    torch.set_num_threads(os.cpu_count())
    net = network()
    features, labels = examples('test')
    arrays = ArrayRecord(start())
    while len(nodes := list(grid.get_node_ids())) < case['shards']: time.sleep(0.05)
    grid.send_and_receive([Message(content=RecordDict(), message_type='query', dst_node_id=node) for node in nodes])
    strategy = FedAvg(fraction_evaluate=0, min_train_nodes=case['shards'], min_available_nodes=case['shards'])
    outcome['beganSec'], began, trained = time.time(), time.process_time(), 0
    for number in range(1, case['rounds'] + 1):
        result = strategy.start(grid, arrays, num_rounds=1, train_config=ConfigRecord({'round': number}))
        arrays = result.arrays
        trained += result.train_metrics_clientapp[1]['cpu'] * case['shards'] # of a mean over shards of equal size
        net.load_state_dict(arrays.to_torch_state_dict())
        with torch.no_grad(): accuracy = (net(features).argmax(1) == labels).float().mean().item()
        outcome['rounds'].append({'round': number, 'accuracy': accuracy, 'atSec': time.time()})
        if accuracy >= case['accuracy']: break
    outcome['cpuSec'] = trained + time.process_time() - began

resources = {'client_resources': {'num_cpus': os.cpu_count() / at_once, 'num_gpus': 0}, 'init_args': {'num_cpus': os.cpu_count()}}
if __name__ == '__main__':
    run_simulation(server, client, num_supernodes=case['shards'], backend_config=resources)
    versions = f'flwr {flwr.__version__}, PyTorch {torch.__version__}, Ray {ray.__version__}, Python {sys.version.split()[0]}'
    print(json.dumps({**outcome, 'versions': versions}))
